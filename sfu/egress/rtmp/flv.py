"""FLV as FFmpeg writes it into a pipe: tags, which are RTMP's messages (Adobe's FLV specification 10.1, annex E)."""

from dataclasses import dataclass

from sfu.egress.rtmp.chunks import AUDIO, DATA, VIDEO

HEADER_BYTES = 9
TAG_BYTES = 11
SIZE_BYTES = 4
"""Behind the header and each tag: how long it was."""


class FlvError(ValueError):
    """These bytes are no FLV."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One frame of video or sound, or metadata."""

    kind: int
    """`AUDIO`, `VIDEO` or `DATA`."""
    timestamp: int
    """Milliseconds."""
    data: bytes

    @property
    def is_setup(self) -> bool:
        """Whether a decoder needs it before all else: H.264's or AAC's configuration, or the metadata."""
        return self.kind == DATA or self.data[1:2] == b"\0"

    @property
    def is_key_frame(self) -> bool:
        """Whether a player can begin here."""
        return self.kind == VIDEO and not self.is_setup and b"\x10" <= self.data[:1] < b"\x20"


class Parser:
    """Cuts a stream into its tags."""

    def __init__(self) -> None:
        self._rest = b""
        self._began = False

    def feed(self, data: bytes) -> list[Tag]:
        """The tags that are whole now. Raises `FlvError`."""
        self._rest += data
        at = 0
        if not self._began:
            if len(self._rest) < HEADER_BYTES + SIZE_BYTES:
                return []
            if not self._rest.startswith(b"FLV"):
                raise FlvError("it does not begin as FLV does")
            self._began, at = True, HEADER_BYTES + SIZE_BYTES
        tags: list[Tag] = []
        while at + TAG_BYTES <= len(self._rest):
            kind = self._rest[at]
            size = int.from_bytes(self._rest[at + 1 : at + 4], "big")
            if kind not in (AUDIO, VIDEO, DATA):
                raise FlvError(f"a tag of kind {kind}")
            end = at + TAG_BYTES + size
            if end + SIZE_BYTES > len(self._rest):
                break
            timestamp = int.from_bytes(self._rest[at + 4 : at + 7], "big") | self._rest[at + 7] << 24
            tags.append(Tag(kind, timestamp, self._rest[at + TAG_BYTES : end]))
            at = end + SIZE_BYTES
        self._rest = self._rest[at:]
        return tags
