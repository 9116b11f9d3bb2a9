"""A recording whose media process hangs, as it would from behind a broken link: it is finished without it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from functions.workers import sweeper
from meet import queue
from meet.clock import utcnow
from meet.config import settings
from meet.store import base
from tests.bucket import eventually
from tests.conftest import StartSystem, System
from tests.contract.people import client, meeting_of, newcomer
from tests.contract.publisher import publishing
from tests.processes import media_processes

API = "/api/v1/recording"
LEASE_S = 3


@pytest.fixture
def system(start_system: StartSystem) -> Iterator[System]:
    """A system whose media process need not be silent for long, and this process in the place of its sweeper."""
    caches = [settings, base._connect, queue._connect]
    with start_system(MEET_RECORDING_LEASE_S=str(LEASE_S)) as started, pytest.MonkeyPatch.context() as environment:
        for name, value in started.env.items():
            environment.setenv(name, value)
        for cache in caches:
            cache.cache_clear()
        yield started
    for cache in caches:
        cache.cache_clear()


def test_a_media_process_that_hangs_loses_its_recording_and_lets_go_of_it(system: System) -> None:
    [media] = media_processes(system.process.pid)
    with client(system.base_url) as api:
        user = newcomer(api, "user")
        meeting = meeting_of(user)
        room = {"meeting_id": meeting["meeting_number"], "room_id": meeting["room_id"]}

        def status() -> dict[str, Any]:
            answer: dict[str, Any] = user.call("GET", f"{API}/status/{recording_id}").raise_for_status().json()
            return answer

        with publishing(system.base_url, {"Authorization": f"Bearer {user.token}"}, meeting["room_id"]):
            answer = user.call("POST", f"{API}/start", json=room).raise_for_status()
            recording_id = answer.json()["recording_id"]
            eventually(status, lambda told: told["duration_s"] >= 1 and told["participants"] == 1)
            assert sweeper.finish_recordings(utcnow()) == 0, "it is alive"
            os.kill(media, signal.SIGSTOP)
            try:
                eventually(lambda: sweeper.finish_recordings(utcnow()), bool)
                ended = eventually(status, lambda told: told["status"] in ("completed", "failed"))
            finally:
                os.kill(media, signal.SIGCONT)
            assert (ended["status"], ended["interrupted"], ended["error"]) == ("completed", True, None)
            assert ended["duration_s"] >= 1
            assert [track["source"] for track in ended["tracks"]] == ["microphone"]
            assert user.call("GET", ended["download_url"].removeprefix(settings().base_url)).status_code == 200
            # What hung learns that there is nothing to record any more, and the room can be recorded again.
            eventually(lambda: api.get(f"{API}/health").json()["active_recordings"], lambda count: count == 0)
            again = user.call("POST", f"{API}/start", json=room).raise_for_status().json()["recording_id"]
            stopped = user.call("POST", f"{API}/stop", json={"recording_id": again}).raise_for_status().json()
            assert not stopped["interrupted"]
        assert status() == ended
