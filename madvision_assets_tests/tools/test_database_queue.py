"""Claims about leases on a video: who has one, how it ends, that nobody else can; on SQLite and PostgreSQL alike."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import (
    ApiKeyInvalidError,
    BotCheckError,
    Failure,
    IncompleteDownloadError,
    PrivateVideoError,
    SupersededError,
    WorkerLostError,
)
from madvision_assets.domain.queue import LEGAL_MOVES, QueueStatus, RetryRules
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.leases import Lease
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import video_processing_queue
from madvision_assets_tests.databases import (
    VIDEO,
    Clock,
    alter,
    document,
    get,
    history,
    made,
    run_all,
    submit,
)

RAW, TRANSCRIPT, KIND, CANDIDATES, CLIPS = PipelineStep


# --- what the database itself refuses ---


def test_the_database_allows_the_legal_moves_and_no_other(database: Database, claimed: QueueRow) -> None:
    allowed: dict[QueueStatus, set[QueueStatus]] = {}
    for old in QueueStatus:
        for new in QueueStatus:
            with database.writing() as connection:
                connection.execute(text("DELETE FROM video_processing_queue"))
                ended = {"outcome": "clips", "failure_cause": "unexpected"}
                row = claimed.model_dump() | ended | {"status": old.value}
                connection.execute(video_processing_queue.insert().values(row))
            try:
                with database.engine.begin() as connection:
                    connection.execute(video_processing_queue.update().values(status=new.value))
                allowed.setdefault(old, set()).add(new)
            except IntegrityError as error:
                assert "illegal move" in str(error)  # noqa: PT017 - only some of them are refused

    assert allowed == {old: moves | {old} for old, moves in LEGAL_MOVES.items()}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"attempt": 0}, "illegal move"),
        ({"status": "done", "outcome": None}, "outcome"),
        ({"status": "failed", "failure_cause": None}, "failure_cause"),
        ({"status": "parked", "failure_cause": None}, "failure_cause"),
        ({"status": "lost"}, "status"),
        ({"progress": 1.01}, "progress"),
        ({"priority": 101}, "priority"),
        ({"retry": -1}, "counts"),
    ],
)
def test_the_database_refuses_a_row_that_cannot_be(
    database: Database, claimed: QueueRow, values: dict[str, Any], reason: str
) -> None:
    assert claimed.attempt == 1
    with pytest.raises(IntegrityError, match=reason), database.engine.begin() as connection:
        connection.execute(video_processing_queue.update().values(**values))


# --- a lease from its claim to its end ---


def test_a_claimed_video_goes_through_all_steps_and_is_done(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, at=clock.now)
    (claimed,) = queue.claim_due(1)
    assert (claimed.status, claimed.attempt, claimed.run_id) == (QueueStatus.RUNNING, 1, None)

    seen = []
    for step in PipelineStep:
        clock.move(10)
        lease = queue.begin(VIDEO, "run", 1, step)
        assert lease == Lease(VIDEO, "run", 1)
        assert queue.report(lease, step, 0.5, "half of it")
        row = get(queue)
        assert (row.pipeline_step, row.step_progress, row.message) == (step, 0.5, "half of it")
        assert row.heartbeat_at == clock.now
        seen.append(row.progress)
        queue.finish_step(VIDEO, "run", step, ends=step is CLIPS, made=made(VIDEO) if step is CLIPS else None)

    row = get(queue)
    assert seen == sorted(seen)
    assert (row.status, row.outcome, row.outcome_reason) == (QueueStatus.DONE, Outcome.CLIPS, "so it is")
    assert (row.progress, row.finished_at, row.resource, row.message) == (1.0, clock.now, None, "")
    (attempt,) = history(database, VIDEO)
    assert (attempt["run_id"], attempt["status"], attempt["pipeline_step"]) == ("run", "done", "clips")
    assert attempt["ended_at"] - attempt["started_at"] == timedelta(seconds=50)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_how_it_ended_is_kept_whether_there_are_clips_or_not(queue: Queue, claimed: QueueRow, outcome: Outcome) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, CLIPS)
    queue.finish_step(VIDEO, "run", CLIPS, ends=True, made=made(VIDEO, outcome))

    assert (get(queue).status, get(queue).outcome) == (QueueStatus.DONE, outcome)


def test_a_claimed_video_whose_documents_are_all_there_is_completed_without_a_run(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    assert queue.complete(VIDEO, claimed.attempt, made(VIDEO, Outcome.TOO_SHORT))

    assert (get(queue).status, get(queue).outcome) == (QueueStatus.DONE, Outcome.TOO_SHORT)
    assert [each["status"] for each in history(database, VIDEO)] == ["done"]
    assert not queue.complete(VIDEO, claimed.attempt, made(VIDEO))


def test_a_claimed_video_that_could_not_be_launched_goes_back(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    assert queue.release(VIDEO, claimed.attempt)
    assert not queue.release(VIDEO, claimed.attempt)

    (again,) = queue.claim_due(1)
    assert again.attempt == 2
    assert [each["status"] for each in history(database, VIDEO)] == ["queued", "running"]
    assert not queue.release(VIDEO, claimed.attempt)
    assert not queue.complete(VIDEO, claimed.attempt, made(VIDEO))


def test_progress_is_kept_between_0_and_1_and_words_are_kept_without_what_no_database_takes(
    queue: Queue, claimed: QueueRow
) -> None:
    lease = queue.begin(VIDEO, "run", claimed.attempt, RAW)

    for fraction, kept in ((1.0000001, 1.0), (-1.0, 0.0), (float("nan"), 0.0)):
        assert queue.report(lease, RAW, fraction, "heard: \0 and \ud800" + "x" * 1000)
        assert get(queue).step_progress == kept
    assert get(queue).message.startswith("heard:  and ?xxx")
    assert queue.fail(VIDEO, "run", 1, RAW, PrivateVideoError("page said \0 \udcff")) is QueueStatus.FAILED


def test_a_launched_run_that_starts_has_the_lease_and_no_other_can(queue: Queue, claimed: QueueRow) -> None:
    assert queue.start(VIDEO, "run", claimed.attempt) == Lease(VIDEO, "run", 1)
    assert queue.start(VIDEO, "run", claimed.attempt) is not None
    assert queue.start(VIDEO, "twin", claimed.attempt) is None
    assert queue.start(VIDEO, "run", claimed.attempt + 1) is None
    with pytest.raises(SupersededError):
        queue.begin(VIDEO, "twin", claimed.attempt, RAW)


# --- failing ---


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (PrivateVideoError("why"), QueueStatus.FAILED),
        (IncompleteDownloadError("why"), QueueStatus.WAITING),
        (BotCheckError("why"), QueueStatus.WAITING),
        (ApiKeyInvalidError("why"), QueueStatus.WAITING),
        (WorkerLostError("why"), QueueStatus.WAITING),
    ],
)
def test_a_failure_is_written_down_where_a_person_looks_and_gone_at_the_next_start(
    database: Database, queue: Queue, clock: Clock, claimed: QueueRow, failure: Failure, status: QueueStatus
) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)

    assert queue.fail(VIDEO, "run", 1, RAW, failure) is status

    row = get(queue)
    assert (row.status, row.failure_cause, row.failure_details) == (status, failure.code, "why")
    assert (row.finished_at is None) == (status is QueueStatus.WAITING)
    (attempt,) = history(database, VIDEO)
    assert (attempt["status"], attempt["failure_cause"], attempt["ended_at"]) == (status, failure.code, clock.now)
    queue.begin(VIDEO, "by hand", None, RAW)
    row = get(queue)
    assert (row.failure_cause, row.failure_details, row.finished_at) == (None, None, None)


def test_a_video_that_waits_comes_back_when_its_time_has_come_and_not_before(
    database: Database, clock: Clock, claimed: QueueRow
) -> None:
    queue = Queue(database, RetryRules(base_s=30), now=clock, spread=lambda: 1.0)
    for nth, pause_s in enumerate((30, 60, 120, 240), start=1):
        queue.begin(VIDEO, f"run {nth}", claimed.attempt, RAW)
        queue.fail(VIDEO, f"run {nth}", claimed.attempt, RAW, IncompleteDownloadError())
        assert get(queue).retry == nth
        clock.move(pause_s - 1)
        assert queue.claim_due(1) == []
        clock.move(1)
        (claimed,) = queue.claim_due(1)


def test_retries_run_out_and_then_it_failed_for_good(database: Database, clock: Clock, claimed: QueueRow) -> None:
    queue = Queue(database, RetryRules(max_retries=2), now=clock)
    ends = []
    while claimed:
        queue.begin(VIDEO, f"run {claimed.attempt}", claimed.attempt, RAW)
        ends.append(queue.fail(VIDEO, f"run {claimed.attempt}", claimed.attempt, RAW, IncompleteDownloadError()))
        clock.move(3600)
        claimed = next(iter(queue.claim_due(1)), None)  # type: ignore[assignment]

    assert ends == [QueueStatus.WAITING, QueueStatus.WAITING, QueueStatus.FAILED]
    assert [each["failure_cause"] for each in history(database, VIDEO)] == ["incomplete_download"] * 3


def test_runs_of_which_no_worker_came_are_given_back_uncounted_however_often(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, at=queue._now())
    pauses = []
    for nth in range(1, 11):
        (row,) = queue.claim_due(1)
        assert queue.fail(VIDEO, "", row.attempt - 1, RAW, WorkerLostError()) is None
        assert queue.fail(VIDEO, "", row.attempt, RAW, WorkerLostError("no sign of life")) is QueueStatus.WAITING
        pauses.append((get(queue).next_attempt_at - queue._now()).total_seconds())
        assert get(queue).attempt == nth
        clock.move(pauses[-1])

    row = get(queue)
    assert (row.failure_cause, row.retry, row.lost_workers) == ("run_not_launched", 0, 0)
    assert [each["failure_cause"] for each in history(database, VIDEO)] == ["run_not_launched"] * 10
    assert pauses[0] < 6
    assert pauses[-1] >= RetryRules().launch_cap_s / 2


def test_launches_that_came_to_nothing_are_counted_in_a_row_only(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, at=queue._now())

    def launched_in_vain() -> float:
        (row,) = queue.claim_due(1)
        queue.fail(VIDEO, "", row.attempt, RAW, WorkerLostError())
        pause_s = (get(queue).next_attempt_at - queue._now()).total_seconds()
        clock.move(pause_s)
        return pause_s

    assert [launched_in_vain() for _ in range(5)][-1] > 6
    (row,) = queue.claim_due(1)
    queue.begin(VIDEO, "run", row.attempt, RAW)
    queue.fail(VIDEO, "run", row.attempt, RAW, IncompleteDownloadError())
    clock.move(3600)

    assert launched_in_vain() < 6


def test_a_worker_is_held_against_a_video_only_where_it_died_with_it_in_hand(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, at=queue._now())
    lost = []
    for nth in range(1, 7):
        (row,) = queue.claim_due(1)
        queue.start(VIDEO, f"run {nth}", row.attempt)
        if nth % 2 == 0:  # every other worker gets as far as to begin
            queue.begin(VIDEO, f"run {nth}", row.attempt, RAW)
        queue.fail(VIDEO, f"run {nth}", row.attempt, RAW, WorkerLostError(f"run {nth} is gone"))
        lost.append((get(queue).lost_workers, get(queue).failure_cause))
        clock.move(3600)

    counted = ["run_not_launched", "worker_lost"] * 3
    counted[-1] = "poison_input"
    assert lost == list(zip((0, 1, 1, 2, 2, 3), counted, strict=True))
    assert "run 6 is gone" in (get(queue).failure_details or "")


def test_a_worker_that_gave_a_sign_of_life_since_is_not_lost(queue: Queue, clock: Clock, claimed: QueueRow) -> None:
    lease = queue.begin(VIDEO, "run", claimed.attempt, RAW)
    seen = get(queue).heartbeat_at
    clock.move(1)
    assert queue.beat(lease)

    assert queue.fail(VIDEO, "run", claimed.attempt, RAW, WorkerLostError(), silent_since=seen) is None

    assert queue.beat(lease)
    last = get(queue).heartbeat_at
    assert queue.fail(VIDEO, "run", claimed.attempt, RAW, WorkerLostError(), silent_since=last) is QueueStatus.WAITING


def test_a_claim_that_is_given_back_keeps_its_place_and_none_waits_for_what_is_over(
    database: Database, queue: Queue, clock: Clock, claimed: QueueRow
) -> None:
    due_at = claimed.next_attempt_at
    clock.move(60)
    assert queue.release(VIDEO, claimed.attempt)
    assert get(queue).next_attempt_at == due_at

    (again,) = queue.claim_due(1)
    alter(database, next_attempt_at=clock() + timedelta(hours=10))  # as after a long pause, and run by hand in it
    assert queue.release(VIDEO, again.attempt)
    assert get(queue).next_attempt_at == clock()


def test_a_worker_that_died_between_two_stages_had_nothing_in_hand(queue: Queue, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)
    queue.finish_step(VIDEO, "run", RAW, ends=False, made=None)

    queue.fail(VIDEO, "run", claimed.attempt, TRANSCRIPT, WorkerLostError())

    assert (get(queue).lost_workers, get(queue).failure_cause) == (0, "run_not_launched")


def test_workers_lost_on_one_step_do_not_count_against_the_next(queue: Queue, clock: Clock, claimed: QueueRow) -> None:
    attempt = claimed.attempt
    for _ in range(2):
        queue.begin(VIDEO, f"run {attempt}", attempt, RAW)
        queue.fail(VIDEO, f"run {attempt}", attempt, RAW, WorkerLostError())
        clock.move(3600)
        attempt = queue.claim_due(1)[0].attempt
    queue.begin(VIDEO, "run", attempt, RAW)
    queue.finish_step(VIDEO, "run", RAW, ends=False, made=None)

    assert get(queue).lost_workers == 0
    queue.begin(VIDEO, "run", attempt, TRANSCRIPT)
    assert queue.fail(VIDEO, "run", attempt, TRANSCRIPT, WorkerLostError()) is QueueStatus.WAITING


def test_nor_against_the_next_where_what_the_lost_worker_had_published_is_stepped_over(
    queue: Queue, clock: Clock, claimed: QueueRow
) -> None:
    """Killed between a document and the row that tells of it, at three stages: it gets on each time."""
    attempt = claimed.attempt
    for step in (RAW, TRANSCRIPT, PipelineStep.CONTENT_TYPE):
        queue.begin(VIDEO, f"run {attempt}", attempt, step)
        assert queue.fail(VIDEO, f"run {attempt}", attempt, step, WorkerLostError()) is QueueStatus.WAITING
        assert get(queue).lost_workers == 1
        clock.move(3600)
        attempt = queue.claim_due(1)[0].attempt


def test_going_back_to_an_earlier_step_forgets_no_lost_worker(queue: Queue, clock: Clock, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, TRANSCRIPT)
    queue.fail(VIDEO, "run", claimed.attempt, TRANSCRIPT, WorkerLostError())
    clock.move(3600)
    (row,) = queue.claim_due(1)
    queue.begin(VIDEO, "again", row.attempt, RAW)

    assert get(queue).lost_workers == 1


# --- fencing ---


@pytest.fixture
def overtaken(queue: Queue, claimed: QueueRow, clock: Clock) -> Lease:
    """The lease of a worker that was believed lost and is not; the video is at its second attempt."""
    lease = queue.begin(VIDEO, "old", claimed.attempt, RAW)
    queue.fail(VIDEO, "old", lease.attempt, RAW, WorkerLostError())
    clock.move(3600)
    (again,) = queue.claim_due(1)
    queue.begin(VIDEO, "new", again.attempt, RAW)
    return lease


def test_an_older_attempt_can_do_nothing(database: Database, queue: Queue, overtaken: Lease) -> None:
    before = get(queue), history(database, VIDEO)

    assert not queue.beat(overtaken)
    assert not queue.report(overtaken, RAW, 0.9, "still here")
    assert queue.fail(VIDEO, "old", overtaken.attempt, RAW, PrivateVideoError()) is None
    queue.finish_step(VIDEO, "old", RAW, ends=False, made=None)
    queue.finish_step(VIDEO, "old", CLIPS, ends=True, made=made(VIDEO))
    for attempt in (overtaken.attempt, None):
        with pytest.raises(SupersededError):
            queue.begin(VIDEO, "old", attempt, TRANSCRIPT)
    with pytest.raises(SupersededError):
        queue.require_lease(VIDEO, "old")
    with pytest.raises(SupersededError):
        database.add_lineage(document("old"), "memory://a")

    assert (get(queue), history(database, VIDEO)) == before
    assert database.lineage_of(VIDEO) == []


def test_the_attempt_that_holds_the_turn_publishes(database: Database, queue: Queue, overtaken: Lease) -> None:
    assert overtaken.run_id == "old"
    queue.require_lease(VIDEO, "new")
    database.add_lineage(document("new"), "memory://a")

    assert [row.run_id for row in database.lineage_of(VIDEO)] == ["new"]


@pytest.mark.parametrize("failure", [IncompleteDownloadError(), PrivateVideoError()])
def test_a_run_whose_turn_ended_badly_publishes_nothing_even_before_anybody_else_comes(
    queue: Queue, claimed: QueueRow, failure: Failure
) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)
    queue.fail(VIDEO, "run", claimed.attempt, RAW, failure)

    with pytest.raises(SupersededError):
        queue.require_lease(VIDEO, "run")


def test_a_run_that_did_not_hear_that_it_was_done_may_tell_the_same_again(queue: Queue, claimed: QueueRow) -> None:
    run_all(queue, "run", claimed.attempt, CLIPS)
    before = get(queue)

    queue.require_lease(VIDEO, "run")
    queue.finish_step(VIDEO, "run", CLIPS, ends=True, made=made(VIDEO))

    assert get(queue) == before


def test_where_a_video_is_not_in_the_queue_anybody_may_publish(database: Database, queue: Queue) -> None:
    database.add_video(VIDEO, "http://example.org/")

    queue.require_lease(VIDEO, "run")
    database.add_lineage(document("run"), "memory://a")

    assert [row.uri for row in database.lineage_of(VIDEO)] == ["memory://a"]


def test_who_is_superseded_has_no_say_in_what_becomes_of_the_video(queue: Queue, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)

    assert queue.fail(VIDEO, "run", claimed.attempt, RAW, SupersededError()) is None
    assert get(queue).status is QueueStatus.RUNNING
