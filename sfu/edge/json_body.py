"""The JSON of a request that the edge answers itself, checked as `meet.web.body` checks those of the functions."""

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from meet.config import settings
from meet.envelope import CODES
from meet.errors import Invalid, MeetError
from meet.web.body import check_content_type, check_json, read_body
from meet.web.errors import field_messages
from sfu.edge.relay import BODY_S

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body that is JSON without surprises; empty where there was none."""

    content: bytes

    def read(self, model: type[Body]) -> Body:
        """The body as this model; `Invalid` that names the fields."""
        try:
            return model.model_validate_json(self.content or b"{}")
        except ValidationError as error:
            raise Invalid(details=field_messages(error.errors())) from None


async def json_body(request: Request) -> JsonBody:
    """A request's body. Raises `Invalid`, `UnsupportedMediaType`, `PayloadTooLarge`, or 408 where it doesn't come."""
    try:
        async with asyncio.timeout(BODY_S):
            content = await read_body(request.scope, request.receive, settings().max_body_bytes)
    except TimeoutError:
        message = f"The request body did not arrive within {BODY_S:.0f} seconds"
        raise MeetError(CODES[408], 408, message, headers={"Connection": "close"}) from None
    if content:
        check_content_type(request.headers)
        check_json(content)
    return JsonBody(content)
