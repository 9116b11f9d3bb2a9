"""Files made to do harm, through the public port: refused and gone, or given back as what they are and nothing else.

All of them under `MEET_SOAK=1`, else every sixth.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bucket import Bucket
from tests.conftest import StartSystem, System
from tests.contract.people import Caller, client, newcomer
from tests.data.hostile import CORPUS, Hostile

AT_ONCE = 3
"""As many as one user may."""


@pytest.fixture(scope="module")
def besieged(start_system: StartSystem) -> Iterator[System]:
    with start_system(MEET_BUCKET="uploads-hostile") as system:
        yield system


def outcome(caller: Caller, hostile: Hostile) -> str:
    """What is wrong with how the system took the file; "" for nothing."""
    content = hostile.make()
    answer = caller.call("POST", "/api/v1/media/upload", files={"file": (hostile.name, content)})
    if answer.status_code == 400:
        return "" if hostile.taken_for is None else f"refused: {answer.text}"
    if answer.status_code != 201:
        return f"{answer.status_code}: {answer.text}"
    file = answer.json()
    path = urlsplit(file["url"]).path
    given: httpx.Response = caller.call("GET", f"{path}?disposition=inline")
    told = given.headers
    shown = told["content-disposition"].startswith("inline")
    good = {
        "it is taken for what it is": file["mime_type"] == told["content-type"] == hostile.taken_for,
        "its bytes are its own": given.content == content,
        "only what can't be run is shown": not shown or told["content-type"].startswith(("video", "audio", "image")),
        "no browser guesses": told["x-content-type-options"] == "nosniff",
        "no script runs": "sandbox" in told["content-security-policy"],
        "its name is no path": not {"/", "\\", "\n"} & set(file["filename"]) and len(file["filename"]) <= 255,
    }
    caller.call("DELETE", f"/api/v1/media/{file['media_id']}").raise_for_status()
    return ", ".join(rule for rule, kept in good.items() if not kept)


def test_none_does_harm(besieged: System) -> None:
    corpus = CORPUS if os.environ.get("MEET_SOAK") else CORPUS[::6]
    with client(besieged.base_url) as api, ThreadPoolExecutor(AT_ONCE) as pool:
        caller = newcomer(api, "mallory")
        wrong = dict(zip(map(str, corpus), pool.map(lambda each: outcome(caller, each), corpus), strict=True))
        assert {name: said for name, said in wrong.items() if said} == {}
        assert Bucket(besieged.env).keys() == set()
        assert api.get("/health").status_code == 200
