"""Debian's Chromium with its fake camera and microphone, and people who use it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import StartSystem, System
from tests.link import Link, need_link
from tests.processes import media_processes

from .cable import Cable
from .person import Person

FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
]

SLOW_CAMERA = "--use-fake-device-for-media-stream=fps=10"
"""Half the pictures, and so half the work, of a machine that encodes and decodes for everybody in the call."""

SCREENSHOTS = Path("out/screenshots")
"""Where the pictures of the page are kept, to be looked at."""


def chromium() -> str:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=[*FLAGS, SLOW_CAMERA])
        yield browser
        browser.close()


@dataclass(frozen=True)
class Far:
    """A system of its own, and a Chromium that reaches it over a link alone."""

    link: Link
    system: System
    browser: Browser
    base_url: str
    """Of the system, for that Chromium, which trusts it with camera and microphone though it is no HTTPS."""


@pytest.fixture(scope="session")
def _far(browser: Browser, start_system: StartSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    need_link()
    everywhere = "0.0.0.0"  # noqa: S104 - two networks at once, both of this machine
    with (
        Link(seed=1) as link,
        start_system(MEET_BIND_HOST=everywhere, MEET_ANNOUNCED_IP=f"127.0.0.1,{link.server_address}") as system,
        link.program(chromium(), tmp_path_factory.mktemp("far")) as path,
    ):
        base_url = f"http://{link.server_address}:{system.env['MEET_PORT']}"
        flags = [*FLAGS, SLOW_CAMERA, f"--unsafely-treat-insecure-origin-as-secure={base_url}"]
        started = browser.browser_type.launch(executable_path=path, headless=True, args=flags)
        yield Far(link, system, started, base_url)
        started.close()


@pytest.fixture
def far(_far: Far) -> Iterator[Far]:
    """The same for all tests that want one, its link perfect at the beginning."""
    yield _far
    _far.link.mend()


@pytest.fixture
def somebody(browser: Browser, base_url: str) -> Iterator[Callable[..., Person]]:
    """Makes people; each has a browser profile of their own and must not have met an error of the page's script."""
    people: list[Person] = []

    def make(
        name: str, *, base_url: str = base_url, browser: Browser = browser, width: int = 1100, height: int = 700
    ) -> Person:
        people.append(Person(browser, base_url, name, width=width, height=height))
        return people[-1]

    yield make
    for person in people:
        person.close()
    assert not [(person.name, error) for person in people for error in person.errors if "net::ERR" not in error]


@pytest.fixture
def cable(base_url: str) -> Iterator[Cable]:
    """A way to the system that can be cut."""
    cable = Cable(int(base_url.rpartition(":")[2]))
    yield cable
    cable.close()


@pytest.fixture
def media_libraries(system: System) -> Callable[[], set[str]]:
    """Which libraries of FFmpeg or PyAV the system's media processes have mapped."""

    def mapped() -> set[str]:
        pids = media_processes(system.process.pid)
        assert pids, "the system has no media process"
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in pids)
        return {line.split("/")[-1] for line in maps.splitlines() if re.search(r"/(libav|libsw|av[./])", line)}

    return mapped
