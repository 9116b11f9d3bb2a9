"""The script behind `make up`: the whole system on one machine, on one public port, until it is told to stop.

    python localstack/up.py                  everything; prints one line with the URL when it is ready
    python localstack/up.py --services-only  only the servers behind it; prints their environment as one line of JSON

Settings are `meet.config.Settings`, from the environment. What the environment already points to (`MEET_REDIS_URL`,
`MEET_AWS_ENDPOINT_URL`, `MEET_S3_ENDPOINT_URL`, `MEET_API_URL`) is used and not started. SIGINT and SIGTERM end
everything in order with exit code 0; whatever goes wrong is one sentence on standard error and exit code 1.
"""

import argparse
import fcntl
import json
import logging
import os
import secrets
import shlex
import signal
import socket
import sys
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import TextIO

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from redis import Redis, RedisError

from children import Children, Refused, Stopped
from functions.workers.sweeper import SWEEPS
from functions.workers.sweeper import handler as sweep_now
from inference import start_nodes
from meet.config import Settings, settings
from meet.errors import Unavailable
from meet.objects import ensure_bucket
from meet.presence import Presence
from meet.queue import ensure_queues
from meet.ratelimit import limits_from
from meet.store.base import create_tables
from meet.store.users import ensure_administrator
from meet.tokens import SECRET_BYTES
from servers import LOOPBACK, ROOT, Server, answers, check_port, free_ports, ministack, seaweedfs, valkey

log = logging.getLogger("meet.up")

SERVERS, INNER, EDGE = range(3)
"""The tiers, each of which needs the ones before it."""

LAST_PORT = 65535

SWEEP_S = 30.0
"""Between sweeps of what is recorded and streamed, where people wait for it."""
SLOW_SWEEPS = 10
"""Of so many sweeps one is of everything: as often as the schedule in template.yaml has the jobs swept."""
URGENT = ("recordings", "streams")
READY_S = 60.0
PATIENCE_S = 10.0
"""With a server that somebody else should have started already."""


def read_settings() -> Settings:
    """The settings of the environment as it is now; `Refused` where one of them is wrong."""
    settings.cache_clear()
    try:
        chosen = settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "MEET_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Refused(f"{name} is wrong: {first['msg'].removeprefix('Value error, ')}.") from None
    try:
        limits_from(chosen)
    except json.JSONDecodeError:
        raise Refused("MEET_RATE_LIMITS is wrong: it must be a JSON object, or `off`.") from None
    except ValueError as error:
        raise Refused(f"{error}.") from None
    try:
        chosen.upload_limit_mb  # noqa: B018 - read for what it raises
    except json.JSONDecodeError:
        raise Refused("MEET_UPLOAD_LIMITS is wrong: it must be a JSON object.") from None
    except ValueError as error:
        raise Refused(f"{error}.") from None
    if chosen.admin_password.get_secret_value() and not chosen.admin_username:
        raise Refused("MEET_ADMIN_PASSWORD is the password of nobody: set MEET_ADMIN_USERNAME too.")
    for name, port in (("MEET_UDP_PORT", chosen.udp_port), ("MEET_TCP_PORT", chosen.first_tcp_port)):
        if port + chosen.sfu_processes - 1 > LAST_PORT:
            raise Refused(
                f"{name} {port} leaves no port for each of MEET_SFU_PROCESSES {chosen.sfu_processes}: "
                f"set it to {LAST_PORT - chosen.sfu_processes + 1} or less."
            )
    return chosen


def open_home(home: Path) -> TextIO:
    """Make the state folder, and hold it: two systems on one state would ruin it. The file keeps the hold."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "logs").mkdir(exist_ok=True)
        hold = (home / "lock").open("w")
    except OSError as error:
        raise Refused(f"MEET_HOME {home} can't be written ({error.strerror}): name a folder of yours.") from None
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        hold.close()
        raise Refused(
            f"Another system runs on the state in {home}: stop it, or set MEET_HOME to another folder."
        ) from None
    return hold


def jwt_secret(chosen: Settings, home: Path) -> str:
    """The configured secret, or one made at the first start and kept, so that sign-ins outlive a restart."""
    configured = chosen.jwt_secret.get_secret_value()
    if configured:
        if len(configured.encode()) < SECRET_BYTES:
            raise Refused(f"MEET_JWT_SECRET is too short: it needs {SECRET_BYTES} bytes of random text or more.")
        return configured
    kept = home / "jwt-secret"
    if not kept.exists():
        made = home / "jwt-secret.new"  # a kill before it is whole must not leave an empty secret for ever
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        made.replace(kept)
    return kept.read_text()


def start_servers(children: Children, chosen: Settings, home: Path) -> dict[str, str]:
    """Start the servers that the environment doesn't name, wait until they answer; the settings that reach them."""
    aws_port, s3_port, redis_port = free_ports(3)
    env: dict[str, str] = {}
    started: list[Server] = []
    if not chosen.aws_endpoint_url:
        started.append(ministack(home, aws_port))
        env["MEET_AWS_ENDPOINT_URL"] = f"http://{LOOPBACK}:{aws_port}"
        if not chosen.s3_endpoint_url:
            # Never somebody's real keys to a local server. SeaweedFS takes those that it was started with, and no
            # others; who brings an S3 brings its keys.
            env |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
            started.append(seaweedfs(home, s3_port))
            env["MEET_S3_ENDPOINT_URL"] = f"http://{LOOPBACK}:{s3_port}"
    redis_url = chosen.redis_url
    own_redis = "redis_url" not in chosen.model_fields_set
    if own_redis:
        started.append(valkey(home, redis_port))
        redis_url = env["MEET_REDIS_URL"] = f"redis://{LOOPBACK}:{redis_port}/0"
    for server in started:
        children.start(server.name, SERVERS, server.command, {**os.environ, **env, **server.env})
    for server in started:
        if server.ready_url:
            children.wait_until(partial(answers, server.ready_url), server.name, READY_S)
    with Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2) as redis:
        within_s = READY_S if own_redis else PATIENCE_S
        children.wait_until(lambda: redis_answers(redis), "Redis (MEET_REDIS_URL)", within_s)
    return env


def redis_answers(redis: Redis) -> bool:
    """Whether Redis takes commands now; while it loads its log it refuses them."""
    try:
        return bool(redis.ping())
    except (RedisError, OSError):
        return False


def prepare_store() -> None:
    """Create what is lacking: tables, queues, the bucket, the configured administrator."""
    chosen = settings()
    try:
        create_tables()
        ensure_administrator()
        if chosen.aws_endpoint_url:
            ensure_queues()
    except Unavailable as error:
        raise Refused(
            f"DynamoDB or SQS at {chosen.aws_endpoint_url or 'AWS'} can't be used ({error}): "
            "see MEET_AWS_ENDPOINT_URL."
        ) from None
    except ValueError as error:
        raise Refused(f"The administrator can't be made of MEET_ADMIN_*: {error}.") from None
    if chosen.s3_endpoint_url or chosen.aws_endpoint_url:
        try:
            ensure_bucket()
        except (Unavailable, BotoCoreError, ClientError) as error:
            raise Refused(
                f"S3 at {chosen.s3_endpoint_url or chosen.aws_endpoint_url} can't be used ({error}): see "
                "MEET_S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from None


def start_system(children: Children, chosen: Settings) -> None:
    """Start the gateway, the worker, the media processes and the edge, and wait until each is healthy."""
    gateway_port, *inner_ports = free_ports(1 + chosen.sfu_processes)
    gateway_port = chosen.gateway_port or gateway_port
    env = dict(os.environ)
    if not chosen.api_url:
        env |= {"MEET_GATEWAY_PORT": str(gateway_port), "MEET_API_URL": f"http://{LOOPBACK}:{gateway_port}"}
        children.start("gateway", INNER, [sys.executable, "-m", "functions.gateway"], env)
        children.start("ffmpeg", INNER, [sys.executable, "-m", "functions.workers.ffmpeg"], env)
    for index, port in enumerate(inner_ports):
        own = {"MEET_PROCESS_INDEX": str(index), "MEET_INNER_PORT": str(port)}
        children.start(f"media-{index}", INNER, [sys.executable, "-m", "sfu"], env | own)
    if not chosen.api_url:
        children.wait_until(lambda: answers(f"{env['MEET_API_URL']}/health"), "The gateway", READY_S)
    with Redis.from_url(chosen.redis_url, socket_timeout=2) as redis:
        urls = {f"http://{chosen.inner_host}:{port}" for port in inner_ports}
        children.wait_until(
            lambda: urls <= {node.url for node in Presence(redis).nodes()}, "The media process", READY_S
        )
    children.start("edge", EDGE, [sys.executable, "-m", "sfu.edge"], env)
    host = LOOPBACK if chosen.bind_host in ("0.0.0.0", "::") else chosen.bind_host  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{chosen.port}"
    children.wait_until(lambda: answers(f"{url}/health"), "The edge", READY_S)


def keep_environment(home: Path) -> None:
    """For `make doctor` and the like: what the system's processes were started with, for a shell to read."""
    names = sorted(name for name in os.environ if name.startswith(("MEET_", "AWS_")))
    text = "".join(f"{name}={shlex.quote(os.environ[name])}\n" for name in names)
    with open(os.open(home / "environment", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def sweep(stop_asked: Event) -> None:
    """What the schedules do on AWS, until asked to stop."""
    for beat in count(1):
        if stop_asked.wait(SWEEP_S):
            return
        for name in SWEEPS if beat % SLOW_SWEEPS == 0 else URGENT:
            try:
                sweep_now({"sweep": name}, None)
            except Exception:
                log.warning("The sweep of %s failed; it is tried again", name, exc_info=True)


def run(stop_asked: Event, *, services_only: bool, extra: str = "") -> None:
    """Start everything, say so in one line, and hold until asked to stop."""
    chosen = read_settings()
    home = chosen.home.resolve()
    with open_home(home) as hold:
        os.environ |= {"MEET_HOME": str(home), "MEET_JWT_SECRET": jwt_secret(chosen, home)}
        if not services_only:
            check_port(chosen.bind_host, chosen.port, socket.SOCK_STREAM, "MEET_PORT")
            for index in range(chosen.sfu_processes):
                check_port(chosen.bind_host, chosen.udp_port + index, socket.SOCK_DGRAM, "MEET_UDP_PORT")
                if chosen.first_tcp_port:
                    check_port(chosen.bind_host, chosen.first_tcp_port + index, socket.SOCK_STREAM, "MEET_TCP_PORT")
        children = Children(home / "logs", stop_asked, hold)
        try:
            env = start_servers(children, chosen, home)
            os.environ |= env
            chosen = read_settings()
            prepare_store()
            if services_only:
                print(json.dumps(env | {"MEET_JWT_SECRET": os.environ["MEET_JWT_SECRET"]}), flush=True)
            else:
                start_system(children, chosen)
                keep_environment(home)
                if not chosen.api_url:
                    Thread(target=sweep, args=[stop_asked], daemon=True).start()
                print(f"Meet is ready: {chosen.base_url} (Ctrl-C stops it; state and logs are in {home})", flush=True)
                if chosen.inference_nodes:
                    begin = partial(start_nodes, extra=extra, redis_url=chosen.redis_url, stop_asked=stop_asked)
                    Thread(target=begin, args=[children, INNER, chosen.inference_nodes], daemon=True).start()
            children.watch()
        finally:
            children.stop()


def main() -> int:
    """Read the command line, turn signals into a wish to stop, and errors into a sentence."""
    parser = argparse.ArgumentParser(description="Run the whole of Meet on this machine.")
    parser.add_argument("--services-only", action="store_true", help="only DynamoDB, SQS, S3 and Redis")
    parser.add_argument("--with", dest="extra", default="", choices=["", "transformers"], help="engines to install")
    options = parser.parse_args()
    stop_asked = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop_asked.set())
    os.chdir(ROOT)
    try:
        run(stop_asked, services_only=options.services_only, extra=options.extra)
    except Stopped:
        pass
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
