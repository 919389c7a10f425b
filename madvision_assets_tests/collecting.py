"""A collector of OpenTelemetry's for tests: a real server, and what it was sent, decoded."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from madvision_assets_tests.site import Site

PATH = "/v1/traces"


@dataclass(frozen=True)
class Collected:
    """A span as the collector has it.

    Attributes:
        ids: of its trace, its own, and its parent's, hex; the last one is empty for a root.
        resource: what sent it.
    """

    name: str
    ids: tuple[str, str, str]
    began_at: datetime
    ended_at: datetime
    kind: int
    attributes: dict[str, Any]
    error: str | None
    resource: dict[str, Any]

    @property
    def trace(self) -> str:
        """The ID of its trace."""
        return self.ids[0]


@dataclass
class Picky:
    """A collector that refuses some of what it is sent.

    Attributes:
        endpoint: where it is.
        taken: what it took, in order.
        refused: how often it refused something.
    """

    endpoint: str = ""
    taken: list[Collected] = field(default_factory=list)
    refused: int = 0


@contextmanager
def picky(refuses: Callable[[list[Collected]], bool], status: int = HTTPStatus.BAD_REQUEST) -> Iterator[Picky]:
    """A collector that refuses, with a status, what it is asked about."""
    made = Picky()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            spans = decoded(self.rfile.read(int(self.headers["Content-Length"])))
            is_refused = refuses(spans)
            made.refused += is_refused
            made.taken += [] if is_refused else spans
            self.send_response(status if is_refused else HTTPStatus.OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's naming
            """Nothing: what was taken says it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def taking(site: Site) -> str:
    """Let a site take what is sent; gives the endpoint."""
    site.serve(PATH, b"", content_type="application/x-protobuf")
    return site.url("")


def collected(site: Site) -> list[Collected]:
    """All that a site was sent, in order, taken or not."""
    return [span for hit in site.hits(PATH) for span in decoded(hit.body)]


def decoded(body: bytes) -> list[Collected]:
    """The spans of one request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Collected(
            name=span.name,
            ids=(span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()),
            began_at=_moment(span.start_time_unix_nano),
            ended_at=_moment(span.end_time_unix_nano),
            kind=span.kind,
            attributes=_values(span.attributes),
            error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
            resource=_values(resource.resource.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def children(spans: Sequence[Collected], parent: Collected) -> list[str]:
    """The names of what is part of a span, in order."""
    return [each.name for each in spans if each.ids[2] == parent.ids[1] and each.trace == parent.trace]


def _moment(since_1970_ns: int) -> datetime:
    return datetime.fromtimestamp(since_1970_ns // 1000 / 1e6, UTC)


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
