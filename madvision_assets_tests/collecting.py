"""A collector of OpenTelemetry's for tests: a real server, and what it was sent, decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
