"""A worker's folder goes with it, and what the killed left behind goes with the next one."""

from pathlib import Path

from functions.workers.ffmpeg.folder import own_folder


def test_a_folder_goes_with_its_worker(tmp_path: Path) -> None:
    with own_folder(tmp_path / "jobs") as folder:
        (folder / "input-0").write_bytes(b"a film")
    assert not folder.exists()


def test_each_worker_has_its_own_and_none_touches_that_of_another(tmp_path: Path) -> None:
    with own_folder(tmp_path) as first:
        (first / "input-0").write_bytes(b"a film")
        with own_folder(tmp_path) as second:
            assert second != first
        assert (first / "input-0").read_bytes() == b"a film"


def test_what_a_killed_worker_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "77-left").mkdir()
    (tmp_path / "77-left" / "lock").touch()  # the kernel let go of it
    (tmp_path / "78-never-held").mkdir()
    with own_folder(tmp_path) as folder:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [folder]
