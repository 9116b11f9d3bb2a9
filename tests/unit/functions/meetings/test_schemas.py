from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from functions.meetings.schemas import LONGEST_MIN, CreateBody, UpdateBody

TWO_PM = datetime(2025, 10, 5, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2025-10-05T14:00:00Z", TWO_PM),
        ("2025-10-05t14:00:00.25z", TWO_PM.replace(microsecond=250_000)),
        ("2025-10-05 16:00:00+02:00", TWO_PM),
        ("2025-10-05T08:30:00-05:30", TWO_PM),
        ("1970-01-01T00:00:00-00:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_every_form_of_rfc_3339(said: str, meant: datetime) -> None:
    assert CreateBody.model_validate({"title": "x", "start_time": said}).start_time == meant


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", "x" * 201),
        ("title", 7),
        ("description", "x" * 5001),
        ("description", ["x"]),
        ("start_time", "2025-10-05"),
        ("start_time", "2025-10-05T14:00:00"),
        ("start_time", "2025-13-05T14:00:00Z"),
        ("start_time", "2025-10-05T14:00:60Z"),
        ("start_time", "2025-10-05T25:00:00Z"),
        ("start_time", "2025-10-05T14:00:00+24:00"),
        ("start_time", "20251005T140000Z"),
        ("start_time", "٢025-10-05T14:00:00Z"),
        ("start_time", "0001-01-01T00:00:00+23:59"),
        ("start_time", "9999-12-31T23:59:59-23:59"),
        ("start_time", "0999-01-01T00:00:00Z"),
        ("start_time", 1759672800),
        ("duration", 0),
        ("duration", -1),
        ("duration", "30"),
        ("duration", 30.5),
        ("duration", True),
        ("duration", LONGEST_MIN + 1),
        ("max_participants", 0),
        ("max_participants", 101),
        ("max_participants", "10"),
        ("require_e2ee", "true"),
        ("require_e2ee", 1),
    ],
)
@pytest.mark.parametrize("body", [CreateBody, UpdateBody])
def test_a_malformed_field_is_named(body: type[CreateBody | UpdateBody], field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as error:
        body.model_validate({"title": "x"} | {field: value})
    assert [found["loc"] for found in error.value.errors()] == [(field,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "x" * 200),
        ("description", ""),
        ("duration", 1),
        ("duration", LONGEST_MIN),
        ("max_participants", 100),
    ],
)
def test_the_bounds_themselves_are_fine(field: str, value: Any) -> None:
    assert getattr(CreateBody.model_validate({"title": "x"} | {field: value}), field) == value


def test_a_title_is_needed_to_create() -> None:
    with pytest.raises(ValidationError, match="title"):
        CreateBody.model_validate({})
