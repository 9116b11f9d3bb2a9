"""Traces by OpenTelemetry, to any collector that takes OTLP over HTTP: Jaeger's own, ADOT's, Grafana Alloy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, get_current_span

from meet.tracing import HEADER

COLLECTOR = "http://127.0.0.1:4318/v1/traces"
"""OTLP's own port and path (opentelemetry.io/docs/specs/otlp/#otlphttp-default-port)."""


class Otlp:
    """One provider a process."""

    def __init__(self, service: str, endpoint: str, *, freezes: bool) -> None:
        """`endpoint`: the collector's URL, its path included; empty: the usual one on this machine."""
        resource = Resource.create({SERVICE_NAME: service})
        exporter = OTLPSpanExporter(endpoint=endpoint or COLLECTOR)
        processor = SimpleSpanProcessor(exporter) if freezes else BatchSpanProcessor(exporter)
        self._propagator = AwsXRayPropagator()
        ids = AwsXRayIdGenerator()
        self._kept = TracerProvider(resource=resource, id_generator=ids, sampler=ParentBased(ALWAYS_ON))
        self._kept.add_span_processor(processor)
        self._left = TracerProvider(resource=resource, id_generator=ids, sampler=ALWAYS_OFF)
        set_global_textmap(self._propagator)
        BotocoreInstrumentor().instrument(tracer_provider=self._kept)

    @contextmanager
    def segment(self, name: str, parent: str | None, *, sampled: bool) -> Iterator[None]:
        """As `meet.tracing.segment`."""
        tracer = (self._kept if sampled else self._left).get_tracer("meet")
        inside = get_current_span().get_span_context().is_valid
        above = None if inside else self._propagator.extract({HEADER: parent} if parent else {}, context=Context())
        kind = SpanKind.INTERNAL if inside else SpanKind.SERVER
        with tracer.start_as_current_span(name, context=above, kind=kind):
            yield

    def header(self) -> str | None:
        """As `meet.tracing.header`."""
        if not get_current_span().get_span_context().is_valid:
            return None
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier[HEADER]
