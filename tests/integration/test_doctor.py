"""`python -m sfu doctor` against the real servers, and what it says of what is wrong."""

import subprocess
import sys

from tests.conftest import ROOT, System, unused_media_port
from tests.integration.conftest import Coturn


def doctor(system: System, **changes: str) -> tuple[int, str]:
    """The exit status, and what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "sfu", "doctor"],
        env=system.env | {"MEET_STUN_URLS": ""} | changes,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout


def test_where_all_is_well_it_says_so_and_a_relayed_packet_arrives(system: System, coturn: Coturn) -> None:
    status, said = doctor(
        system,
        MEET_UDP_PORT=str(unused_media_port()),
        MEET_STUN_URLS=f"stun:127.0.0.1:{coturn.port}",
        MEET_TURN_URLS=coturn.url,
        MEET_TURN_SECRET=coturn.secret,
    )
    assert status == 0, said
    for sentence in (
        "sees UDP port",
        "the Internet sees this machine at 127.0.0.1",
        "gives a relay, and what it sends to 127.0.0.1:",
        "Media processes that say they are there: 1",
        "DynamoDB answers, and has all",
        "S3 takes, gives and deletes objects",
        "SQS answers, and has all",
        "clock and S3's differ by 0 s",
    ):
        assert sentence in said
    assert "BAD" not in said


def test_a_wrong_secret_of_turn_is_found(system: System, coturn: Coturn) -> None:
    status, said = doctor(system, MEET_TURN_URLS=coturn.url, MEET_TURN_SECRET="another one")
    assert status == 1
    assert "BAD" in said
    assert "refuses its credentials" in said


def test_what_does_not_answer_is_found_with_its_setting(system: System) -> None:
    status, said = doctor(
        system,
        MEET_REDIS_URL="redis://127.0.0.1:1/0",
        MEET_TABLE_PREFIX="nobodys-",
        MEET_QUEUE_PREFIX="nobodys-",
        MEET_BUCKET="nobodys-bucket",
        MEET_TURN_URLS="turn:127.0.0.1:1",
    )
    assert status == 1
    for sentence in (
        "BAD   Redis does not answer",
        "BAD   DynamoDB answers, but has no table nobodys-",
        "BAD   SQS answers, but has no queue nobodys-",
        "BAD   S3 answers, but lets nobody into a bucket nobodys-bucket",
        "BAD   MEET_TURN_SECRET is missing",
    ):
        assert sentence in said
