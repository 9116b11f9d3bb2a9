"""A form as it arrives, cut anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meet.errors import MeetError
from sfu.edge.form import MOST_FIELD_BYTES, MOST_FIELDS, UploadForm

TYPE = 'multipart/form-data; boundary="b0"'


def part(name: str, value: bytes, *, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    return f'--b0\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + value + b"\r\n"


def read(body: bytes, cuts: list[int] | None = None) -> tuple[UploadForm, bytes]:
    found = bytearray()
    form = UploadForm(TYPE, found.extend)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or ()), len(body)]
    for start, end in pairwise(edges):
        form.feed(body[start:end])
    form.close()
    return form, bytes(found)


def refusal(body: bytes) -> MeetError:
    with pytest.raises(MeetError) as raised:
        read(body)
    return raised.value


@given(st.binary(max_size=300), st.lists(st.integers(0, 2000), max_size=6))
def test_the_file_and_the_fields_wherever_it_is_cut(content: bytes, cuts: list[int]) -> None:
    content = content.replace(b"\r\n--b0", b"")
    before = part("meeting_id", b"7")
    after = part("description", "schön".encode())
    body = before + part("file", content, filename="a b.mp4") + after + b"--b0--\r\n"
    form, found = read(body, cuts)
    assert found == content
    assert form.filename == "a b.mp4"
    assert form.fields == {"meeting_id": "7", "description": "schön"}


def test_a_name_in_utf_8() -> None:
    form, _ = read(part("file", b"x", filename="会议 – schön.mp4") + b"--b0--")
    assert form.filename == "会议 – schön.mp4"


def test_a_long_name() -> None:
    form, _ = read(part("file", b"x", filename="名" * 5000) + b"--b0--")
    assert form.filename == "名" * 5000


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"not a form", "body"),
        (part("file", b"x", filename="a"), "body"),
        (b"--b0--\r\n", "file"),
        (part("other", b"x") + b"--b0--\r\n", "file"),
        (part("file", b"x", filename="a") * 2 + b"--b0--\r\n", "file"),
        (part("a", b"1") * 2 + b"--b0--\r\n", "a"),
        (part("a", b"\xff") + b"--b0--\r\n", "a"),
        (part("a", b"\0") + b"--b0--\r\n", "a"),
        (part("a", b"x" * (MOST_FIELD_BYTES + 1)) + b"--b0--\r\n", "a"),
        (b"".join(part(f"n{n}", b"") for n in range(MOST_FIELDS + 1)) + b"--b0--\r\n", "body"),
        (b"--b0\r\nContent-Type: text/plain\r\n\r\nx\r\n--b0--\r\n", "body"),
        (b"--b0\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\nx\r\n--b0--\r\n", "body"),
        (b"--b0\r\n" + b"X: y\r\n" * 10_000 + b"\r\nx\r\n--b0--\r\n", "body"),
    ],
)
def test_what_is_refused(body: bytes, named: str) -> None:
    error = refusal(body)
    assert error.status == 400
    assert isinstance(error.details, dict)
    assert list(error.details) == [named]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("application/json", 415),
        ("multipart/mixed; boundary=b0", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "b" * 1000, 400),
    ],
)
def test_what_is_no_form(content_type: str, status: int) -> None:
    with pytest.raises(MeetError) as raised:
        UploadForm(content_type, lambda _: None)
    assert raised.value.status == status
