"""What operators do with the queue, on SQLite and on a real PostgreSQL."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.failures import (
    ApiKeyInvalidError,
    Failure,
    PrivateVideoError,
    SourceRateLimitedError,
    StoreUnavailableError,
    SupersededError,
    UnknownVideoError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.leases import Lease
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import (
    metadata,
    video_processing_queue,
    videos,
)
from madvision_assets_tests.databases import KINDS, Clock, new_database

HOST = "host:example.org"


class Place:
    """A database with its queue, on one clock."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.queue = Queue(database, now=self.clock, spread=lambda: 1.0)
        self.operations = Operations(database, now=self.clock)

    def submit(self, *names: str, priority: int = 0, callback_url: str | None = None) -> list[str]:
        """Queue videos of these names."""
        videos = [Video(video_id=f"web-{name}", address=f"https://example.org/{name}") for name in names]
        Submissions(self.database, now=self.clock).add([NewSubmission(v, priority, callback_url) for v in videos])
        return [video.video_id for video in videos]

    def start(self, video_id: str, step: PipelineStep) -> Lease:
        """A run by hand begins a step."""
        return self.queue.begin(video_id, f"run-of-{video_id}", None, step)

    def fail(self, video_id: str, step: PipelineStep, failure: Failure) -> None:
        """A run by hand fails at a step."""
        lease = self.start(video_id, step)
        self.queue.fail(video_id, lease.run_id, lease.attempt, step, failure)

    def finish(self, video_id: str) -> None:
        """A run by hand makes the clips."""
        lease = self.start(video_id, PipelineStep.CLIPS)
        made = Clips(video_id=video_id, outcome=Outcome.TOO_SHORT, outcome_reason="three seconds")
        self.queue.finish_step(video_id, lease.run_id, PipelineStep.CLIPS, ends=True, made=made)

    def row(self, video_id: str) -> QueueRow:
        """The row of a video."""
        row = self.queue.get(video_id)
        assert row is not None
        return row

    def all_rows(self) -> int:
        """Rows of all tables."""
        counts = [select(func.count()).select_from(table) for table in metadata.tables.values()]
        with self.database.reading() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with new_database(request.param, request, tmp_path) as database:
        database.migrate()
        yield Place(database)


# --- restart ---


def test_a_restarted_video_is_queued_from_every_state_with_nothing_held_against_it(place: Place) -> None:
    queued, running, waiting, done, failed = place.submit("a", "b", "c", "d", "e")
    place.start(running, PipelineStep.TRANSCRIPT)
    place.fail(waiting, PipelineStep.TRANSCRIPT, StoreUnavailableError())
    place.finish(done)
    place.fail(failed, PipelineStep.RAW_VIDEO, PrivateVideoError())

    for video_id in (queued, running, waiting, done, failed):
        row = place.operations.restart(video_id, PipelineStep.CONTENT_TYPE, 7)
        assert row == place.row(video_id)
        assert (row.status, row.pipeline_step, row.from_step) == ("queued", "content_type", "content_type")
        assert (row.resource, row.priority, row.retry, row.lost_workers) == ("analyst", 7, 0, 0)
        assert (row.failure_cause, row.failure_details, row.finished_at) == (None, None, None)
        assert row.outcome is (Outcome.TOO_SHORT if video_id == done else None), "what was made counts"
    assert place.operations.restart(done, PipelineStep.RAW_VIDEO, None).resource == HOST
    assert place.row(done).priority == 7


def test_a_running_video_that_is_restarted_is_taken_from_its_worker_and_its_history_is_closed(place: Place) -> None:
    (video_id,) = place.submit("a")
    lease = place.start(video_id, PipelineStep.TRANSCRIPT)

    row = place.operations.restart(video_id, None, None)

    assert (row.status, row.pipeline_step) == (QueueStatus.QUEUED, PipelineStep.TRANSCRIPT)
    assert not place.queue.beat(lease)
    with pytest.raises(SupersededError):
        place.queue.require_lease(video_id, lease.run_id)
    (attempt,) = place.operations.history(video_id)
    assert (attempt.ended_at, attempt.status, attempt.failure_cause) == (place.clock.now, "queued", "superseded")


def test_what_was_asked_to_be_done_again_still_is_after_a_restart_without_a_step(place: Place) -> None:
    (video_id,) = place.submit("a")
    place.operations.restart(video_id, PipelineStep.TRANSCRIPT, None)

    assert place.operations.restart(video_id, None, None).from_step is PipelineStep.TRANSCRIPT


def test_a_video_that_was_never_queued_is_and_one_that_nobody_submitted_is_not(place: Place) -> None:
    place.database.add_video("web-x", "https://example.org/x")

    assert place.operations.restart("web-x", None, 3).priority == 3
    with pytest.raises(UnknownVideoError):
        place.operations.restart("web-nobody", None, None)
    assert place.queue.get("web-nobody") is None


# --- requeue ---


def test_requeueing_a_cause_frees_what_it_held_up_and_nothing_else(place: Place) -> None:
    hit, behind, other = place.submit("a", "b", "c")
    place.start(behind, PipelineStep.RAW_VIDEO)
    place.queue.finish_step(behind, f"run-of-{behind}", PipelineStep.RAW_VIDEO, ends=True, made=None)
    place.operations.restart(behind, PipelineStep.CONTENT_TYPE, None)
    place.fail(other, PipelineStep.RAW_VIDEO, PrivateVideoError("private"))
    place.fail(hit, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("401"))
    assert [breaker.name for breaker in place.operations.open_breakers()] == ["analyst"]
    assert {row.video_id for row in place.operations.rows(cause="api_key_invalid")} == {hit, behind}

    assert place.operations.requeue(cause="api_key_invalid") == 2

    assert place.operations.open_breakers() == []
    assert place.row(hit).status is QueueStatus.QUEUED
    assert place.row(hit).next_attempt_at == place.clock.now, "it is due now"
    assert place.row(other).failure_cause == "private_video"
    assert place.operations.requeue(cause="api_key_invalid") == 0


def test_a_video_in_the_queue_keeps_its_place_when_it_is_requeued(place: Place) -> None:
    (video_id,) = place.submit("a")
    before = place.row(video_id).next_attempt_at
    place.clock.move(60)

    assert place.operations.requeue(video_ids=[video_id]) == 1
    assert place.row(video_id).next_attempt_at == before


def test_requeueing_videos_leaves_those_that_run_to_their_workers(place: Place) -> None:
    idle, running = place.submit("a", "b")
    place.database.add_video("web-new", "https://example.org/new")
    lease = place.start(running, PipelineStep.TRANSCRIPT)

    wanted = [idle, running, "web-new"]
    assert place.operations.requeue(video_ids=wanted, from_step=PipelineStep.TRANSCRIPT) == 2

    assert place.queue.beat(lease)
    assert place.row("web-new").from_step is PipelineStep.TRANSCRIPT


def test_requeueing_is_all_or_none(place: Place) -> None:
    (video_id,) = place.submit("a")
    place.fail(video_id, PipelineStep.RAW_VIDEO, PrivateVideoError())

    with pytest.raises(UnknownVideoError):
        place.operations.requeue(video_ids=[video_id, "web-nobody"])
    assert place.row(video_id).status is QueueStatus.FAILED
    for causes in ({}, {"cause": "unexpected", "video_ids": [video_id]}):
        with pytest.raises(ValueError, match="cause or videos"):
            place.operations.requeue(**causes)  # type: ignore[arg-type]


@pytest.mark.whole
@pytest.mark.no_cover
def test_ten_thousand_videos_are_requeued_and_counted_in_seconds(place: Place) -> None:
    (one,) = place.submit("0")
    place.fail(one, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("401"))
    multiply(place, one, 10_000)
    began_s = time.monotonic()

    assert place.operations.requeue(cause="api_key_invalid") == 10_000
    assert [count.count for count in place.operations.counts()] == [10_000]
    assert len(place.operations.rows(limit=20)) == 20
    assert place.operations.requeue(video_ids=[f"web-{n}" for n in range(10_000)]) == 10_000
    assert time.monotonic() - began_s < 15, "some two seconds on an idle machine"


# --- looking ---


def test_counts_and_rows_tell_what_stands_where_most_urgent_first(place: Place) -> None:
    low, done, failed, running = place.submit("a", "b", "c", "d")
    (high,) = place.submit("e", priority=5)
    place.finish(done)
    place.fail(failed, PipelineStep.RAW_VIDEO, PrivateVideoError())
    place.start(running, PipelineStep.TRANSCRIPT)

    assert [row.video_id for row in place.operations.rows()] == [running, high, low, failed, done]
    assert [row.video_id for row in place.operations.rows(limit=2)] == [running, high]
    assert [row.video_id for row in place.operations.rows(status=QueueStatus.QUEUED)] == [high, low]
    told = [(c.status.value, c.pipeline_step.value, c.failure_cause, c.count) for c in place.operations.counts()]
    assert told == [
        ("running", "transcript", None, 1),
        ("queued", "raw_video", None, 2),
        ("failed", "raw_video", "private_video", 1),
        ("done", "clips", None, 1),
    ]
    assert place.operations.has_work()


def test_a_video_behind_a_breaker_is_told_with_the_cause_and_the_time_of_the_breaker(place: Place) -> None:
    hit, behind = place.submit("a", "b")
    place.fail(hit, PipelineStep.RAW_VIDEO, SourceRateLimitedError(retry_after_s=600))

    counts = place.operations.counts()
    assert [(count.status, count.failure_cause) for count in counts] == [
        ("queued", "source_rate_limited"),
        ("waiting", "source_rate_limited"),
    ]
    row = next(row for row in place.operations.rows() if row.video_id == behind)
    assert (row.status, row.failure_cause) == (QueueStatus.WAITING, "source_rate_limited")
    assert row.next_attempt_at == place.clock.now + timedelta(seconds=600)


def test_the_history_holds_every_attempt_with_its_cause(place: Place) -> None:
    (video_id,) = place.submit("a")
    place.fail(video_id, PipelineStep.RAW_VIDEO, PrivateVideoError("members only"))
    lease = place.queue.begin(video_id, "run-2", None, PipelineStep.TRANSCRIPT)

    first, second = place.operations.history(video_id)
    assert (first.status, first.failure_cause, first.failure_details) == ("failed", "private_video", "members only")
    assert (second.attempt, second.run_id, second.ended_at) == (lease.attempt, "run-2", None)
    assert place.operations.history("web-nobody") == []


def test_the_extent_of_videos_is_what_all_tables_hold_of_them(place: Place) -> None:
    empty = place.all_rows()
    (video_id,) = place.submit("a", callback_url="https://example.org/hook")
    place.finish(video_id)
    extent = place.operations.extent([video_id, "web-nobody"])
    assert (extent.known, extent.running, extent.tokens) == (frozenset({video_id}), frozenset(), 1)
    assert extent.rows == place.all_rows() - empty


def multiply(place: Place, video_id: str, count: int) -> None:
    """As many rows like that of a video, ``web-0`` among them."""
    row = place.row(video_id).model_dump()
    with place.database.writing() as connection:
        names = [f"web-{n}" for n in range(1, count)]
        times = {"created_at": place.clock.now, "updated_at": place.clock.now}
        video = {"address": "https://x/", "options": {}, **times}
        connection.execute(videos.insert(), [{**video, "video_id": name} for name in names])
        rows = [{**row, "status": QueueStatus.QUEUED, "video_id": name} for name in names]
        connection.execute(video_processing_queue.insert(), rows)
        for status in ("running", row["status"]):
            mine = video_processing_queue.c.video_id != video_id
            connection.execute(video_processing_queue.update().where(mine).values(status=status))
