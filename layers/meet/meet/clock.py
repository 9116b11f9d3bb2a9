"""The time and fresh identifiers: the two things a pure function must be given."""

from datetime import UTC, datetime
from uuid import uuid4


def utcnow() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh random identifier (UUID version 4, RFC 9562 section 5.4) in its 36-character form."""
    return str(uuid4())


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with a `Z` and whole seconds, the form that the contract shows: 2025-10-05T12:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
