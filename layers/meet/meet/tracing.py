"""Traces: what a request set going, in every process that it reached, under one id.

    edge ── X-Amzn-Trace-Id ──> function ── AWSTraceHeader ──> SQS ──> worker ──> S3, DynamoDB

What comes to a process from outside is a `segment`, with the header that came along; calls of botocore within it are
seen by themselves. `header` is what is handed on. Where tracing is off, as it is unless `MEET_TRACING` says
otherwise, all of this costs nothing and loads nothing.

Two ways out, both with X-Ray's ids and header, so that processes of either kind meet in one trace: `xray` by AWS'
SDK to its daemon, and `otlp` by OpenTelemetry to any collector, since that SDK is in maintenance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from random import random
from typing import Protocol

from meet.config import Settings, settings

HEADER = "X-Amzn-Trace-Id"
"""docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader"""

_SANE = re.compile(r"(?:[A-Za-z]+=[A-Za-z0-9:_-]{1,64};? ?){1,6}", re.ASCII)
_ROOT = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})", re.ASCII)


class Backend(Protocol):
    """A way out. `meet.tracing_xray` and `meet.tracing_otlp` have one each."""

    def segment(self, service: str, parent: str | None, *, sampled: bool) -> AbstractContextManager[None]:
        """What happens within is one segment; of the trace of `parent`, a header, where there is one."""

    def header(self) -> str | None:
        """The header of what happens now; None outside of any segment."""


@cache
def _backend(chosen: Settings) -> Backend | None:
    match chosen.tracing:
        case "off":
            return None
        case "xray":
            from meet.tracing_xray import XRay  # noqa: PLC0415 - loaded where it is wanted alone

            return XRay(chosen.tracing_endpoint)
        case "otlp":
            try:
                from meet.tracing_otlp import Otlp  # noqa: PLC0415
            except ImportError as error:
                raise RuntimeError(
                    "MEET_TRACING=otlp needs OpenTelemetry: pip install -r localstack/requirements-otlp.txt"
                ) from error
            return Otlp(chosen.tracing_endpoint, freezes=bool(chosen.lambda_name))


@contextmanager
def segment(service: str, parent: str | None = None) -> Iterator[None]:
    """What happens within is this service's part of something, and of the trace of `parent` where that is a header.

    An exception that leaves it marks it as failed. Without a parent a trace begins, of which `MEET_TRACING_SHARE`
    are kept; who hands on that one isn't, is believed.
    """
    backend = _backend(settings())
    if backend is None:
        yield
        return
    known = parent if parent and _SANE.fullmatch(parent) and _ROOT.search(parent) else None
    share = settings().tracing_share
    sampled = "Sampled=0" not in known if known else random() < share  # noqa: S311 - no secret
    with backend.segment(service, known, sampled=sampled):
        yield


def header() -> str | None:
    """What to hand on with a request or a message, as the value of `HEADER`; None where nothing is traced."""
    backend = _backend(settings())
    return None if backend is None else backend.header()


def trace_id() -> str | None:
    """The id of the present trace, as logs have it: `1-5759e988-bd862e3fe1be46a994272793`."""
    now = header()
    found = _ROOT.match(now) if now else None
    return found[1] if found else None
