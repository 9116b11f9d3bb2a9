import re
from pathlib import Path

import pytest

from sfu.ortc import SdpError, read_publish_offer
from sfu.ortc.ingest import check_ingest

DATA = Path(__file__).parents[3] / "data" / "sdp"


def recorded(name: str) -> str:
    return (DATA / f"{name}.sdp").read_text()


FFMPEG = recorded("ffmpeg-whip")
SECOND_VIDEO = FFMPEG[FFMPEG.index("m=video") :].replace("a=mid:1", "a=mid:2").replace("1397229536", "77")


@pytest.mark.parametrize(
    "text",
    [
        FFMPEG,
        recorded("chromium-publish"),
        recorded("chromium-simulcast"),
        FFMPEG.replace("a=sendonly", "a=sendrecv"),
        FFMPEG[: FFMPEG.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0"),
    ],
)
def test_one_stream_is_taken(text: str) -> None:
    check_ingest(read_publish_offer(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (recorded("chromium-sendrecv-data"), "application"),
        (FFMPEG.replace("a=sendonly", "a=recvonly", 1), "recvonly: WHIP only sends"),
        (FFMPEG.replace("a=sendonly", "a=inactive", 1), "inactive: WHIP only sends"),
        (FFMPEG.replace("H264/90000", "H263/90000"), "codec that is carried"),
        (FFMPEG.replace("BUNDLE 0 1", "BUNDLE 0"), "in the bundle"),
        (FFMPEG.replace("m=video 9", "m=video 0"), "in the bundle"),
        (FFMPEG.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + SECOND_VIDEO, "one video track"),
    ],
)
def test_there_is_no_answer_in_part(text: str, why: str) -> None:
    offer = read_publish_offer(re.sub("\r?\n", "\r\n", text))
    with pytest.raises(SdpError, match=why):
        check_ingest(offer)
