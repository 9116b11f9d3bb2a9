from datetime import UTC, datetime

from pydantic import SecretStr

from meet.config import Settings
from meet.ice import ice_servers

NOW = datetime(2025, 10, 5, 12, tzinfo=UTC)


def config(**changes: object) -> Settings:
    values: dict[str, object] = {
        "stun_urls": "stun:stun.example.org:3478",
        "turn_urls": "",
        "turn_secret": SecretStr(""),
    }
    return Settings(**(values | changes))


def test_stun_alone_as_the_document_shows_it() -> None:
    assert ice_servers(config(), "alice", now=NOW) == [{"urls": ["stun:stun.example.org:3478"]}]


def test_none_where_none_is_configured() -> None:
    assert ice_servers(config(stun_urls=" "), "alice", now=NOW) == []


def test_turn_with_a_credential_that_expires() -> None:
    settings = config(
        turn_urls="turn:turn.example.org:3478?transport=udp, turns:turn.example.org:5349",
        turn_secret=SecretStr("north"),
        turn_credential_s=3600,
    )
    server = ice_servers(settings, "alice", now=NOW)[1]
    assert server == {
        "urls": ["turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:5349"],
        "username": "1759669200:alice",
        # printf %s 1759669200:alice | openssl dgst -sha1 -hmac north -binary | openssl base64
        "credential": "8nCqPBy1n5ROHcPhXLqNS8qXXtU=",
    }


def test_no_turn_without_its_secret() -> None:
    assert ice_servers(config(turn_urls="turn:turn.example.org"), "alice", now=NOW) == [
        {"urls": ["stun:stun.example.org:3478"]}
    ]
