"""Where a request spent its time, for a collector that speaks OTLP; nothing is made where none is named."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

NONE: Tracer = trace.NoOpTracer()
tracer: ContextVar[Tracer] = ContextVar("tracer", default=NONE)  # of the role that serves this request

Attributes = Mapping[str, str | int]


class Traces:
    """The traces of one role."""

    def __init__(self, role: str, exporter: SpanExporter | None) -> None:
        self._provider: TracerProvider | None = None
        self.tracer = NONE
        if exporter:
            named = Resource({"service.name": f"rag-{role}", "service.namespace": "rag-platform"})
            self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
            self.tracer = self._provider.get_tracer("rag")

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """Open the span of a request, below the caller's if it named one; the steps within are its children."""
        mine = tracer.set(self.tracer)
        try:
            with self.tracer.start_as_current_span(name, propagate.extract(headers), SpanKind.SERVER) as span:
                yield span
        finally:
            tracer.reset(mine)

    def close(self) -> None:
        """Send what is left."""
        if self._provider:
            self._provider.shutdown()


def make_traces(role: str, collector_url: str) -> Traces:
    """Make the traces of a role; without a collector they cost nothing and go nowhere."""
    if not collector_url:
        return Traces(role, None)
    return Traces(role, OTLPSpanExporter(endpoint=f"{collector_url.rstrip('/')}/v1/traces", timeout=5))


@contextmanager
def step(name: str, attributes: Attributes | None = None, *, leaves: bool = False) -> Iterator[Span]:
    """Time a step of this request; `leaves` marks a call to a dependency.

    A failure is marked by its kind alone: its text may hold what was asked.
    """
    kind = SpanKind.CLIENT if leaves else SpanKind.INTERNAL
    with tracer.get().start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def outgoing() -> dict[str, str]:
    """Return the headers that continue this trace in a dependency."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def trace_id() -> str:
    """Return the id of this request's trace, or nothing where none is made."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if tracer.get() is not NONE and context.is_valid else ""
