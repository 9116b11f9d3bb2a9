"""What `make up` keeps in its state folder."""

import secrets
import stat
from pathlib import Path
from types import ModuleType

import pytest

from meet.config import Settings

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`localstack/up.py`, which is a script and in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "localstack"))
    import up

    return up


def test_the_secret_is_made_once_and_is_for_its_owner_alone(up: ModuleType, tmp_path: Path) -> None:
    secret = up.jwt_secret(Settings(jwt_secret=""), tmp_path)
    assert len(secret) >= 32
    assert up.jwt_secret(Settings(jwt_secret=""), tmp_path) == secret
    [kept] = tmp_path.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_start_that_was_killed_leaves_no_empty_secret(
    up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def killed(_: int) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(secrets, "token_urlsafe", killed)
        with pytest.raises(KeyboardInterrupt):
            up.jwt_secret(Settings(jwt_secret=""), tmp_path)
    assert len(up.jwt_secret(Settings(jwt_secret=""), tmp_path)) >= 32
