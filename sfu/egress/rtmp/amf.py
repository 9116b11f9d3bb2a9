"""AMF 0: how RTMP's commands are written. Only what servers and publishers say to each other."""

from collections.abc import Mapping
from struct import Struct, error

Value = float | bool | str | None | dict[str, "Value"] | list["Value"]
"""Undefined is None, a date its number, a typed or keyed array a dict."""

NUMBER, BOOLEAN, STRING, OBJECT, NULL, UNDEFINED = 0, 1, 2, 3, 5, 6
KEYED_ARRAY, END, ARRAY, DATE, LONG_STRING = 8, 9, 10, 11, 12
DEEPEST = 16
"""Objects within objects: a server that nests more is none."""

_DOUBLE = Struct("!d")
_SHORT = Struct("!H")
_LONG = Struct("!L")


class AmfError(ValueError):
    """These bytes are no AMF 0, or of a kind that no server sends to a publisher."""


def encoded(*values: float | bool | str | Mapping[str, float | bool | str] | None) -> bytes:
    """Values one after the other. Strings have less than 64 KiB."""
    return b"".join(_encoded(value) for value in values)


def decoded(data: bytes) -> list[Value]:
    """All values. Raises `AmfError`."""
    values: list[Value] = []
    at = 0
    try:
        while at < len(data):
            value, at = _value(data, at, DEEPEST)
            values.append(value)
    except (IndexError, error, UnicodeDecodeError) as cause:
        raise AmfError(f"it ends in the middle, or has a string that is none: {cause}") from cause
    return values


def _encoded(value: float | bool | str | Mapping[str, float | bool | str] | None) -> bytes:
    match value:
        case None:
            return bytes([NULL])
        case bool():
            return bytes([BOOLEAN, value])
        case int() | float():
            return bytes([NUMBER]) + _DOUBLE.pack(value)
        case str():
            return bytes([STRING]) + _name(value)
        case _:
            members = b"".join(_name(name) + _encoded(member) for name, member in value.items())
            return bytes([OBJECT]) + members + _name("") + bytes([END])


def _name(text: str) -> bytes:
    data = text.encode()
    return _SHORT.pack(len(data)) + data


def _value(data: bytes, at: int, deepest: int) -> tuple[Value, int]:
    """The value that begins there, and where the next one does."""
    if not deepest:
        raise AmfError("objects within objects without end")
    kind, at = data[at], at + 1
    match kind:
        case _ if kind in (NULL, UNDEFINED):
            return None, at
        case _ if kind == NUMBER:
            return _DOUBLE.unpack_from(data, at)[0], at + 8
        case _ if kind == DATE:
            return _DOUBLE.unpack_from(data, at)[0], at + 10  # a zone follows that is always 0
        case _ if kind == BOOLEAN:
            return bool(data[at]), at + 1
        case _ if kind == STRING:
            return _text(data, at + 2, _SHORT.unpack_from(data, at)[0])
        case _ if kind == LONG_STRING:
            return _text(data, at + 4, _LONG.unpack_from(data, at)[0])
        case _ if kind == OBJECT:
            return _members(data, at, deepest)
        case _ if kind == KEYED_ARRAY:
            return _members(data, at + 4, deepest)  # how many there are is a guess: END counts
        case _ if kind == ARRAY:
            values: list[Value] = []
            count, at = _LONG.unpack_from(data, at)[0], at + 4
            for _ in range(count):
                value, at = _value(data, at, deepest - 1)
                values.append(value)
            return values, at
    raise AmfError(f"a value of kind {kind}")


def _members(data: bytes, at: int, deepest: int) -> tuple[dict[str, Value], int]:
    members: dict[str, Value] = {}
    while True:
        name, at = _text(data, at + 2, _SHORT.unpack_from(data, at)[0])
        if not name and data[at] == END:
            return members, at + 1
        members[name], at = _value(data, at, deepest - 1)


def _text(data: bytes, at: int, length: int) -> tuple[str, int]:
    if at + length > len(data):
        raise IndexError("the string is longer than what there is")
    return data[at : at + length].decode(), at + length
