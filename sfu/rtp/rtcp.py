"""RTCP (RFC 3550 section 6) and its feedback messages (RFC 4585, RFC 5104, REMB): bytes to values and back.

Transport-wide feedback is in `twcc`. Of extended reports (RFC 3611) two blocks are here, by which a receiver learns
the round trip. What is not of use to a forwarder (APP, the other blocks) is skipped when it is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from sfu.rtp import twcc
from sfu.rtp.packet import PacketError, padding
from sfu.rtp.twcc import TransportFeedback

_SR, _RR, _SDES, _BYE, _RTPFB, _PSFB, _XR = 200, 201, 202, 203, 205, 206, 207
_REFERENCE_TIME, _DELAY_SINCE = 4, 5
"""XR blocks (RFC 3611 sections 4.4 and 4.5)."""
_CNAME = 1
_NACK, _PLI, _FIR, _AFB = 1, 1, 4, 15
_MAX_REPORTS = 31
"""The count field has five bits."""

_HEAD = Struct("!BBH")
_WORD = Struct("!L")
_SENDER = Struct("!LQLLL")
_BLOCK = Struct("!LLLLLL")
_FEEDBACK = Struct("!LL")
_FCI = Struct("!HH")
_ANSWER = Struct("!LLL")
_REFERENCE = Struct("!LBBHQ")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says about one stream (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    packets_lost: int
    """Since the beginning; 24 bits, signed."""
    highest_index: int
    """The extended highest sequence number, modulo 2**32."""
    jitter: int
    """In units of the stream's clock."""
    last_sr: int
    """The middle 32 bits of the NTP time of the last SR; 0 where there was none."""
    delay: int
    """Since that SR arrived, in units of 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR: the sender's wall clock and media clock at one moment, and what it sent."""

    ssrc: int
    ntp: int
    """64 bits: seconds since 1900 and their fraction."""
    timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES, its CNAMEs only: (ssrc, cname)."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE."""

    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    """Generic NACK (RFC 4585 section 6.2.1): these sequence numbers are missing."""

    sender_ssrc: int
    media_ssrc: int
    sequence_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """PLI (RFC 4585 section 6.3.1): a key frame, please."""

    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """FIR (RFC 5104 section 4.3.1): (media ssrc, command number) of each asked."""

    sender_ssrc: int
    commands: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Remb:
    """The most that the receiver wants in all (draft-alvestrand-rmcat-remb-03)."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DelaySinceReference:
    """XR with DLRR (RFC 3611 section 4.5): how long a sender has had the reference time that a receiver told."""

    ssrc: int
    """The sender's."""
    answers: tuple[tuple[int, int, int], ...]
    """(the receiver's SSRC, the middle 32 bits of its reference time, the delay in units of 1/65536 s)"""


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Nack
    | TransportFeedback
    | PictureLoss
    | FullIntraRequest
    | Remb
    | DelaySinceReference
)


def parse(data: bytes) -> list[RtcpPacket]:
    """The packets of a compound, or of a reduced-size one (RFC 5506), without those we have no use for.

    Raises `PacketError` where a length, a version or a padding does not add up; nothing of the compound counts then.
    """
    packets: list[RtcpPacket] = []
    size, at = len(data), 0
    if not size:
        raise PacketError("RTCP: empty")
    while at < size:
        if at + 4 > size:
            raise PacketError("RTCP: shorter than a header")
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2:
            raise PacketError("RTCP: not version 2")
        if end > size:
            raise PacketError("RTCP: longer than the datagram")
        body = data[at + 4 : end]
        if first & 0x20:
            # RFC 3550 has padding in the last packet alone; libwebrtc pads each transport feedback of a compound.
            if not body or not 0 < body[-1] <= len(body):
                raise PacketError("RTCP: padding count out of range")
            body = body[: -body[-1]]
        packet = _read(kind, first & 0x1F, body)
        if packet is not None:
            packets.append(packet)
        at = end
    return packets


def _read(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    if kind == _SR:
        _need(body, 24 + 24 * count)
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        return SenderReport(ssrc, ntp, timestamp, packets, octets, _read_blocks(body, 24, count))
    if kind == _RR:
        _need(body, 4 + 24 * count)
        return ReceiverReport(_word(body, 0), _read_blocks(body, 4, count))
    if kind == _SDES:
        return SourceDescription(tuple(_read_cnames(body, count)))
    if kind == _BYE:
        _need(body, 4 * count)
        return Goodbye(Struct(f"!{count}L").unpack_from(body))
    if kind == _XR:
        return _read_extended(body)
    if kind in (_RTPFB, _PSFB):
        _need(body, 8)
        return _read_feedback(kind, count, body)
    return None


def _read_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for at in range(start, start + 24 * count, 24):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 1 << 24
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _read_cnames(body: bytes, chunks: int) -> Iterable[tuple[int, str]]:
    at = 0
    for _ in range(chunks):
        ssrc = _word(body, at)
        at += 4
        while True:
            _need(body, at + 1)
            item = body[at]
            if not item:  # the list ends with zeros up to the next word (section 6.5)
                at += 4 - at % 4
                break
            _need(body, at + 2)
            end = at + 2 + body[at + 1]
            _need(body, end)
            if item == _CNAME:
                yield ssrc, body[at + 2 : end].decode("utf-8", "replace")
            at = end


def _read_feedback(kind: int, fmt: int, body: bytes) -> RtcpPacket | None:
    sender_ssrc, media_ssrc = _FEEDBACK.unpack_from(body)
    if kind == _RTPFB:
        if fmt == twcc.FORMAT:
            return twcc.read(sender_ssrc, media_ssrc, body)
        return Nack(sender_ssrc, media_ssrc, tuple(_read_lost(body))) if fmt == _NACK else None
    if fmt == _PLI:
        return PictureLoss(sender_ssrc, media_ssrc)
    if fmt == _FIR:
        commands = tuple((_word(body, at), body[at + 4]) for at in range(8, len(body) - 7, 8))
        return FullIntraRequest(sender_ssrc, commands)
    if fmt == _AFB and body[8:12] == b"REMB":
        return _read_remb(sender_ssrc, body)
    return None


def _read_extended(body: bytes) -> DelaySinceReference | None:
    """The DLRR blocks of an XR packet; None where there are none."""
    ssrc, at = _word(body, 0), 4
    answers: list[tuple[int, int, int]] = []
    while at < len(body):
        _need(body, at + 4)
        block, _, words = _HEAD.unpack_from(body, at)
        at += 4
        end = at + 4 * words
        _need(body, end)
        if block == _DELAY_SINCE:
            answers += (_ANSWER.unpack_from(body, start) for start in range(at, end - 11, 12))
        at = end
    return DelaySinceReference(ssrc, tuple(answers)) if answers else None


def _read_lost(body: bytes) -> Iterable[int]:
    for at in range(8, len(body) - 3, 4):
        first, bits = _FCI.unpack_from(body, at)
        yield first
        for i in range(1, 17):
            if bits & 1:
                yield (first + i) & 0xFFFF
            bits >>= 1


def _read_remb(sender_ssrc: int, body: bytes) -> Remb:
    head = _word(body, 12)
    count = head >> 24
    _need(body, 16 + 4 * count)
    bitrate_bps = (head & 0x3FFFF) << (head >> 18 & 0x3F)
    return Remb(sender_ssrc, bitrate_bps, Struct(f"!{count}L").unpack_from(body, 16))


def _need(body: bytes, size: int) -> None:
    if len(body) < size:
        raise PacketError("RTCP: a packet ends too early")


def _word(body: bytes, at: int) -> int:
    _need(body, at + 4)
    return int.from_bytes(body[at : at + 4], "big")


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) >> 2) + body


def _blocks(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | max(-0x800000, min(block.packets_lost, 0x7FFFFF)) & 0xFFFFFF,
            block.highest_index & 0xFFFFFFFF,
            min(block.jitter, 0xFFFFFFFF),
            block.last_sr,
            min(block.delay, 0xFFFFFFFF),
        )
        for block in reports[:_MAX_REPORTS]
    )


def sender_report(report: SenderReport) -> bytes:
    """SR; of its report blocks at most 31."""
    info = _SENDER.pack(
        report.ssrc,
        report.ntp & (1 << 64) - 1,
        report.timestamp & 0xFFFFFFFF,
        report.packets & 0xFFFFFFFF,
        report.octets & 0xFFFFFFFF,
    )
    return _packet(_SR, min(len(report.reports), _MAX_REPORTS), info + _blocks(report.reports))


def receiver_report(report: ReceiverReport) -> bytes:
    """RR; of its report blocks at most 31. With none it opens a compound that only carries feedback."""
    count = min(len(report.reports), _MAX_REPORTS)
    return _packet(_RR, count, _WORD.pack(report.ssrc) + _blocks(report.reports))


def source_description(ssrc: int, cname: str) -> bytes:
    """SDES with one CNAME, cut at 255 bytes."""
    text = cname.encode()[:255]
    items = bytes((_CNAME, len(text))) + text + b"\0"
    return _packet(_SDES, 1, _WORD.pack(ssrc) + items + padding(len(items)))


def reference_time(ssrc: int, ntp: int) -> bytes:
    """XR with RRTR (RFC 3611 section 4.4): our time, 64 bits as in an SR, for senders to answer by DLRR."""
    return _packet(_XR, 0, _REFERENCE.pack(ssrc, _REFERENCE_TIME, 0, 2, ntp & (1 << 64) - 1))


def goodbye(ssrcs: Iterable[int]) -> bytes:
    """BYE of at most 31 sources."""
    leaving = list(ssrcs)[:_MAX_REPORTS]
    return _packet(_BYE, len(leaving), b"".join(map(_WORD.pack, leaving)))


def nack(sender_ssrc: int, media_ssrc: int, sequence_numbers: Iterable[int]) -> bytes:
    """Generic NACK of these sequence numbers, which ascend (across the wrap at 65535 too)."""
    entries: list[tuple[int, int]] = []
    for number in sequence_numbers:
        if entries:
            first, bits = entries[-1]
            ahead = (number - first) & 0xFFFF
            if 1 <= ahead <= 16:
                entries[-1] = (first, bits | 1 << ahead - 1)
                continue
            if not ahead:
                continue
        entries.append((number & 0xFFFF, 0))
    body = _FEEDBACK.pack(sender_ssrc, media_ssrc) + b"".join(_FCI.pack(*entry) for entry in entries)
    return _packet(_RTPFB, _NACK, body)


def picture_loss(sender_ssrc: int, media_ssrc: int) -> bytes:
    """PLI."""
    return _packet(_PSFB, _PLI, _FEEDBACK.pack(sender_ssrc, media_ssrc))


def full_intra_request(sender_ssrc: int, media_ssrc: int, command: int) -> bytes:
    """FIR of one stream. `command` (0 to 255) rises with each new request; the media field of the head is 0."""
    return _packet(
        _PSFB, _FIR, _FEEDBACK.pack(sender_ssrc, 0) + _WORD.pack(media_ssrc) + bytes((command & 255, 0, 0, 0))
    )


def remb(sender_ssrc: int, bitrate_bps: int, ssrcs: Iterable[int]) -> bytes:
    """REMB; the bit rate is rounded down to the 18 bits of its mantissa."""
    exponent = max(0, bitrate_bps.bit_length() - 18)
    listed = list(ssrcs)[:255]
    word = len(listed) << 24 | exponent << 18 | bitrate_bps >> exponent
    body = _FEEDBACK.pack(sender_ssrc, 0) + b"REMB" + _WORD.pack(word) + b"".join(map(_WORD.pack, listed))
    return _packet(_PSFB, _AFB, body)
