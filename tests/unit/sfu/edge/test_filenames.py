"""Names as they come, and as they are given back."""

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.edge.filenames import MOST_CHARS, cleaned, content_disposition


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("video.mp4", "video.mp4"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\me\\clip.mov", "clip.mov"),
        ("", "file.mp4"),
        ("..", "file.mp4"),
        ("dir/", "file.mp4"),
        ("   ", "file.mp4"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie: x"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("nul\0.png", "nul.png"),
        ("Übersicht – 会议.pdf", "Übersicht – 会议.pdf"),
        ("u\u0308.txt", "ü.txt"),
        ("x" * 5000 + ".webm", "x" * 250 + ".webm"),
        ("x" * 5000, "x" * 255),
        ("." + "x" * 5000, "." + "x" * 254),
    ],
)
def test_cleaned(name: str, kept: str) -> None:
    assert cleaned(name, "mp4") == kept


@given(st.text(max_size=600))
def test_a_cleaned_name_has_no_path_and_nothing_hidden(name: str) -> None:
    kept = cleaned(name, "bin")
    assert 1 <= len(kept) <= MOST_CHARS
    assert kept.isprintable()
    assert not {"/", "\\"} & set(kept)
    assert kept.strip(".")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("video.mp4", 'attachment; filename="video.mp4"'),
        ("two words.mp4", 'attachment; filename="two words.mp4"'),
        ("€ rates.txt", "attachment; filename=\"_ rates.txt\"; filename*=UTF-8''%E2%82%AC%20rates.txt"),
        ('say "hi".txt', "attachment; filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
        ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
    ],
)
def test_content_disposition(name: str, header: str) -> None:
    assert content_disposition(name, inline=False) == header
    assert content_disposition(name, inline=True) == header.replace("attachment", "inline")


@given(st.text(max_size=300))
def test_every_kept_name_is_read_as_it_was(name: str) -> None:
    kept = cleaned(name, "bin")
    header = content_disposition(kept, inline=False)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    _, given_twice, encoded = header.partition("filename*=UTF-8''")
    assert (unquote(encoded) if given_twice else message.get_filename()) == kept
