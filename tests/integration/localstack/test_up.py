"""`localstack/up.py` itself: state outlives it, nothing it started does, and what goes wrong is one sentence."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from redis import Redis

from tests.conftest import ROOT, StartSystem, System, clean_environment, running
from tests.processes import descendants

UP = [sys.executable, str(ROOT / "localstack" / "up.py")]


def up(env: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it where it must refuse."""
    everything = clean_environment() | env
    return subprocess.run([*UP, *arguments], env=everything, capture_output=True, text=True, check=False, timeout=120)


def client(service: str, env: dict[str, str], endpoint: str) -> Any:
    """A client of a local server, with the keys that it was started with."""
    return boto3.client(
        service,
        endpoint_url=env[endpoint],
        region_name="us-east-1",
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def dynamodb(env: dict[str, str]) -> Any:
    return client("dynamodb", env, "MEET_AWS_ENDPOINT_URL")


def s3(env: dict[str, str]) -> Any:
    return client("s3", env, "MEET_S3_ENDPOINT_URL")


def test_state_and_secrets_survive_a_restart(tmp_path: Path) -> None:
    env = clean_environment() | {"MEET_HOME": str(tmp_path / "home")}
    item = {"user_id": {"S": "u"}}
    with running(env, "--services-only") as (process, line):
        first = json.loads(line)
        children = descendants(process.pid)
        dynamodb(first).put_item(TableName="meet-users", Item=item)
        with Redis.from_url(first["MEET_REDIS_URL"]) as redis:
            redis.set("kept", "yes")
        s3(first).create_bucket(Bucket="kept")
        s3(first).put_object(Bucket="kept", Key="object", Body=b"bytes")
    assert not [child for child in children if Path(f"/proc/{child}").exists()]

    with running(env, "--services-only") as (_, line):
        second = json.loads(line)
        assert second["MEET_JWT_SECRET"] == first["MEET_JWT_SECRET"]
        assert dynamodb(second).get_item(TableName="meet-users", Key=item)["Item"] == item
        with Redis.from_url(second["MEET_REDIS_URL"]) as redis:
            assert redis.get("kept") == b"yes"
        assert s3(second).get_object(Bucket="kept", Key="object")["Body"].read() == b"bytes"
    assert (tmp_path / "home" / "jwt-secret").stat().st_mode & 0o777 == 0o600


def test_what_it_started_dies_with_it_even_when_it_is_killed(backend: dict[str, str], tmp_path: Path) -> None:
    env = clean_environment() | {"MEET_HOME": str(tmp_path)}
    process = subprocess.Popen([*UP, "--services-only"], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline()
        watched = [os.pidfd_open(child) for child in descendants(process.pid)]
        process.kill()
        process.wait()
    assert len(watched) >= 3
    for child in watched:
        try:
            signal.pidfd_send_signal(child, 0)  # still there, or a zombie: wait for its end
            assert _ends(child, within_s=30)
        except ProcessLookupError:
            continue
        finally:
            os.close(child)


def _ends(pidfd: int, *, within_s: float) -> bool:
    """Whether a process ends in time: its pidfd becomes readable then (pidfd_open(2))."""
    return bool(select.select([pidfd], [], [], within_s)[0])


def test_a_taken_port_is_named_with_the_cure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up({"MEET_HOME": str(tmp_path), "MEET_BIND_HOST": "127.0.0.1", "MEET_PORT": str(port)})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"TCP port {port} of 127.0.0.1 can't be bound (Address already in use): stop what uses it, "
        "or set MEET_PORT to a free port.\n"
    )


def test_a_second_system_on_the_same_state_is_refused(tmp_path: Path) -> None:
    env = clean_environment() | {"MEET_HOME": str(tmp_path)}
    with running(env, "--services-only"):
        done = up({"MEET_HOME": str(tmp_path)}, "--services-only")
    assert (done.returncode, done.stderr) == (
        1,
        f"Another system runs on the state in {tmp_path}: stop it, or set MEET_HOME to another folder.\n",
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"MEET_PORT": "http"}, "MEET_PORT is wrong: "),
        ({"MEET_RATE_LIMITS": "{"}, "MEET_RATE_LIMITS is wrong: it must be a JSON object"),
        ({"MEET_RATE_LIMITS": '{"tea": [1, 1]}'}, "MEET_RATE_LIMITS: 'tea'"),
        ({"MEET_JWT_SECRET": "short"}, "MEET_JWT_SECRET is too short"),
        ({"MEET_ADMIN_PASSWORD": "correct horse"}, "MEET_ADMIN_PASSWORD is the password of nobody"),
        ({"MEET_HOME": "/proc/meet"}, "MEET_HOME /proc/meet can't be written"),
    ],
)
def test_a_wrong_setting_is_one_sentence(wrong: dict[str, str], said: str, tmp_path: Path) -> None:
    done = up({"MEET_HOME": str(tmp_path)} | wrong)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_redis_that_is_away_is_one_sentence(
    backend: dict[str, str], free_port: Callable[[], int], tmp_path: Path
) -> None:
    away = {"MEET_HOME": str(tmp_path), "MEET_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    done = up(backend | away, "--services-only")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Redis (MEET_REDIS_URL) does not answer")


def test_a_process_that_dies_ends_the_system(start_system: StartSystem) -> None:
    with pytest.raises(AssertionError, match="exit code 1"), start_system() as system:
        _lose_the_gateway(system)


def _lose_the_gateway(system: System) -> None:
    gateway = next(
        child
        for child in descendants(system.process.pid)
        if b"functions.gateway" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    os.kill(gateway, signal.SIGKILL)
    if system.process.wait(60) != 1:
        pytest.fail("the system did not end in an error")
