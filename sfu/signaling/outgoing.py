"""What leaves a room, as the people in it know it: recordings, and live streams."""

from typing import Literal

from sfu.signaling import frames
from sfu.signaling.frames import Frame

Kind = Literal["recording", "stream"]
News = Literal["started", "paused", "resumed", "stopped"]


class Outgoing:
    """The recordings and streams of one room that run now."""

    def __init__(self) -> None:
        self._recordings: dict[str, Frame] = {}
        self._streams: dict[str, Frame] = {}

    @property
    def recordings(self) -> list[Frame]:
        """As in `joined`."""
        return list(self._recordings.values())

    @property
    def streams(self) -> list[Frame]:
        """As in `joined`."""
        return list(self._streams.values())

    def hear(self, kind: Kind, egress_id: str, news: News, started_by: str, now: float) -> Frame:
        """One of them began, changed or ended: what everybody is to be told."""
        if kind == "stream":
            self._streams[egress_id] = {"stream_id": egress_id, "started_by": started_by}
            if news == "stopped":
                del self._streams[egress_id]
            return frames.streaming(news, egress_id, started_by, now)
        self._recordings[egress_id] = {
            "recording_id": egress_id,
            "started_by": started_by,
            "paused": news == "paused",
        }
        if news == "stopped":
            del self._recordings[egress_id]
        return frames.recording(news, egress_id, started_by, now)
