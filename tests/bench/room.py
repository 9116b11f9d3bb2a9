"""A room full of measuring peers: one WebSocket each to a running system, SDP written by hand."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from websockets.sync.client import ClientConnection, connect

from .peers import Certificate, Peer, Remote, Stream

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
FEEDBACK = ("nack", "nack pli", "goog-remb")


@dataclass
class Member:
    """One participant: a joined socket, and the peer that it talks for."""

    url: str
    token: str
    room_id: str
    certificate: Certificate
    peer: Peer = field(init=False)
    socket: ClientConnection = field(init=False)

    def __post_init__(self) -> None:
        self._open = ExitStack()
        self.peer = self._open.enter_context(closing(Peer(self.certificate)))
        dialled = connect(f"{self.url}?token={self.token}&room={self.room_id}", max_size=None)
        self.socket = self._open.enter_context(dialled)
        self.send(type="join")
        self.wait("joined")

    def close(self) -> None:
        self._open.close()

    def send(self, **frame: Any) -> None:
        self.socket.send(json.dumps({"room_id": self.room_id, **frame}))

    def wait(self, kind: str) -> dict[str, Any]:
        """The next frame of a kind; an error frame fails."""
        while True:
            frame: dict[str, Any] = json.loads(self.socket.recv(timeout=20))
            assert frame["type"] != "error", frame
            if frame["type"] == kind:
                return frame

    def publish(self) -> list[Stream]:
        """Offer one VP8 and one Opus track; connected when it returns."""
        sections = [
            _section("audio", "0", ["111 opus/48000/2"], "sendonly", ssrc=1111),
            _section("video", "1", ["96 VP8/90000"], "sendonly", ssrc=2222),
        ]
        self.send(type="offer", pc="publish", sdp=self._describe(sections, setup="actpass"))
        answer = _text(self.wait("answer")["sdp"])
        self.peer.connect(Remote.of(answer))
        mid_id = int((re.search(rf"^a=extmap:(\d+)\S* {re.escape(MID_URI)}", answer, re.M) or [0, 1])[1])
        return [Stream("audio", 1111, 111, mid_id, "0"), Stream("video", 2222, 96, mid_id, "1")]

    def subscribe(self, tracks: int) -> None:
        """Answer offers until one carries `tracks` tracks; connected when it returns."""
        connected = False
        while True:
            offer = self.wait("offer")
            text = _text(offer["sdp"])
            self.send(
                type="answer", pc="subscribe", target_user_id="sfu", sdp=self._describe(_mirrored(text), "active")
            )
            if not connected:
                self.peer.connect(Remote.of(text))
                connected = True
            if len(offer["tracks"]) >= tracks:
                return

    def _describe(self, sections: list[list[str]], setup: str) -> str:
        mids = [line[6:] for section in sections for line in section if line.startswith("a=mid:")]
        head = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
        transport = [
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{self.peer.ufrag}",
            f"a=ice-pwd:{self.peer.pwd}",
            f"a=fingerprint:{self.peer.certificate.fingerprint}",
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
