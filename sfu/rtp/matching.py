"""Which of a publisher's payload types a subscriber understands, and under which of its own numbers."""

from sfu.rtp.parameters import RtpCodec, RtpParameters

_NOT_MATCHED = frozenset(("rtx", "ulpfec", "flexfec-03"))


class IncompatibleCodecs(ValueError):
    """The subscriber negotiated no codec that the publisher may send."""


def same_codec(one: RtpCodec, other: RtpCodec) -> bool:
    """Whether a stream of `one` may be sent as `other`: the same name, clock and, where it has them, profile."""
    if (one.name, one.clock_rate, one.channels or 1) != (other.name, other.clock_rate, other.channels or 1):
        return False
    return _profile(one) == _profile(other)


def _profile(codec: RtpCodec) -> tuple[str, ...]:
    match codec.name:
        case "h264":  # RFC 6184 section 8.1: profile_idc and its constraints; the level is no matter of format
            profile = (codec.parameter("profile-level-id") or "42000a").lower()
            return codec.parameter("packetization-mode") or "0", profile[:4]
        case "vp9":  # RFC 9628 section 7
            return (codec.parameter("profile-id") or "0",)
        case "av1":
            return (codec.parameter("profile") or "0",)
        case _:
            return ()


def payload_types(source: RtpParameters, target: RtpParameters) -> dict[int, int]:
    """The subscriber's payload type for each of the publisher's that it understands.

    RED is among them only where the numbers of all others are the same on both sides, because its blocks carry them
    inside the payload (RFC 2198 section 3); `sfu.rtp.red` has what else can be done.

    Raises `IncompatibleCodecs` where there is nothing in common.
    """
    found: dict[int, int] = {}
    for of in source.codecs:
        if of.name in _NOT_MATCHED:
            continue
        to = next((codec for codec in target.codecs if same_codec(of, codec)), None)
        if to is not None:
            found[of.payload_type] = to.payload_type
    red = {codec.payload_type for codec in source.codecs if codec.name == "red"}
    if not found.keys() > red or any(of != to for of, to in found.items() if of not in red):
        for payload_type in red:
            found.pop(payload_type, None)
    if not found:
        raise IncompatibleCodecs("the publisher and the subscriber have no codec in common")
    return found


def rtx_repairs(parameters: RtpParameters) -> dict[int, int]:
    """The payload type that each RTX payload type repairs (RFC 4588 section 8.1)."""
    return {
        codec.payload_type: int(apt)
        for codec in parameters.codecs
        if codec.name == "rtx" and (apt := codec.parameter("apt") or "").isdecimal()
    }


def rtx_types(parameters: RtpParameters) -> dict[int, int]:
    """The other way round: the RTX payload type for each payload type that has one."""
    return {repaired: payload_type for payload_type, repaired in rtx_repairs(parameters).items()}
