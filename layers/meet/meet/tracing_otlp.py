"""Traces by OpenTelemetry, to any collector that takes OTLP over HTTP: Jaeger's own, ADOT's, Grafana Alloy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider as Provider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NoOpTracer, Span, SpanKind, Tracer, TracerProvider, get_current_span

from meet.tracing import HEADER

COLLECTOR = "http://127.0.0.1:4318/v1/traces"
"""OTLP's own port and path (opentelemetry.io/docs/specs/otlp/#otlphttp-default-port)."""


_present: ContextVar[Tracer] = ContextVar("meet-otlp", default=NoOpTracer())  # noqa: B039 - it has no state
"""The tracer of the service whose segment is open."""


class _Present(TracerProvider):
    """What libraries are instrumented with: their spans belong to the service that called them."""

    def get_tracer(self, *_: object, **__: object) -> Tracer:
        return _PresentTracer()


class _PresentTracer(Tracer):
    def start_span(self, *about: Any, **more: Any) -> Span:
        return _present.get().start_span(*about, **more)

    def start_as_current_span(self, *about: Any, **more: Any) -> Any:
        return _present.get().start_as_current_span(*about, **more)


class Otlp:
    """One provider a service, since that is what tells whose a span is."""

    def __init__(self, endpoint: str, *, freezes: bool) -> None:
        """`endpoint`: the collector's URL, its path included; empty: the usual one on this machine.

        `freezes`: the process may sleep after a segment, as a Lambda does, so each is sent before it ends.
        """
        exporter = OTLPSpanExporter(endpoint=endpoint or COLLECTOR)
        self._processor = SimpleSpanProcessor(exporter) if freezes else BatchSpanProcessor(exporter)
        self._propagator = AwsXRayPropagator()
        self._kept: dict[str, Tracer] = {}
        self._left_out = Provider(id_generator=AwsXRayIdGenerator(), sampler=ALWAYS_OFF).get_tracer("meet")
        set_global_textmap(self._propagator)
        BotocoreInstrumentor().instrument(tracer_provider=_Present())

    @contextmanager
    def segment(self, service: str, parent: str | None, *, sampled: bool) -> Iterator[None]:
        """As `meet.tracing.segment`."""
        tracer = self._tracer(service) if sampled else self._left_out
        inside = get_current_span().get_span_context().is_valid
        above = None if inside else self._propagator.extract({HEADER: parent} if parent else {}, context=Context())
        kind = SpanKind.INTERNAL if inside else SpanKind.SERVER
        token = _present.set(tracer)
        try:
            with tracer.start_as_current_span(service, context=above, kind=kind):
                yield
        finally:
            _present.reset(token)

    def _tracer(self, service: str) -> Tracer:
        if service not in self._kept:
            resource = Resource.create({SERVICE_NAME: service})
            provider = Provider(resource=resource, id_generator=AwsXRayIdGenerator(), sampler=ParentBased(ALWAYS_ON))
            provider.add_span_processor(self._processor)
            self._kept[service] = provider.get_tracer("meet")
        return self._kept[service]

    def header(self) -> str | None:
        """As `meet.tracing.header`."""
        if not get_current_span().get_span_context().is_valid:
            return None
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier[HEADER]
