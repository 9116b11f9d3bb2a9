"""What `make up` keeps in its state folder."""

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import ModuleType

import pytest
from botocore.exceptions import ClientError

from meet.config import Settings
from meet.errors import Unavailable

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`localstack/up.py`, which is a script and in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "localstack"))
    import up

    yield up
    up.settings.cache_clear()


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


def test_the_state_is_held_until_the_last_process_on_it_has_ended(up: ModuleType, tmp_path: Path) -> None:
    hold = up.open_home(tmp_path)
    children = up.Children(tmp_path / "logs", Event(), hold)
    try:
        children.start("server", up.SERVERS, ["sleep", "60"], os.environ)
        hold.close()  # as the kernel does for a process that is killed
        with pytest.raises(up.Refused, match="Another system runs on the state"):
            up.open_home(tmp_path)
    finally:
        children.stop()
    up.open_home(tmp_path).close()


def test_each_media_process_needs_a_port_that_exists(up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_SFU_PROCESSES", "3")
    monkeypatch.setenv("MEET_UDP_PORT", "65533")
    assert up.read_settings().udp_port == 65533
    monkeypatch.setenv("MEET_UDP_PORT", "65534")
    with pytest.raises(up.Refused, match=r"MEET_UDP_PORT 65534 .*set it to 65533 or less"):
        up.read_settings()
    monkeypatch.setenv("MEET_UDP_PORT", "40000")
    monkeypatch.setenv("MEET_TCP_PORT", "65534")
    with pytest.raises(up.Refused, match=r"MEET_TCP_PORT 65534 .*set it to 65533 or less"):
        up.read_settings()


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("MEET_PUBLIC_BASE_URL", "meet.example.com", "it must begin with http:// or https://"),
        ("MEET_PUBLIC_BASE_URL", "https:///meet", "it must name a host"),
        ("MEET_AWS_ENDPOINT_URL", "localhost:4566", "it must begin with http:// or https://"),
        ("MEET_REDIS_URL", "localhost:6379", "it must begin with redis:// or rediss:// or unix://"),
        ("MEET_TRUSTED_PROXIES", "10.0.0.1, 10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("MEET_STUN_URLS", "stun:a.example, b.example", "it must begin with stun: or stuns:"),
        ("MEET_TURN_URLS", "stun:a.example", "it must begin with turn: or turns:"),
    ],
)
def test_a_wrong_address_is_named_before_anything_starts(
    up: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, wrong: str, says: str
) -> None:
    monkeypatch.setenv(name, wrong)
    with pytest.raises(up.Refused) as refused:
        up.read_settings()
    assert str(refused.value) == f"{name} is wrong: {says}."


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("video=10", "MEET_UPLOAD_LIMITS is wrong: it must be a JSON object."),
        ("[10]", "MEET_UPLOAD_LIMITS must be a JSON object with keys of video, audio, image, document."),
        ('{"movie": 10}', "MEET_UPLOAD_LIMITS must be a JSON object with keys of video, audio, image, document."),
        ('{"video": 0}', "MEET_UPLOAD_LIMITS must have megabytes, above 0, as values."),
    ],
)
def test_wrong_limits_of_uploads_are_named_before_anything_starts(
    up: ModuleType, monkeypatch: pytest.MonkeyPatch, wrong: str, says: str
) -> None:
    monkeypatch.setenv("MEET_UPLOAD_LIMITS", wrong)
    with pytest.raises(up.Refused) as refused:
        up.read_settings()
    assert str(refused.value) == says


def test_keys_that_the_bucket_refuses_are_named(up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ClientError({"Error": {"Code": "InvalidAccessKeyId", "Message": "no such key"}}, "CreateBucket")

    for name in ("create_tables", "ensure_administrator", "ensure_queues"):
        monkeypatch.setattr(up, name, lambda: None)
    monkeypatch.setattr(up, "ensure_bucket", refuse)
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", "http://127.0.0.1:9000")
    up.read_settings()
    with pytest.raises(up.Refused, match=r"S3 at http://127\.0\.0\.1:9000 .*no such key.*AWS_ACCESS_KEY_ID"):
        up.prepare_store()


def test_a_sweep_that_fails_does_not_end_the_others(up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[str] = []
    stop_asked = Event()

    def sweep(event: dict[str, str], _: object) -> None:
        swept.append(event["sweep"])
        if len(swept) == len(up.URGENT) + len(up.SWEEPS):
            stop_asked.set()
        raise Unavailable

    monkeypatch.setattr(up, "sweep_now", sweep)
    monkeypatch.setattr(up, "SWEEP_S", 0.001)
    monkeypatch.setattr(up, "SLOW_SWEEPS", 2)
    up.sweep(stop_asked)
    assert swept == [*up.URGENT, *up.SWEEPS], "what people wait for is swept more often"
