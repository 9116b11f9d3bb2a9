"""Which FFmpeg is taken, and the one sentence where it will not do."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.workers.ffmpeg import binary
from functions.workers.ffmpeg.formats import ENCODERS
from meet import ffmpeg
from meet.config import settings

HEADER = "Encoders:\n V..... = Video\n ------\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MEET_FFMPEG", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def pretended(folder: Path, version: str, encoders: frozenset[str]) -> str:
    """A program that answers as an FFmpeg of this version with these encoders does."""
    lines = "\n".join(f" V....D {name}  described" for name in sorted(encoders))
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright' >&2\ncat <<'X'\n{HEADER}{lines}\nX\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_one_that_is_here_can_do_all() -> None:
    found = binary.inspect(ffmpeg.find())
    assert found.lacks == frozenset()


@pytest.mark.parametrize("version", ["5.1.9-0+deb12u1", "n8.1.2", "n9.0.2-17-g2a571b6068", "N-112345-gabcdef"])
def test_a_complete_one(tmp_path: Path, version: str) -> None:
    found = binary.inspect(pretended(tmp_path, version, ENCODERS | {"libfdk_aac"}))
    assert found.version == version.removeprefix("n")
    assert found.encoders == ENCODERS


def test_the_layer_s_has_no_vorbis_and_says_so(tmp_path: Path) -> None:
    found = binary.inspect(pretended(tmp_path, "n8.1.2", ENCODERS - {"libvorbis"}))
    assert found.lacks == {"libvorbis"}


def test_one_that_lacks_more_is_refused(tmp_path: Path) -> None:
    path = pretended(tmp_path, "6.0", ENCODERS - {"libx264", "libopus"})
    with pytest.raises(binary.Missing, match=r"was built without libopus, libx264: set MEET_FFMPEG"):
        binary.inspect(path)


def test_one_that_is_too_old_is_refused(tmp_path: Path) -> None:
    with pytest.raises(binary.Missing, match="too old"):
        binary.inspect(pretended(tmp_path, "4.4.2", ENCODERS))


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(binary.Missing, match="can't be run"):
        binary.inspect(str(tmp_path / "nothing"))
    with pytest.raises(binary.Missing, match="is no FFmpeg"):
        binary.inspect("/bin/echo")
