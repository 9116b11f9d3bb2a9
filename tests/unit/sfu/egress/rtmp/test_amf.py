"""AMF 0: what is written is read again, and what servers make up does no harm."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.egress.rtmp.amf import AmfError, decoded, encoded


def test_a_command_as_the_specification_has_it() -> None:
    assert encoded("connect", 1, {"app": "live"}, None, True) == (
        b"\x02\x00\x07connect"
        b"\x00\x3f\xf0\x00\x00\x00\x00\x00\x00"
        b"\x03\x00\x03app\x02\x00\x04live\x00\x00\x09"
        b"\x05"
        b"\x01\x01"
    )


def test_what_is_written_is_read() -> None:
    values = ["_result", 4.0, {"level": "status", "clientid": 7.0, "ok": True}, None, False]
    assert decoded(encoded(*values)) == values  # type: ignore[arg-type]  # a list of what it takes


def test_kinds_that_only_servers_write() -> None:
    assert decoded(b"\x06") == [None]
    assert decoded(b"\x08\x00\x00\x00\x01\x00\x01a\x05\x00\x00\x09") == [{"a": None}]
    assert decoded(b"\x0a\x00\x00\x00\x02\x05\x01\x01") == [[None, True]]
    assert decoded(b"\x0b" + bytes(10)) == [0.0]
    assert decoded(b"\x0c\x00\x00\x00\x02ab") == ["ab"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",  # a number that ends
        b"\x02\x00\x05abc",
        b"\x02\x00\x01\xff",
        b"\x03\x00\x01a",
        b"\x0a\xff\xff\xff\xff",
        b"\x11\x00",  # AMF 3
        b"\x0a\x00\x00\x00\x01" * 20 + b"\x05",
    ],
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(AmfError):
        decoded(data)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with suppress(AmfError):
        assert isinstance(decoded(data), list)
