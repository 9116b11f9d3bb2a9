"""Ways through: a real Chromium whose network is not as simple as it could be, and the media that arrives anyway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from shutil import which
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright
from pydantic import SecretStr

from meet.config import Settings
from meet.ice import ice_servers
from sfu.endpoint import Endpoint
from sfu.plane.base import Address, TcpAddress
from tests.e2e.conftest import FLAGS
from tests.integration.conftest import Coturn

from .test_chromium_sdp import PAGE, Call

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp"
"""What a managed browser in a company is told, and what a firewall without UDP amounts to."""


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    html = "<!doctype html><title>Through</title>"
    await page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
    await page.goto("http://localhost/")
    await page.evaluate(PAGE)
    yield page
    await page.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with opened(browser) as page:
        yield page


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
BOTH = ("publisher", "receiver")


async def everything_flows(call: Call) -> None:
    await call.shown("microphone", "camera")
    await call.flows("camera")
    await call.flows("microphone")


async def test_media_flows_by_tcp_where_udp_is_blocked() -> None:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), tcp_port=0)
    assert endpoint.tcp is not None
    async with chromium(NO_UDP) as browser, opened(browser) as page, running(endpoint, page) as call:
        await call.publish(ALL)
        await everything_flows(call)
        for connection in BOTH:
            remote = (await pair(page, connection))["remote"]
            assert (remote["protocol"], remote["port"]) == ("tcp", endpoint.tcp.port)
        assert all(isinstance(transport.address, TcpAddress) for transport in endpoint.transports)


async def test_udp_is_taken_before_tcp_and_who_moves_to_another_network_is_found_there(page: Page) -> None:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), tcp_port=0)
    async with running(endpoint, page) as call:
        await call.publish(ALL)
        await everything_flows(call)
        for connection in BOTH:
            assert (await pair(page, connection))["remote"]["protocol"] == "udp"
        leave_network(endpoint)
        await call.publish("publisher.restartIce()")
        await everything_flows(call)
        for connection in BOTH:
            assert await page.evaluate(f"{connection}.connectionState") == "connected"


def leave_network(endpoint: Endpoint) -> None:
    """From now on nothing passes between the endpoint and where its peers are now."""
    left = {address for transport in endpoint.transports for address in transport.addresses}
    receive = endpoint.receive

    def from_elsewhere(datagram: bytes, address: Address, now: float) -> None:
        if address not in left:
            receive(datagram, address, now)

    endpoint.receive = from_elsewhere  # type: ignore[method-assign]


async def test_media_flows_over_ipv6(page: Page) -> None:
    endpoint = await Endpoint.open("::1", 0, ("::1",), tcp_port=0)
    async with running(endpoint, page) as call:
        await call.publish(ALL)
        await everything_flows(call)
        for connection in BOTH:
            assert (await pair(page, connection))["remote"]["address"] == "::1"


USE_RELAY = """([servers]) => {
    const configuration = {iceServers: servers, iceTransportPolicy: 'relay', bundlePolicy: 'max-bundle'};
    for (const pc of [publisher, receiver]) pc.setConfiguration(configuration);
}"""
GATHER = """async (servers) => {
    const pc = new RTCPeerConnection({iceServers: servers, iceTransportPolicy: 'relay'});
    const found = [];
    pc.createDataChannel('x');
    pc.onicecandidate = ({candidate}) => candidate && candidate.candidate && found.push(candidate.type);
    pc.onicecandidateerror = ({errorCode}) => found.push(errorCode);
    const gathered = new Promise((done) => {
        pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
    });
    await pc.setLocalDescription();
    await gathered;
    pc.close();
    return found;
}"""


async def test_media_flows_through_a_turn_server_and_only_with_credentials_that_hold(
    page: Page, coturn: Coturn
) -> None:
    config = Settings(stun_urls="", turn_urls=coturn.url, turn_secret=SecretStr(coturn.secret))
    now = datetime.now(UTC)
    good = ice_servers(config, "alice", now=now)
    wrong = ice_servers(config.model_copy(update={"turn_secret": SecretStr("another")}), "alice", now=now)
    expired = ice_servers(config, "alice", now=now - timedelta(seconds=config.turn_credential_s + 60))
    forged = [{**good[0], "username": good[0]["username"].replace("alice", "bob")}]
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",))
    async with running(endpoint, page) as call:
        async with asyncio.timeout(20):
            while await page.evaluate(GATHER, good) != ["relay"]:  # noqa: ASYNC110 - until another process listens
                await asyncio.sleep(0.1)
        for servers in (expired, forged, wrong):
            assert await page.evaluate(GATHER, servers) == [401]
        await page.evaluate(USE_RELAY, [good])
        await call.publish(ALL)
        await everything_flows(call)
        for connection in BOTH:
            assert (await pair(page, connection))["local"]["candidateType"] == "relay"
