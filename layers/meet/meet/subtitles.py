"""A transcript as text, SubRip and WebVTT (https://www.w3.org/TR/webvtt1/).

render(transcript.segments, "vtt")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from meet.domain.transcript import Segment

Format = Literal["text", "srt", "vtt", "json"]
FORMATS: tuple[Format, ...] = ("text", "srt", "vtt", "json")

LEAST_S = 0.001
"""A cue must end after it begins."""

_ARROW = re.compile(r"-->|[\r\n]+")
_VTT = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""What a cue's text can't have as it is (WebVTT section 4.2.2)."""


def render(segments: Sequence[Segment], form: Format) -> str:
    """The transcript in this format; of `json` it is the plain text, since the segments say the rest."""
    if form == "srt":
        return srt(segments)
    if form == "vtt":
        return vtt(segments)
    return " ".join(each.text for each in segments)


def srt(segments: Sequence[Segment]) -> str:
    """SubRip: numbered cues, a comma before the milliseconds."""
    cues = []
    for number, each in enumerate(segments, 1):
        begins, ends = _span(each)
        text = _ARROW.sub(" ", each.text)
        cues.append(f"{number}\n{_stamp(begins, ',')} --> {_stamp(ends, ',')}\n{text}\n")
    return "\n".join(cues)


def vtt(segments: Sequence[Segment]) -> str:
    """WebVTT."""
    cues = ["WEBVTT\n"]
    for each in segments:
        begins, ends = _span(each)
        text = "".join(_VTT.get(char, char) for char in _ARROW.sub(" ", each.text))
        cues.append(f"{_stamp(begins, '.')} --> {_stamp(ends, '.')}\n{text}\n")
    return "\n".join(cues)


def _span(segment: Segment) -> tuple[float, float]:
    return segment.start, max(segment.end, segment.start + LEAST_S)


def _stamp(seconds: float, point: str) -> str:
    total_ms = round(max(0.0, seconds) * 1000)
    minutes, ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{ms // 1000:02}{point}{ms % 1000:03}"
