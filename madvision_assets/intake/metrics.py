"""Figures for Prometheus: what this process counts itself, and what the tables say when they are asked."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Generic, TypeVar

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from madvision_assets.domain.failures import Failure
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database.figures import Figures

KEEP_S = 5.0
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

T = TypeVar("T")

router = APIRouter(tags=["operation"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
def metrics(request: Request) -> Response:
    """Figures in Prometheus' text format."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


class HttpFigures:
    """Requests by route, method and status.

    Args:
        registry: where they are kept.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("route", "method", "status")
        self._requests = Counter("madvision_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "madvision_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            registry=registry,
            buckets=BUCKETS_S,
        )

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request; anybody can make methods up, so the unusual ones are one."""
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class Remembered(Generic[T]):
    """A question's answer, asked again only after a while, and by one thread at a time.

    Args:
        ask: the question.
        keep_s: for how long its answer holds, seconds.
    """

    def __init__(self, ask: Callable[[], T], keep_s: float) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._lock = Lock()
        self._known: tuple[float, T] | None = None

    def __call__(self) -> T:
        """The answer."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > self._keep_s:
                answer = self._ask()
                self._known = (time.monotonic(), answer)
            return self._known[1]


class TableFigures(Collector):
    """What the tables say; without the database, that it is away.

    Args:
        figures: where to ask.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._families = Remembered(self._ask, KEEP_S)

    def collect(self) -> Iterator[Metric]:
        """The families of metrics."""
        yield from self._families()

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not touch the database."""
        return iter(())

    def _ask(self) -> list[Metric]:
        up = GaugeMetricFamily("madvision_database_up", "Whether the database answered.")
        try:
            families = [*self._queue(), self._failures(), *self._stages(), *self._paid()]
            families += [self._breakers(), self._submissions()]
        except Failure:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *families]

    def _queue(self) -> list[Metric]:
        labels = ("status", "pipeline_step")
        videos = GaugeMetricFamily("madvision_queue_videos", "Videos in this state at this step.", labels=labels)
        age = GaugeMetricFamily(
            "madvision_queue_oldest_seconds",
            "Seconds since the one that stood still for longest last changed; of states that are not final.",
            labels=labels,
        )
        now = datetime.now(UTC)
        for depth in self._figures.depths():
            place = (depth.status, depth.pipeline_step)
            videos.add_metric(place, depth.videos)
            if not QueueStatus(depth.status).is_final:
                age.add_metric(place, max(0.0, (now - depth.unchanged_since).total_seconds()))
        return [videos, age, *self._ready(now)]

    def _ready(self, now: datetime) -> list[Metric]:
        labels = ("pipeline_step",)
        videos = GaugeMetricFamily(
            "madvision_queue_ready",
            "Queued videos that wait for no site, nor anything else that is broken.",
            labels=labels,
        )
        age = GaugeMetricFamily(
            "madvision_queue_ready_oldest_seconds", "Seconds since the oldest of them last changed.", labels=labels
        )
        for ready in self._figures.ready():
            videos.add_metric([ready.pipeline_step], ready.videos)
            age.add_metric([ready.pipeline_step], max(0.0, (now - ready.unchanged_since).total_seconds()))
        return [videos, age]

    def _failures(self) -> Metric:
        family = CounterMetricFamily("madvision_failures", "Attempts that ended with this cause.", labels=("cause",))
        for cause, count in self._figures.failures().items():
            family.add_metric([cause], count)
        return family

    def _stages(self) -> list[Metric]:
        seconds = SummaryMetricFamily("madvision_stage_seconds", "Wall time of materialisations.", labels=("asset",))
        cost = CounterMetricFamily("madvision_stage_cost_usd", "Paid to third parties, US dollars.", labels=("asset",))
        for stage in self._figures.stages():
            seconds.add_metric([stage.asset], stage.materialisations, stage.wall_s)
            cost.add_metric([stage.asset], stage.cost_usd)
        return [seconds, cost]

    def _paid(self) -> list[Metric]:
        """Of all calls, those too of which nothing came."""
        known = CounterMetricFamily("madvision_paid_calls_usd", "Known to be paid, US dollars.", labels=("step",))
        doubt = GaugeMetricFamily(
            "madvision_paid_calls_doubtful_usd",
            "May be paid besides: nobody knows what became of it.",
            labels=("step",),
        )
        for step, spent in self._figures.paid().items():
            known.add_metric([step], spent.cost_usd)
            doubt.add_metric([step], spent.doubtful_usd)
        return [known, doubt]

    def _breakers(self) -> Metric:
        family = GaugeMetricFamily(
            "madvision_breaker_open", "1 for what is left alone since it is broken.", labels=("name", "cause")
        )
        for breaker in self._figures.open_breakers():
            family.add_metric([breaker.name, breaker.cause or ""], 1)
        return family

    def _submissions(self) -> Metric:
        family = CounterMetricFamily("madvision_submissions", "Submissions taken.")
        family.add_metric([], self._figures.submissions())
        return family
