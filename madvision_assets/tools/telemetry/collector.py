"""Sends spans to a collector, from a thread that nobody waits for longer than he likes."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.redaction import visible, without_secrets
from madvision_assets.domain.traces import Span, SpanKind

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

PATH = "/v1/traces"
ANSWER_LIMIT_S = 10.0
MAX_TEXT_CHARS = 500
NOT_INSTALLED = "OpenTelemetry is not installed here: pip install 'madvision-assets[otel]'"
EXPORTERS_LOGGER = "opentelemetry.exporter"
SERVICE = "madvision"
UNNAMED = "unknown_service"  # what OpenTelemetry calls a service that nobody named
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Collector:
    """One collector.

    Args:
        endpoint: its address, to which ``/v1/traces`` is added, as ``OTEL_EXPORTER_OTLP_ENDPOINT`` has it.
        answer_limit_s: for it to take what is sent, with all tries.
    """

    def __init__(self, endpoint: str, answer_limit_s: float = ANSWER_LIMIT_S) -> None:
        self._address = endpoint.rstrip("/") + PATH
        self._answer_limit_s = answer_limit_s
        self._exporter: Any = None

    def send(self, spans: Sequence[Span]) -> "Future[str | None]":
        """Send spans, in a thread of their own that holds up no end of the process.

        Not again before the last ones are through.

        Returns:
            Why the collector did not take them, in a sentence; None once it has. It never fails.
        """
        sent: Future[str | None] = Future()
        threading.Thread(target=self._send, args=(spans, sent), name="traces", daemon=True).start()
        return sent

    def _send(self, spans: Sequence[Span], sent: "Future[str | None]") -> None:
        try:
            problem = self._exported(spans)
        except ImportError:
            problem = NOT_INSTALLED
        except Exception as error:  # noqa: BLE001 - whatever a vendor raises over an answer, it is no fault of a video
            problem = f"{type(error).__name__}: {error}"
        sent.set_result(None if problem is None else _plain(problem))

    def _exported(self, spans: Sequence[Span]) -> str | None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult

        made = made_of(spans)
        if not made:  # by OTEL_SDK_DISABLED
            return None
        if self._exporter is None:
            self._exporter = OTLPSpanExporter(self._address, timeout=self._answer_limit_s)
        with _words_kept() as words:
            result = self._exporter.export(made)
        return None if result is SpanExportResult.SUCCESS else words.text or "it did not take them"


class _FirstWords(logging.Handler):
    """What the exporter says instead of raising it, and would say again at each of its tries."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it; its first words name the reason."""
        self.text = self.text or record.getMessage()


@contextmanager
def _words_kept() -> Iterator[_FirstWords]:
    words, logger = _FirstWords(), logging.getLogger(EXPORTERS_LOGGER)
    logger.addHandler(words)
    logger.propagate = False  # whoever sends tells it
    try:
        yield words
    finally:
        logger.removeHandler(words)


def made_of(spans: Sequence[Span]) -> "list[ReadableSpan]":
    """Spans as OpenTelemetry has them, with our IDs and times, and without secrets in any text."""
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    made: list[ReadableSpan] = []
    under_way: list[Span] = []

    class Given(IdGenerator):
        """The IDs of the span that is being made."""

        def generate_trace_id(self) -> int:
            """Of its trace."""
            return under_way[-1].trace_id

        def generate_span_id(self) -> int:
            """Its own."""
            return under_way[-1].span_id

    class Kept(SpanProcessor):
        """Those that were made."""

        def on_end(self, span: "ReadableSpan") -> None:
            """Keep it."""
            made.append(span)

    provider = TracerProvider(ALWAYS_ON, _resource(), shutdown_on_exit=False, id_generator=Given())
    provider.add_span_processor(Kept())
    tracer = provider.get_tracer(SERVICE, _version())
    for each in spans:
        under_way.append(each)
        _make(tracer, each)
    return made


def _make(tracer: "Tracer", span: Span) -> None:
    from opentelemetry import trace

    parent = None
    if span.parent_id is not None:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        above = trace.SpanContext(span.trace_id, span.parent_id, is_remote=True, trace_flags=flags)
        parent = trace.set_span_in_context(trace.NonRecordingSpan(above))
    kind = {SpanKind.INTERNAL: trace.SpanKind.INTERNAL, SpanKind.CLIENT: trace.SpanKind.CLIENT}[span.kind]
    told = {name: _clean(value) for name, value in span.attributes.items() if value is not None}
    made = tracer.start_span(span.name, parent, kind, told, start_time=_ns(span.began_at))
    if span.error is not None:
        made.set_status(trace.StatusCode.ERROR, _plain(span.error))
    made.end(_ns(span.ended_at))


def _resource() -> "Resource":
    """What sends them: named by the environment (``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``), else by us."""
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource

    found = Resource.create({SERVICE_VERSION: _version()})
    is_named = not str(found.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED)
    return found if is_named else found.merge(Resource({SERVICE_NAME: SERVICE}))


def _version() -> str:
    return version("madvision-assets")


def _ns(moment: datetime) -> int:
    """Nanoseconds since 1970, to the microsecond, which a float does not hold."""
    return (moment - EPOCH) // MICROSECOND * 1000


def _clean(value: str | float) -> str | float:
    return _plain(value) if isinstance(value, str) else value


def _plain(text: str) -> str:
    return visible(without_secrets(text))[:MAX_TEXT_CHARS]
