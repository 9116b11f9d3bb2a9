"""`tables`: every table, empty, in moto. It is no judge of concurrency; tests/integration asks a real server."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from meet.config import settings
from meet.store import base


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All tables of a process of its own settings."""
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    settings.cache_clear()
    base._connect.cache_clear()
    with mock_aws():
        base.create_tables()
        yield
    settings.cache_clear()
    base._connect.cache_clear()
