"""Traces, where OpenTelemetry is installed and asked for: one for an event, from its POST to its frame.

Nothing is handed from room to room for it. A trace has the id of its event, so each room knows by itself which trace a
span belongs to and, by the same digits, whether this event is one of those that are looked at. Where to is said by
OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Protocol

ROOT = "event.post"  # the span above all others of its trace
NS_PER_MS = 1_000_000

_root: ContextVar[int | None] = ContextVar("trace", default=None)  # the trace whose first span is being made


class Spans(Protocol):
    """Where finished spans go."""

    def tell(self, uid: bytes, name: str, began: int, ended: int, said: dict[str, str | int]) -> None: ...


_spans: Spans | None = None
_share = 0.0


def now() -> int:
    """Milliseconds since 1970, of this machine."""
    return time.time_ns() // NS_PER_MS


def on() -> bool:
    """Whether any event is looked at: what is made only for spans need not be made otherwise."""
    return _share > 0


def looked_at(uid: bytes) -> bool:
    """Whether this event is one of those; the same in every room and process."""
    return _share > 0 and int.from_bytes(uid[-4:], "big") < _share * 2**32


def tell(uids: Iterable[bytes], name: str, *, began: int, **said: str | int) -> None:
    """A span that ends now, for each event that is looked at. began: ms; said: what it was about, never a trait."""
    spans, ended = _spans, now()
    if spans is None:
        return
    for uid in uids:
        if looked_at(uid):
            spans.tell(uid, name, min(began, ended), ended, said)


def configure(share: float, exporter: Any = None) -> None:
    """Look at that share of all events (0 to 1), from now on. exporter: of OpenTelemetry's SDK; unless given, OTLP over
    HTTP, and nothing without an address for it. Raises ImportError where OpenTelemetry is not installed."""
    global _spans, _share
    _share = share
    if share > 0 and (exporter is not None or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        _spans = _with(exporter)
    else:
        _spans, _share = None, 0.0


def _with(exporter: Any) -> Spans:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        """The root of an event's trace has ids that every room can tell."""

        def generate_trace_id(self) -> int:
            return _root.get() or super().generate_trace_id()

        def generate_span_id(self) -> int:
            root = _root.get()
            return super().generate_span_id() if root is None else _span_id(root)

    class Telling:
        def __init__(self, tracer: trace.Tracer) -> None:
            self._tracer = tracer

        def tell(self, uid: bytes, name: str, began: int, ended: int, said: dict[str, str | int]) -> None:
            number = int.from_bytes(uid, "big")
            token = _root.set(number if name == ROOT else None)
            try:
                above = None if name == ROOT else trace.set_span_in_context(_above(number))
                span = self._tracer.start_span(name, above, start_time=began * NS_PER_MS, attributes=said)
            finally:
                _root.reset(token)
            span.end(ended * NS_PER_MS)

    def _above(number: int) -> trace.Span:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        return trace.NonRecordingSpan(trace.SpanContext(number, _span_id(number), is_remote=True, trace_flags=flags))

    provider = TracerProvider(resource=Resource.create({"service.name": "persona"}), id_generator=Ids())
    provider.add_span_processor(SimpleSpanProcessor(exporter) if exporter else BatchSpanProcessor(_otlp()))
    return Telling(provider.get_tracer("persona"))


def _otlp() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _span_id(number: int) -> int:
    """Of the root of a trace."""
    return (number >> 64) or 1
