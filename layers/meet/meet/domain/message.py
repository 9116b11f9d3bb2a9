"""A message of a room's history: who said what to whom, without what must not be kept."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_SECRET_LINES = re.compile(r"(?<![^\r\n])a=(?:ice-pwd|crypto):[^\r\n]*(?:\r?\n|\r|$)", re.IGNORECASE)
"""The SDP attributes that carry keys: ICE passwords (RFC 8839 section 5.4) and SDES keys (RFC 4568 section 4)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message that passed through a room. `to_user_id` is None where everybody got it."""

    message_id: str
    """Sorts by time: see `message_id`."""
    type: str
    from_user_id: str
    to_user_id: str | None
    meeting_number: int
    payload: dict[str, Any]
    created_at: datetime


def message_id(at: datetime, sequence: int) -> str:
    """A fresh identifier that sorts by time, then by `sequence`: a UUID of version 7 (RFC 9562 section 5.7).

    `sequence` counts the messages of a room (modulo 4096), so those of one millisecond keep their order.
    """
    return _uuid7(at, sequence & 0xFFF, secrets.randbits(62))


def first_message_id(at: datetime) -> str:
    """What sorts before or with every message of this millisecond and later ones."""
    return _uuid7(at, 0, 0)


def _uuid7(at: datetime, rand_a: int, rand_b: int) -> str:
    milliseconds = int(at.timestamp() * 1000) & (2**48 - 1)
    digits = f"{milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def without_secrets(value: Any) -> Any:
    """A payload with the lines of ICE passwords and SDES keys cut out of every string in it."""
    if isinstance(value, str):
        return _SECRET_LINES.sub("", value)
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value
