"""Counts the frames of a call exactly: every one that was encoded, and whether each receiver decoded it.

The page is the ordinary one, but each camera is small and is published once, without layers: then every frame that is
sent is one that everybody should see. Frames are counted from one stop of the cameras to the next, so that none is on
its way when a count begins or ends; the ways are bad in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .camera import busy_camera
from .person import Person

FRAME_RATE = 15

PREPARE = (
    """
  globalThis.connections = [];
  const Native = RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      connections.push(this);
    }
    addTransceiver(track, init) {
      const once = track.kind === 'video' ? { ...init, sendEncodings: [{ maxBitrate: 400_000 }] } : init;
      return super.addTransceiver(track, once);
    }
  };
  let cameras = [];
  globalThis.pauseCamera = async () => {
    const senders = connections.flatMap((each) => each.getSenders());
    const sending = senders.filter(({ track }) => track?.kind === 'video');
    cameras = sending.map((sender) => ({ sender, track: sender.track }));
    for (const { sender } of cameras) await sender.replaceTrack(null);
  };
  globalThis.resumeCamera = async () => {
    for (const { sender, track } of cameras) await sender.replaceTrack(track);
  };
  globalThis.videos = async (type) => {
    const all = await Promise.all(connections.map((each) => each.getStats()));
    return all.flatMap((each) => [...each.values()]).filter((each) => each.type === type && each.kind === 'video');
  };

  // the longest time between two frames that came out of the decoder, by track; and the same less what lay between
  // them at the camera beyond one frame, since a machine that is busy makes that stop now and then
  globalThis.gaps = {};
  globalThis.watch = async (id) => {
    const receivers = connections.flatMap((each) => each.getReceivers());
    const { track } = receivers.find((each) => each.track.id === id);
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (let last; ; ) {
      const { value: frame, done } = await reader.read();
      if (done) return;
      const now = { at: performance.now(), taken: frame.timestamp / 1000 };
      frame.close();
      if (last) {
        const gap = now.at - last.at;
        const pause = Math.max(0, now.taken - last.taken - 1000 / FRAME_RATE);
        const [whole, ofPath] = gaps[id] ?? [0, 0];
        gaps[id] = [Math.max(whole, gap), Math.max(ofPath, gap - pause)];
      }
      last = now;
    }
  };
""".replace("FRAME_RATE", str(FRAME_RATE))
    + busy_camera(320, 180, FRAME_RATE)
)
"""Runs in the page before its own script."""

SETTLE_S = 8.0


@dataclass(frozen=True)
class Seen:
    """What one person saw of another while the ways were bad."""

    sender: str
    receiver: str
    sent: int
    """Frames."""
    missing: int
    """Of these, never decoded."""
    longest_gap_s: float
    """Between two frames; where none is missing, less what the camera left between them."""
    asked: int
    """NACKs of the receiver."""
    recovered: int
    """Packets that it got by RTX."""
    key_frames_asked: int

    @property
    def share(self) -> float:
        """Of the frames sent, those decoded."""
        return 1 - self.missing / self.sent

    def __str__(self) -> str:
        return (
            f"{self.sender:6} to {self.receiver:6} {self.share:8.2%} of {self.sent:4} frames, longest gap "
            f"{self.longest_gap_s:.2f} s, {self.asked} NACKs, {self.recovered} packets repeated, "
            f"{self.key_frames_asked} key frames asked for"
        )


class View:
    """One person's sight of another's camera."""

    def __init__(self, sender: Person, receiver: Person) -> None:
        """Once it flows."""
        self.sender = sender
        self.receiver = receiver
        flows = receiver.until(
            lambda now: now.stream(sender.name, "camera").get("framesDecoded", 0) > 5, f"sees {sender.name}"
        )
        self._track = flows.stream(sender.name, "camera")["trackIdentifier"]
        receiver.page.evaluate("id => { watch(id); }", self._track)

    def received(self) -> dict[str, Any]:
        """The browser's statistics of the stream."""
        streams = self.receiver.page.evaluate("videos('inbound-rtp')")
        return next(each for each in streams if each["trackIdentifier"] == self._track)

    def settled(self) -> dict[str, Any]:
        """These once no frame comes any more."""
        end, before = time.monotonic() + SETTLE_S, None
        while time.monotonic() < end:
            now = self.received()
            if before and now["framesDecoded"] == before["framesDecoded"]:
                return now
            before = now
            self.receiver.page.wait_for_timeout(700)
        raise AssertionError(f"{self.receiver.name} goes on decoding a camera that has stopped")

    def take_gaps_s(self) -> tuple[float, float]:
        """The longest since the last call: between frames, and less the camera's own pauses."""
        gaps = self.receiver.page.evaluate(
            "id => { const gap = gaps[id]; delete gaps[id]; return gap; }", self._track
        )
        whole, of_path = gaps or (0, 0)
        return whole / 1000, of_path / 1000


def count_frames(
    views: list[View], seconds: float, *, worsen: Callable[[], None], mend: Callable[[], None]
) -> list[Seen]:
    """Let everybody send for so long after `worsen`; what each saw of that, counted once the ways were mended."""
    senders = list(dict.fromkeys(view.sender for view in views))
    _everybody(senders, "pauseCamera()")
    before = [view.settled() for view in views]
    encoded_before = {sender: _encoded(sender) for sender in senders}
    _everybody(senders, "resumeCamera()")
    for view, counted in zip(views, before, strict=True):
        frames = counted["framesDecoded"] + 5
        view.receiver.until(lambda _, view=view, frames=frames: view.received()["framesDecoded"] > frames, "goes on")
        view.take_gaps_s()
    worsen()
    encoded_first = {sender: _encoded(sender) for sender in senders}
    senders[0].page.wait_for_timeout(1000 * seconds)
    encoded_last = {sender: _encoded(sender) for sender in senders}
    mend()
    senders[0].page.wait_for_timeout(1000)  # what was lost last shows with what comes after it
    gaps = [view.take_gaps_s() for view in views]
    _everybody(senders, "pauseCamera()")
    after = [view.settled() for view in views]
    encoded_after = {sender: _encoded(sender) for sender in senders}
    _everybody(senders, "resumeCamera()")
    seen = []
    for view, first, last, (whole, of_path) in zip(views, before, after, gaps, strict=True):
        sender = view.sender
        missing = encoded_after[sender] - encoded_before[sender] - (last["framesDecoded"] - first["framesDecoded"])
        seen.append(
            Seen(
                sender=sender.name.partition("-")[0],
                receiver=view.receiver.name.partition("-")[0],
                sent=encoded_last[sender] - encoded_first[sender],
                missing=missing,
                longest_gap_s=whole if missing else of_path,
                asked=_grown(first, last, "nackCount"),
                recovered=_grown(first, last, "retransmittedPacketsReceived"),
                key_frames_asked=_grown(first, last, "pliCount"),
            )
        )
    return seen


def _everybody(people: list[Person], action: str) -> None:
    for person in people:
        person.page.evaluate(action)


def _encoded(sender: Person) -> int:
    (stream,) = sender.page.evaluate("videos('outbound-rtp')")
    return int(stream["framesEncoded"])


def _grown(first: dict[str, Any], last: dict[str, Any], name: str) -> int:
    return int(last.get(name, 0) - first.get(name, 0))
