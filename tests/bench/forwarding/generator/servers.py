"""How a generator talks to each kind of server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from typing import Any, Protocol

import aiohttp

from . import sdp
from .core import Peer

Sent = list[tuple[str, int, int]]
"""Sections that a publisher offers: kind, SSRC, SSRC of RTX."""


class Server(Protocol):
    """One room of a server."""

    async def publish(self, peer: Peer, sections: Sent) -> sdp.Description:
        """Connect a peer that sends; the other end's answer."""

    async def subscribe(self, peer: Peer, user: str, names: list[str]) -> sdp.Description:
        """Connect a peer that receives what all of `names` send, on behalf of a user."""


class Http:
    """POST a description, get one."""

    def __init__(self, http: aiohttp.ClientSession, url: str, room: str) -> None:
        self._http, self._url, self._room = http, url, room

    async def post(self, path: str, text: str = "") -> str:
        """The answer's body."""
        async with self._http.post(f"{self._url}/{path}", data=text.encode()) as response:
            response.raise_for_status()
            return await response.text()

    async def publish(self, peer: Peer, sections: Sent) -> sdp.Description:
        """As WHIP has it."""
        remote = sdp.read(await self.post(f"whip/{self._room}/{peer.name}", sdp.offer(peer, sections)))
        sdp.connect(peer, remote, offered=True)
        return remote


class Meet(Http):
    """Ours: the SFU offers."""

    async def subscribe(self, peer: Peer, user: str, names: list[str]) -> sdp.Description:
        """What all others send."""
        remote = sdp.read(await self.post(f"subscribe/{self._room}/{user}"))
        answer = sdp.answer(peer, remote)
        sdp.connect(peer, remote, offered=False)
        await self.post(f"answer/{self._room}/{user}", answer)
        return remote


class Pion(Http):
    """The peer offers."""

    async def subscribe(self, peer: Peer, user: str, names: list[str]) -> sdp.Description:
        """A section of sound and one of video for each."""
        sections = [(kind, 0, 0) for _ in names for kind in ("audio", "video")]
        path = f"whep/{self._room}/{peer.name}?from={','.join(names)}"
        remote = sdp.read(await self.post(path, sdp.offer(peer, sections)))
        sdp.connect(peer, remote, offered=True)
        return remote


class Janus:
    """Its videoroom, over its WebSocket API."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = http, url
        self._waiting: dict[str, tuple[bool, asyncio.Future[dict[str, Any]]]] = {}
        self._numbers = itertools.count()
        self._session: dict[str, int] = {}
        self._feeds: dict[str, int] = {}
        self._room = random.getrandbits(30)

    async def open(self) -> None:
        """Make the room."""
        self._socket = await self._http.ws_connect(self._url, protocols=("janus-protocol",), max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        self._session = {"session_id": (await self._ask(janus="create"))["data"]["id"]}
        await self._say(
            await self._attach(),
            request="create",
            room=self._room,
            publishers=1000,
            bitrate=0,
            audiocodec="opus",
            videocodec="vp8",
            notify_joining=False,
            transport_wide_cc_ext=True,
            playoutdelay_ext=False,
        )

    async def close(self) -> None:
        """End the session."""
        with contextlib.suppress(TimeoutError):
            await self._ask(janus="destroy")
        self._reading.cancel()
        await self._socket.close()

    async def publish(self, peer: Peer, sections: Sent) -> sdp.Description:
        """Join as a publisher."""
        handle = await self._attach()
        joined = await self._say(handle, request="join", ptype="publisher", room=self._room, display=peer.name)
        self._feeds[peer.name] = joined["plugindata"]["data"]["id"]
        jsep = {"type": "offer", "sdp": sdp.offer(peer, sections)}
        remote = sdp.read((await self._say(handle, jsep, request="publish"))["jsep"]["sdp"])
        sdp.connect(peer, remote, offered=True)
        return remote

    async def subscribe(self, peer: Peer, user: str, names: list[str]) -> sdp.Description:
        """Join as a subscriber."""
        handle = await self._attach()
        streams = [{"feed": self._feeds[name]} for name in names]
        offered = await self._say(handle, request="join", ptype="subscriber", room=self._room, streams=streams)
        remote = sdp.read(offered["jsep"]["sdp"])
        jsep = {"type": "answer", "sdp": sdp.answer(peer, remote)}
        sdp.connect(peer, remote, offered=False)
        await self._say(handle, jsep, request="start")
        return remote

    async def _attach(self) -> int:
        return int((await self._ask(janus="attach", plugin="janus.plugin.videoroom"))["data"]["id"])

    async def _say(self, handle: int, jsep: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        return await self._ask(event=body["request"] != "create", **message, **({"jsep": jsep} if jsep else {}))

    async def _ask(self, *, event: bool = False, **message: Any) -> dict[str, Any]:
        transaction = str(next(self._numbers))
        answered = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = event, answered
        await self._socket.send_json({**message, **self._session, "transaction": transaction})
        answer: dict[str, Any] = await asyncio.wait_for(answered, 60)
        assert answer["janus"] != "error", answer
        assert "error" not in answer.get("plugindata", {}).get("data", {}), answer
        return answer

    async def _read(self) -> None:
        async for message in self._socket:
            answer = message.json()
            event, waiting = self._waiting.get(answer.get("transaction"), (False, None))
            if waiting is not None and not waiting.done() and not (event and answer["janus"] == "ack"):
                waiting.set_result(answer)
