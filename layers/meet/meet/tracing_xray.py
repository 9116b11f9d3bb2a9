"""Traces by AWS' X-Ray SDK, to the daemon beside the process; on Lambda to Lambda's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aws_xray_sdk.core import AWSXRayRecorder, patch, xray_recorder
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.lambda_launcher import LambdaContext
from aws_xray_sdk.core.models.trace_header import TraceHeader
from aws_xray_sdk.core.models.traceid import TraceId

DAEMON = "127.0.0.1:2000"
"""Where X-Ray's daemon listens unless told otherwise."""

_open: ContextVar[tuple[Any, ...]] = ContextVar("meet-xray", default=())
_left_out: ContextVar[str | None] = ContextVar("meet-xray-left-out", default=None)
"""The header to hand on of a trace that isn't kept: the SDK forgets whose it was."""


class _Context(Context):  # type: ignore[misc]  # the SDK has no types
    """Which segments are open: by context, so that tasks and the threads of `asyncio.to_thread` each know their own.

    The SDK's own contexts go by thread alone, or by task alone.
    """

    def put_segment(self, segment: Any) -> None:
        _open.set((segment,))

    def put_subsegment(self, subsegment: Any) -> None:
        entity = self.get_trace_entity()
        if entity is not None:
            entity.add_subsegment(subsegment)
            _open.set((*_open.get(), subsegment))

    def end_subsegment(self, end_time: float | None = None) -> bool:
        *above, entity = _open.get() or (None,)
        if not self._is_subsegment(entity):
            return False
        entity.close(end_time)
        _open.set(tuple(above))
        return True

    def get_trace_entity(self) -> Any:
        entities = _open.get()
        return entities[-1] if entities else None

    def set_trace_entity(self, trace_entity: Any) -> None:
        _open.set((trace_entity,))

    def clear_trace_entities(self) -> None:
        _open.set(())


class XRay:
    """The SDK's one recorder, since what it patches reports to no other."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint`: `host:port` of the daemon; empty: the usual one."""
        self._recorder: AWSXRayRecorder = xray_recorder
        self._on_lambda = isinstance(xray_recorder.context, LambdaContext)
        if self._on_lambda:  # where segments are Lambda's, and what one makes of it
            xray_recorder.configure(context_missing="IGNORE_ERROR")
        else:
            xray_recorder.configure(
                context=_Context("IGNORE_ERROR"),
                context_missing="IGNORE_ERROR",
                daemon_address=endpoint or DAEMON,
                sampling=False,  # `meet.tracing` decides
            )
        patch(("botocore",))

    @contextmanager
    def segment(self, service: str, parent: str | None, *, sampled: bool) -> Iterator[None]:
        """As `meet.tracing.segment`."""
        if self._on_lambda or _open.get():
            with self._recorder.in_subsegment(service):
                yield
            return
        above = TraceHeader.from_header_str(parent)
        if not sampled:
            left_out = TraceHeader(root=above.root or TraceId().to_id(), sampled=0).to_header_str()
            token = _left_out.set(_left_out.get() or left_out)
            try:
                yield
            finally:
                _left_out.reset(token)
            return
        with self._recorder.in_segment(service, traceid=above.root, parent_id=above.parent, sampling=1):
            yield

    def header(self) -> str | None:
        """As `meet.tracing.header`."""
        entity = self._recorder.get_trace_entity()
        if entity is None:
            return _left_out.get()
        segment = getattr(entity, "parent_segment", entity)
        header = TraceHeader(root=segment.trace_id, parent=entity.id, sampled=int(bool(segment.sampled)))
        return str(header.to_header_str())
