"""Which FFmpeg is taken."""

from collections.abc import Iterator

import pytest

from meet import ffmpeg
from meet.config import settings


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MEET_FFMPEG", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_setting_counts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_FFMPEG", "/somewhere/ffmpeg")
    settings.cache_clear()
    assert ffmpeg.find() == "/somewhere/ffmpeg"


def test_the_packaged_one_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg.shutil, "which", lambda _: None)
    monkeypatch.setattr(ffmpeg, "_packaged", lambda: "/wheel/ffmpeg")
    assert ffmpeg.find() == "/wheel/ffmpeg"
    monkeypatch.setattr(ffmpeg, "_packaged", lambda: None)
    with pytest.raises(ffmpeg.Missing, match="There is no FFmpeg"):
        ffmpeg.find()
