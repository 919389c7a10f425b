"""Claims about traces out of a real database, sent to a real collector, also where that is away or never answers."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from madvision_assets.domain.failures import ConnectionLostError
from madvision_assets.domain.paying import Came, Planned
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.traces import Telling
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.paid_calls import PaidCalls
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.telemetry import Collector
from madvision_assets.work.tracing import KEPT_S, MAX_SPANS, MAX_TELLINGS, SETTLED_S, Progress, Tracing
from madvision_assets.work.webhooks import WebhookSender
from madvision_assets_tests import databases, stores
from madvision_assets_tests.collecting import PATH, Collected, children, collected, decoded, picky, taking
from madvision_assets_tests.databases import KINDS, VIDEO, Clock, new_database
from madvision_assets_tests.site import Site, silent_server
from madvision_assets_tests.waiting import wait_for

LIMIT_S = 60.0
LAST = PipelineStep.CLIPS


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path) as made:
        made.migrate()
        yield made


@pytest.fixture
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with new_database("sqlite", request, tmp_path) as made:
        made.migrate()
        yield made


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """Endpoint of a collector that takes connections and never answers."""
    with silent_server() as address:
        yield address


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Traced:
    """A database whose videos are processed by hand, and who sends their traces.

    Args:
        database: where they are.
        clock: the time, for all of them.
        endpoint: of the collector.
        wait_s: how long a look waits for it.
    """

    def __init__(self, database: Database, clock: Clock, endpoint: str, wait_s: float = LIMIT_S) -> None:
        self.database, self.clock = database, clock
        self.queue = Queue(database, now=clock, spread=lambda: 0.0)
        self.tracing = Tracing(database, Collector(endpoint, answer_limit_s=5.0), clock, wait_s)
        self.kept = self.tracing.look(None).progress.to_text()

    def submit(self, callback_url: str | None = None) -> None:
        """The video is submitted."""
        video = Video(video_id=VIDEO, address="https://example.org/v.mp4")
        Submissions(self.database, now=self.clock).add([NewSubmission(video, callback_url=callback_url)])

    def begin(self, step: PipelineStep = LAST, run_id: str = "run-1") -> None:
        """It is claimed ten seconds later, and a run begins a step."""
        self.clock.move(10)
        [row] = self.queue.claim_due(1)
        self.queue.begin(VIDEO, run_id, row.attempt, step)

    def finish(self, run_id: str = "run-1") -> None:
        """It is done, after five seconds of work."""
        self.clock.move(5)
        raw = stores.raw_video().model_copy(update={"video_id": VIDEO, "provenance": None})
        recipe = Recipe(engine="test", model="m")
        document = raw.seal(recipe, run_id=run_id, code_version="1", inputs=(), wall_s=4, created_at=self.clock())
        self.database.add_lineage(document, "memory://raw_video")
        self.queue.finish_step(VIDEO, run_id, LAST, ends=True, made=databases.made(VIDEO))

    def look(self, after_s: float = SETTLED_S) -> str:
        """A look at what has ended; gives its sentence."""
        self.clock.move(after_s)
        step = self.tracing.look(self.kept)
        self.kept = step.progress.to_text()
        return step.sentence

    def look_until_nothing_has_ended(self) -> list[str]:
        """What each look says before the one that finds nothing, which must come."""
        told: list[str] = []
        while not (sentence := self.look()).startswith("Nothing has ended."):
            told.append(sentence)
            assert len(told) < 100
        return told

    def end(self, *numbers: int) -> list[str]:
        """Videos ``web-<number>`` are submitted and done, one after the other; gives their IDs."""
        video_ids = databases.submit(self.database, *numbers, at=self.clock())
        for video_id in video_ids:
            self.queue.begin(video_id, f"run-{video_id}", None, LAST)
            self.queue.finish_step(video_id, f"run-{video_id}", LAST, ends=True, made=databases.made(video_id))
        return video_ids

    @property
    def dropped(self) -> int:
        """So many were."""
        return Progress.from_text(self.kept).dropped


def named(spans: list[Collected], name: str) -> Collected:
    (found,) = [each for each in spans if each.name == name]
    return found


def test_a_video_is_one_trace_from_its_submission_to_its_callback(database: Database, clock: Clock, site: Site) -> None:
    traced = Traced(database, clock, taking(site))
    hook = site.serve("/hook/hide-me?token=hide-me", b"ok")
    submitted_at = clock()
    traced.submit(hook)
    traced.begin()
    traced.queue.fail(VIDEO, "run-1", 1, LAST, ConnectionLostError("it broke off"))
    clock.move(3600)
    traced.begin(run_id="run-2")
    paid = PaidCalls(database)
    call = paid.reserve(Planned(VIDEO, "raw_video", "gpt-4o", "1", 0.5, 60.0), clock(), clock(), lambda *_: None)
    clock.move(1)
    paid.settle(call, Came("gpt-4o", cost_usd=0.25, input_tokens=100, output_tokens=10), clock())
    traced.finish("run-2")
    WebhookSender(database, allow_private=True, now=clock, told=traced.tracing.told).deliver_due()

    assert "spans sent" in traced.look()
    spans = collected(site)
    root = named(spans, "video")
    assert {each.trace for each in spans} == {root.trace}
    assert (root.ids[2], root.began_at) == ("", submitted_at)
    assert root.ended_at == clock() - timedelta(seconds=SETTLED_S)
    assert root.attributes["madvision.outcome"] == "clips"
    assert sorted(children(spans, root)) == ["POST", "attempt", "attempt", "queue", "queue", "submit"]
    failed, done = sorted((each for each in spans if each.name == "attempt"), key=lambda each: each.began_at)
    assert (failed.attributes["error.type"], done.error) == (ConnectionLostError.code, None)
    assert ConnectionLostError.sentence in (failed.error or "")
    assert children(spans, failed) == ["clips"]
    assert children(spans, done) == ["raw_video"]
    assert children(spans, named(spans, "raw_video")) == ["chat gpt-4o"]
    told = named(spans, "POST")
    assert told.attributes["http.response.status_code"] == 200
    assert told.attributes["server.address"] == "127.0.0.1"
    assert b"hide-me" not in b"".join(hit.body for hit in site.hits(PATH))


def ended(spans: list[Collected]) -> list[str]:
    """The videos whose end is told."""
    return [str(each.attributes["madvision.video.id"]) for each in spans if each.name == "video"]


def test_each_end_is_sent_once_and_none_from_before_there_was_a_collector(
    database: Database, clock: Clock, site: Site
) -> None:
    before = Traced(database, clock, taking(site))
    before.submit()
    before.begin()
    before.finish()
    clock.move(SETTLED_S + 1)
    traced = Traced(database, clock, site.url(""))

    assert traced.look() == "Nothing has ended."
    for _ in range(3):
        databases.submit(database, *range(2, 252), at=clock())
    video_ids = traced.end(*range(2, 252))
    assert len(traced.look_until_nothing_has_ended()) < 10
    assert sorted(ended(collected(site))) == sorted(video_ids)
    assert max(len(decoded(hit.body)) for hit in site.hits(PATH)) <= MAX_SPANS


def test_what_a_collector_did_not_take_is_sent_again_with_the_same_ids(
    sqlite: Database, clock: Clock, site: Site
) -> None:
    traced = Traced(sqlite, clock, taking(site))
    site.fail_first(2, 503, path=PATH, Retry_After="60")
    hook = site.serve("/hook", b"ok")
    traced.submit(hook)
    traced.begin()
    traced.finish()
    WebhookSender(sqlite, allow_private=True, now=clock, told=traced.tracing.told).deliver_due()

    assert ["503" in traced.look() for _ in range(3)] == [True, True, False]
    assert traced.look() == "Nothing has ended."
    first, second, third = ({span.ids for span in decoded_hit} for decoded_hit in _by_hit(site))
    assert first == second == third
    assert "POST" in {each.name for each in collected(site)}
    assert traced.dropped == 0


def test_a_collector_that_hangs_is_not_waited_for_and_nothing_else_is_sent_meanwhile(
    sqlite: Database, clock: Clock, silent: str
) -> None:
    traced = Traced(sqlite, clock, silent, wait_s=0.05)
    traced.submit()
    traced.begin()
    traced.finish()

    assert traced.look() == "The collector has not answered yet."
    under_way = traced.tracing._under_way
    assert traced.look() == "The collector has not answered yet."
    assert traced.tracing._under_way is under_way
    sentence = wait_for(lambda: (told := traced.look(0)).startswith("Not sent") and told, LIMIT_S)
    assert isinstance(sentence, str)
    assert Progress.from_text(traced.kept).place.at < clock() - timedelta(seconds=SETTLED_S)


def test_what_a_collector_refuses_for_good_is_dropped_alone_and_holds_up_nothing(
    sqlite: Database, clock: Clock
) -> None:
    def is_bad(spans: list[Collected]) -> bool:
        return any(
            each.attributes["madvision.video.id"] == "web-7" or each.attributes.get("server.address") == "bad.example"
            for each in spans
        )

    with picky(is_bad) as collector:
        traced = Traced(sqlite, clock, collector.endpoint)
        video_ids = traced.end(*range(2, 12))
        for host in ("good.example", "bad.example", "good.example"):
            told = Telling("web-2", 1, 1, f"https://{host}/", clock(), clock(), 200, None)
            traced.tracing.told(told)
        sentences = traced.look_until_nothing_has_ended()
        assert sorted(ended(collector.taken)) == sorted({*video_ids} - {"web-7"})
        assert [each.name for each in collector.taken].count("POST") == 2
        assert traced.dropped == 2
        assert sum(each.startswith("Refused for good: it answered 400") for each in sentences) == 2

        later = traced.end(*range(20, 40))
        sentences = traced.look_until_nothing_has_ended()
        assert {*later} < {*ended(collector.taken)}
        assert (traced.dropped, len(sentences) < len(later)) == (2, True)


def test_a_collector_that_refuses_everything_is_asked_for_one_thing_at_a_look(sqlite: Database, clock: Clock) -> None:
    with picky(lambda _: True, 401) as collector:
        traced = Traced(sqlite, clock, collector.endpoint)
        traced.end(*range(2, 12))
        sentences = traced.look_until_nothing_has_ended()

        assert traced.dropped == 10
        assert collector.refused == len(sentences) < 20
        assert all("401" in each for each in sentences)


def test_what_nobody_took_for_a_day_is_dropped_and_counted(sqlite: Database, clock: Clock, site: Site) -> None:
    site.fail(PATH, 503, Retry_After="60")
    traced = Traced(sqlite, clock, site.url(""))
    traced.submit()
    traced.begin()
    traced.finish()
    traced.tracing.told(Telling(VIDEO, 1, 1, "https://example.org/", clock(), clock(), 200, None))

    for _ in range(2):
        assert "503" in traced.look(KEPT_S / 2 - 1)
    assert traced.look(SETTLED_S) == "Nothing has ended. 2 dropped so far."
    assert traced.dropped == 2


def test_what_ended_while_there_was_no_collector_is_neither_sent_nor_called_dropped(
    sqlite: Database, clock: Clock, site: Site
) -> None:
    traced = Traced(sqlite, clock, taking(site))
    traced.end(2, 3)
    assert "spans sent" in traced.look()
    clock.move(90 * KEPT_S)
    traced.end(*range(4, 9))
    clock.move(KEPT_S / 2)
    traced.end(9)
    clock.move(1)

    assert traced.look() == "What ends from now on is sent."
    traced.end(10)
    traced.look_until_nothing_has_ended()
    assert ended(collected(site)) == ["web-2", "web-3", "web-10"]
    assert traced.dropped == 0


def test_callbacks_that_wait_are_bounded_and_those_that_are_too_many_counted(sqlite: Database, clock: Clock) -> None:
    traced = Traced(sqlite, clock, "http://127.0.0.1:1")
    for _ in range(MAX_TELLINGS + 5):
        traced.tracing.told(Telling("web-unknown", 1, 1, "https://example.org/", clock(), clock(), 200, None))

    assert traced.look() == "0 spans sent. 5 dropped so far."
    assert len(traced.tracing._tellings) < MAX_TELLINGS


def test_how_far_it_is_survives_a_restart(sqlite: Database, clock: Clock, site: Site) -> None:
    traced = Traced(sqlite, clock, taking(site))
    kept = traced.kept
    traced.submit()
    traced.begin()
    traced.finish()
    clock.move(SETTLED_S)
    again = Tracing(sqlite, Collector(site.url("")), clock, LIMIT_S)

    step = again.look(json.dumps(json.loads(kept)))
    assert step.sentence.endswith("spans sent.")
    assert (
        Tracing(sqlite, Collector(site.url("")), clock).look(step.progress.to_text()).sentence == "Nothing has ended."
    )


def _by_hit(site: Site) -> list[list[Collected]]:
    return [decoded(hit.body) for hit in site.hits(PATH)]
