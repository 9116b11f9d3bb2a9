"""The hostile corpus against a running system: some of it in every run, all of it under MEET_SOAK.

Nothing is kept as something that it isn't, nothing that is kept is given to a browser as anything else, and neither
the edge nor the FFmpeg worker ends of it.
"""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bucket import eventually
from tests.conftest import System
from tests.contract.people import Caller, client, newcomer
from tests.data.hostile import CORPUS, LONG, Hostile
from tests.data.samples import sample

SOME = {
    *("hls.mp4", "subtitles.avi", "page.jpg", "gif-and-script.gif", "jpg-and-page.jpg", "program.txt"),
    *("pdf-and-archive.pdf", "largest.png", "bomb.mp4", "../../../../etc/cron.d/job.png", LONG),
    'a"\r\nSet-Cookie: x=1\r\n.png',
}
SENT = [one for one in CORPUS if os.environ.get("MEET_SOAK") or one.name in SOME]
WORKED_ON = ("elsewhere.mov", "half.webm", "endless.mp4")
OVER = ("completed", "failed")


@pytest.fixture(scope="module")
def caller(system: System) -> Iterator[Caller]:
    with client(system.base_url) as api:
        yield newcomer(api, "mallory")


def upload(caller: Caller, name: str, content: bytes) -> httpx.Response:
    return caller.call("POST", "/api/v1/media/upload", files={"file": (name, content)})


@pytest.mark.parametrize("hostile", SENT, ids=str)
def test_each_is_refused_or_given_as_what_it_is(caller: Caller, hostile: Hostile) -> None:
    content = hostile.make()
    answer = upload(caller, hostile.name, content)
    if hostile.taken_for is None:
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        return
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert file["mime_type"] == hostile.taken_for
    assert 0 < len(file["filename"]) <= 255
    assert not set(file["filename"]) & set("/\\\0\r\n")
    given = caller.call("GET", urlsplit(file["url"]).path + "?disposition=inline")
    assert given.content == content
    assert given.headers["content-type"] == hostile.taken_for
    assert given.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in given.headers["content-security-policy"]
    assert "set-cookie" not in given.headers
    shown = file["file_type"] != "document"
    assert given.headers["content-disposition"].startswith("inline" if shown else "attachment")


def test_what_was_taken_ends_no_worker(caller: Caller) -> None:
    """Whatever becomes of each, the worker converts a good file after them."""
    files = [one.make() for one in CORPUS if one.name in WORKED_ON]
    ends = []
    for content in (*files, sample("mp4")):
        media_id = upload(caller, "it", content).raise_for_status().json()["media_id"]
        asked = {"media_id": media_id, "audio_format": "mp3"}
        job_id = caller.call("POST", "/api/v1/ffmpeg/extract-audio", json=asked).raise_for_status().json()["job_id"]
        path = f"/api/v1/ffmpeg/job/{job_id}/status"
        job = eventually(lambda path=path: caller.call("GET", path).json(), lambda job: job["status"] in OVER)  # type: ignore[misc]
        ends.append(job["status"])
    assert len(ends) == len(WORKED_ON) + 1
    assert ends[-1] == "completed"
