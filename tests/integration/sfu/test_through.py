"""Ways through: a real Chromium whose network is not as simple as it could be, and the media that arrives anyway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from shutil import which
from typing import Any

from playwright.async_api import Page, async_playwright

from sfu.endpoint import Endpoint
from sfu.plane.base import TcpAddress
from tests.e2e.conftest import FLAGS

from .test_chromium_sdp import PAGE, Call

NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp"
"""What a managed browser in a company is told, and what a firewall without UDP amounts to."""


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Page]:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        page = await browser.new_page()
        html = "<!doctype html><title>Through</title>"
        await page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.goto("http://localhost/")
        await page.evaluate(PAGE)
        yield page
        await browser.close()


@asynccontextmanager
async def running(endpoint: Endpoint, page: Page) -> AsyncIterator[Call]:
    call = Call(endpoint, page)
    tasks = [asyncio.create_task(call.pump()), asyncio.create_task(call.tick())]
    try:
        yield call
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        endpoint.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def pair(page: Page, connection: str) -> dict[str, Any]:
    """The local and the remote candidate that a connection of the page uses."""
    found: dict[str, Any] = await page.evaluate(
        """async (name) => {
            const stats = await self[name].getStats();
            const transport = [...stats.values()].find(({type}) => type === 'transport');
            const pair = stats.get(transport.selectedCandidatePairId);
            return {local: stats.get(pair.localCandidateId), remote: stats.get(pair.remoteCandidateId)};
        }""",
        connection,
    )
    return found


ALL = "media.getTracks().forEach((track) => add(track))"


async def test_media_flows_by_tcp_where_udp_is_blocked() -> None:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), tcp_port=0)
    async with chromium(NO_UDP) as page, running(endpoint, page) as call:
        await call.publish(ALL)
        await call.shown("microphone", "camera")
        await call.flows("camera")
        await call.flows("microphone")
        for connection in ("publisher", "receiver"):
            remote = (await pair(page, connection))["remote"]
            assert (remote["protocol"], remote["port"]) == ("tcp", endpoint.tcp.port)  # type: ignore[union-attr]
        assert all(isinstance(transport.address, TcpAddress) for transport in endpoint.transports)


async def test_udp_is_taken_before_tcp() -> None:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), tcp_port=0)
    async with chromium() as page, running(endpoint, page) as call:
        await call.publish(ALL)
        await call.shown("microphone", "camera")
        await call.flows("camera")
        for connection in ("publisher", "receiver"):
            assert (await pair(page, connection))["remote"]["protocol"] == "udp"


async def test_media_flows_over_ipv6() -> None:
    endpoint = await Endpoint.open("::1", 0, ("::1",), tcp_port=0)
    async with chromium() as page, running(endpoint, page) as call:
        await call.publish(ALL)
        await call.shown("microphone", "camera")
        await call.flows("camera")
        for connection in ("publisher", "receiver"):
            assert (await pair(page, connection))["remote"]["address"] == "::1"
