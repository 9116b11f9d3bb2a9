"""Somebody who is in a room and says something: a real WebRTC client (aiortc) by WHIP, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import aioice.ice
import aiortc
import httpx
from aiortc.mediastreams import AudioStreamTrack

CONNECTED_S = 20.0


@contextmanager
def publishing(base_url: str, headers: dict[str, str], room_id: str) -> Iterator[None]:
    """Publish a microphone, in which it is quiet, from when the block begins until it ends.

    aioice leaves loopback out, and a test machine may have nothing else.
    """
    connected: Future[None] = Future()
    ended = threading.Event()
    found, aioice.ice.get_host_addresses = aioice.ice.get_host_addresses, _only_loopback
    thread = threading.Thread(
        target=lambda: asyncio.run(_publish(base_url, f"/whip/{room_id}", headers, connected, ended))
    )
    thread.start()
    try:
        connected.result(CONNECTED_S)
        yield
    finally:
        ended.set()
        thread.join()
        aioice.ice.get_host_addresses = found


def _only_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"]


async def _publish(
    base_url: str, path: str, headers: dict[str, str], connected: Future[None], ended: threading.Event
) -> None:
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    is_connected = asyncio.Event()

    @peer.on("connectionstatechange")
    def changed() -> None:
        if peer.connectionState == "connected":
            is_connected.set()

    try:
        peer.addTransceiver(AudioStreamTrack(), direction="sendonly")
        await peer.setLocalDescription(await peer.createOffer())
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
            sdp = {**headers, "Content-Type": "application/sdp"}
            answer = (await client.post(path, headers=sdp, content=peer.localDescription.sdp)).raise_for_status()
            await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer.text, "answer"))
            async with asyncio.timeout(CONNECTED_S):
                await is_connected.wait()
            connected.set_result(None)
            await asyncio.to_thread(ended.wait)
            (await client.delete(answer.headers["location"], headers=headers)).raise_for_status()
    except BaseException as error:
        if connected.done():
            raise
        connected.set_exception(error)
    finally:
        await peer.close()
