"""What egress processes say that they measured, as values of the domain; that of several takes as one."""

from collections.abc import Mapping
from dataclasses import fields, replace
from math import isfinite
from typing import Any

from meet.domain.recording import Measured
from meet.domain.stream import Aired


def measured(said: Mapping[str, Any]) -> Measured:
    """What a recorder says of its take."""
    return Measured(**_numbers(Measured(), said))


def aired(said: Mapping[str, Any]) -> Aired:
    """What a streamer says."""
    return Aired(**_numbers(Aired(), said))


def together(before: Measured, take: Measured) -> Measured:
    """All takes until now: what they kept and lost adds up; `duration_s` is the timeline's in each."""
    size = before.size + take.size
    duration_s = max(before.duration_s, take.duration_s)
    return replace(
        take,
        duration_s=duration_s,
        size=size,
        participants=max(before.participants, take.participants),
        average_bitrate_bps=round(8 * size / duration_s) if duration_s else 0,
        peak_bitrate_bps=max(before.peak_bitrate_bps, take.peak_bitrate_bps),
        dropped_frames=before.dropped_frames + take.dropped_frames,
        errors=before.errors + take.errors,
    )


def _numbers(nothing: Measured | Aired, said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a value; what is missing, or no number that could be one of these, is as in `nothing`."""
    found = {}
    for field in fields(nothing):
        value, default = said.get(field.name), getattr(nothing, field.name)
        fits = isinstance(value, int | float) and isfinite(value) and value >= 0
        found[field.name] = type(default)(value) if fits else default
    return found
