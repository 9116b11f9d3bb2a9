"""Hands what comes over the wire to a sink."""

import logging
from typing import Any

from sfu.egress.sink import Sink, Track
from sfu.egress.wire import Entry, Message, What, WireError
from sfu.rtp import rtcp
from sfu.rtp.packet import PacketError

log = logging.getLogger("meet.sfu.egress")


class Feed:
    """The tracks of one egress process by their numbers on the wire."""

    def __init__(self, sink: Sink) -> None:
        self.stopped = False
        """Whether the media process wants no more."""
        self._sink = sink
        self._tracks: dict[int, str] = {}

    def receive(self, frame: Message | tuple[Entry, ...], now: float) -> None:
        """A frame from the media process."""
        if isinstance(frame, tuple):
            for entry in frame:
                self._packet(entry, now)
        else:
            self._hear(frame, now)

    def _packet(self, entry: Entry, now: float) -> None:
        track_id = self._tracks.get(entry.number)
        if track_id is None:
            return  # a track that ended: its last packets were under way
        try:
            if entry.what is not What.RTCP:
                self._sink.rtp(track_id, entry.packet(), now)
                return
            for packet in rtcp.parse(entry.data):
                if isinstance(packet, rtcp.SenderReport):
                    self._sink.report(track_id, packet, now)
        except PacketError as error:
            log.warning("a packet of track %s cannot be read: %s", track_id, error)

    def _hear(self, message: dict[str, Any], now: float) -> None:
        sink = self._sink
        match message["type"]:
            case "begin":
                track = Track.from_dict(message["track"])
                self._tracks[message["number"]] = track.track_id
                sink.begin(track, now)
                if message["muted"]:
                    sink.mute(track.track_id, True, now)
            case "end":
                ended = message["track_id"]
                self._tracks = {number: track_id for number, track_id in self._tracks.items() if track_id != ended}
                sink.end(ended, now)
            case "mute":
                sink.mute(message["track_id"], message["muted"], now)
            case "rename":
                sink.rename(message["user_id"], message["username"], now)
            case "pause":
                sink.pause(message["at"])
            case "resume":
                sink.resume(message["at"])
            case "stop":
                self.stopped = True
            case other:
                raise WireError(f"a message of type {other}")
