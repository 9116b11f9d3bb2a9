"""A room full of measuring peers: one WebSocket each to a running system, SDP written by hand."""

from __future__ import annotations

import json
import re
import secrets
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from .peers import Certificate, Peer, Remote, Stream

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
FEEDBACK = ("nack", "nack pli", "goog-remb")


@dataclass
class Member:
    """One participant: a joined socket, and its two media connections once they are there."""

    url: str
    token: str
    room_id: str
    certificate: Certificate
    sender: Peer = field(init=False)
    receiver: Peer = field(init=False)
    socket: ClientConnection = field(init=False)

    def __post_init__(self) -> None:
        self._open = ExitStack()
        self._passed: list[dict[str, Any]] = []
        dialled = connect(f"{self.url}?token={self.token}&room={self.room_id}", max_size=None)
        self.socket = self._open.enter_context(dialled)
        self.send(type="join")
        self.wait("joined")

    def close(self) -> None:
        self._open.close()

    def send(self, **frame: Any) -> None:
        self.socket.send(json.dumps({"room_id": self.room_id, **frame}))

    def wait(self, kind: str) -> dict[str, Any]:
        """The next frame of a kind; others wait for their turn, and an error frame fails."""
        while not (found := [frame for frame in self._passed if frame["type"] == kind]):
            self._passed.append(json.loads(self.socket.recv(timeout=20)))
            assert self._passed[-1]["type"] != "error", self._passed[-1]
        self._passed.remove(found[0])
        return found[0]

    def publish(self) -> list[Stream]:
        """Offer one VP8 and one Opus track; connected when it returns."""
        self.sender = self._connection()
        sections = [
            _section("audio", "0", ["111 opus/48000/2"], "sendonly", ssrc=1111),
            _section("video", "1", ["96 VP8/90000"], "sendonly", ssrc=2222),
        ]
        self.send(type="offer", pc="publish", sdp=_describe(self.sender, sections, setup="actpass"))
        answer = _text(self.wait("answer")["sdp"])
        self.sender.connect(Remote.of(answer))
        mid_id = int((re.search(rf"^a=extmap:(\d+)\S* {re.escape(MID_URI)}", answer, re.M) or [0, 1])[1])
        return [Stream("audio", 1111, 111, mid_id, "0"), Stream("video", 2222, 96, mid_id, "1")]

    def subscribe(self, tracks: int) -> None:
        """Answer offers until one carries `tracks` tracks; connected when it returns."""
        self.receiver = self._connection()
        connected = False
        while True:
            offer = self.wait("offer")
            text = _text(offer["sdp"])
            self.receiver.repeating = frozenset(map(int, re.findall(r"^a=rtpmap:(\d+) rtx/", text, re.M)))
            answer = _describe(self.receiver, _mirrored(text), "active")
            self.send(type="answer", pc="subscribe", target_user_id="sfu", sdp=answer)
            if not connected:
                self.receiver.connect(Remote.of(text))
                connected = True
            if len(offer["tracks"]) >= tracks:
                return

    def _connection(self) -> Peer:
        return self._open.enter_context(closing(Peer(self.certificate)))


def sign_up(api: httpx.Client) -> str:
    """A new user's access token; the client's base URL ends in `/api/v1`."""
    name, password = f"bench-{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    body = {"username": name, "email": f"{name}@example.com", "password": password}
    api.post("/auth/register", json=body).raise_for_status()
    signed_in = api.post("/auth/login", json={"username": name, "password": password})
    return str(signed_in.raise_for_status().json()["access_token"])


def _describe(peer: Peer, sections: list[list[str]], setup: str) -> str:
    mids = [line[6:] for section in sections for line in section if line.startswith("a=mid:")]
    head = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    transport = [
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{peer.ufrag}",
        f"a=ice-pwd:{peer.pwd}",
        f"a=fingerprint:{peer.certificate.fingerprint}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
    ]
    lines = head + [line for section in sections for line in [section[0], *transport, *section[1:]]]
    return "\r\n".join(lines) + "\r\n"


def _section(kind: str, mid: str, codecs: list[str], direction: str, *, ssrc: int | None = None) -> list[str]:
    types = [codec.split()[0] for codec in codecs]
    lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(types)}", f"a=mid:{mid}", f"a={direction}"]
    lines += [f"a=rtpmap:{codec}" for codec in codecs]
    lines += [f"a=extmap:1 {MID_URI}", f"a=extmap:2 {ABS_SEND_TIME_URI}"]
    if kind == "video":
        lines += [f"a=rtcp-fb:{types[0]} {each}" for each in FEEDBACK]
    if ssrc:
        lines += [f"a=msid:bench {kind}", f"a=ssrc:{ssrc} cname:bench"]
    return lines


def _mirrored(offer: str) -> list[list[str]]:
    """The answer's sections: the first codec of each, header extensions with the offer's ids."""
    sections = []
    for part in re.split(r"^(?=m=)", offer, flags=re.M)[1:]:
        lines = part.split("\r\n")
        kind, _, protocol, *types = lines[0][2:].split()
        keep = [line for line in lines[1:] if line.startswith("a=mid:")]
        direction = "recvonly" if "a=sendonly" in lines else "inactive"
        wanted = (MID_URI, ABS_SEND_TIME_URI)
        keep += [line for line in lines if line.startswith("a=extmap:") and line.endswith(wanted)]
        keep += [line for line in lines if line.startswith((f"a=rtpmap:{types[0]} ", f"a=rtcp-fb:{types[0]} "))]
        keep += [line for line in lines if line.startswith(f"a=fmtp:{types[0]} ")]
        sections.append([f"m={kind} 9 {protocol} {types[0]}", f"a={direction}", *keep])
    return sections


def _text(sdp: str | dict[str, str]) -> str:
    return sdp if isinstance(sdp, str) else sdp["sdp"]
