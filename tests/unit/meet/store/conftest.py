"""`tables`: every table, empty, in moto. It is no judge of concurrency; tests/integration asks a real server."""

from collections.abc import Iterator

import pytest

from meet.config import settings
from tests.unit.tables import empty_tables


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All tables of a process of its own settings."""
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    settings.cache_clear()
    with empty_tables():
        yield
    settings.cache_clear()
