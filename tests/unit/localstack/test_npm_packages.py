import hashlib
import io
import json
import tarfile
from base64 import b64encode
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def tarball(**files: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def integrity(content: bytes) -> str:
    return "sha512-" + b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`localstack/npm_packages.py`, which is a script and in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "localstack"))
    import npm_packages

    return npm_packages


@pytest.fixture
def registry(npm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is at which URL."""
    there: dict[str, bytes] = {}

    def fetch(url: str) -> bytes:
        if url not in there:
            raise npm.Refused(f"{url} can't be fetched")
        return there[url]

    monkeypatch.setattr(npm, "fetch", fetch)
    monkeypatch.setenv("npm_config_registry", "https://mirror.example.com/npm/")
    return there


def lock_of(folder: Path, package: str, version: str, sri: str) -> Path:
    path = folder / "lock.json"
    path.write_text(json.dumps({package: {"version": version, "integrity": sri}}))
    return path


def test_a_package_lies_there_as_its_tarball_has_it(
    npm: ModuleType, registry: dict[str, bytes], tmp_path: Path
) -> None:
    content = tarball(**{"package/dist/main.js": "hello", "package/package.json": "{}"})
    registry["https://mirror.example.com/npm/@scope/name/-/name-1.2.3.tgz"] = content
    old = tmp_path / "out" / "@scope" / "name" / "old.js"
    old.parent.mkdir(parents=True)
    old.touch()
    lock = lock_of(tmp_path, "@scope/name", "1.2.3", integrity(content))
    assert npm.main([str(lock), str(tmp_path / "out")]) == 0
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"@scope/name/dist/main.js", "@scope/name/package.json"}


@pytest.mark.parametrize("there", [True, False])
def test_what_is_not_what_was_locked_is_refused(
    npm: ModuleType, registry: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], *, there: bool
) -> None:
    if there:
        registry["https://mirror.example.com/npm/name/-/name-1.0.0.tgz"] = tarball(**{"package/x": "forged"})
    lock = lock_of(tmp_path, "name", "1.0.0", integrity(b"genuine"))
    assert npm.main([str(lock), str(tmp_path / "out")]) == 1
    assert ("not what the lock file names" if there else "can't be fetched") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_tarball_writes_nowhere_else(npm: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(tarfile.FilterError):
        npm.unpack(tarball(**{"package/../../evil": "x"}), tmp_path / "in" / "name")
    assert not (tmp_path / "evil").exists()


def test_our_own_lock_pins_every_package() -> None:
    lock = json.loads((ROOT / "tests" / "npm-lock.json").read_text())
    assert {"@eyevinn/whip-web-client", "@eyevinn/webrtc-player", "whip-whep"} <= lock.keys()
    for pinned in lock.values():
        assert pinned["integrity"].startswith("sha512-")
        assert pinned["version"][0].isdigit()
