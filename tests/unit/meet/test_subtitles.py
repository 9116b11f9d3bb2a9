"""Subtitles as players read them."""

from meet.domain.transcript import Segment
from meet.subtitles import render

SAID = [Segment("Welcome to the meeting.", 0, 2.5), Segment("Tom & <Ann> -->\nhere", 3599.9996, 3661.042)]


def test_srt() -> None:
    assert render(SAID, "srt") == (
        "1\n00:00:00,000 --> 00:00:02,500\nWelcome to the meeting.\n\n"
        "2\n01:00:00,000 --> 01:01:01,042\nTom & <Ann>   here\n"
    )


def test_vtt() -> None:
    assert render(SAID, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nWelcome to the meeting.\n\n"
        "01:00:00.000 --> 01:01:01.042\nTom &amp; &lt;Ann&gt;   here\n"
    )


def test_text() -> None:
    assert render(SAID[:1], "text") == render(SAID[:1], "json") == "Welcome to the meeting."
    assert render([], "srt") == render([], "text") == ""
    assert render([], "vtt") == "WEBVTT\n"


def test_a_cue_ends_after_it_begins() -> None:
    assert "00:00:01,000 --> 00:00:01,001" in render([Segment("Hm", 1, 1)], "srt")
