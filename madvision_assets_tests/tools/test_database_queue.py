"""Claims about turns at a video: who has one, how it ends, and that nobody else can; on SQLite and PostgreSQL alike."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, select, text
from sqlalchemy.exc import IntegrityError

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import (
    ApiKeyInvalidError,
    BotCheckError,
    ConnectionLostError,
    DatabaseUnavailableError,
    Failure,
    IncompleteDownloadError,
    MediaToolError,
    PrivateVideoError,
    StoreUnavailableError,
    SupersededError,
    UnknownVideoError,
    WorkerLostError,
)
from madvision_assets.domain.provenance import Document
from madvision_assets.domain.queue import LEGAL_MOVES, PipelineStep, QueueStatus, RetryRules
from madvision_assets.tools.database import Database, turns
from madvision_assets.tools.database.queue import Queue, Turn
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import video_processing_queue, webhook_deliveries
from madvision_assets_tests.databases import (
    KINDS,
    Clock,
    emptied,
    history,
    made,
    new_database,
    shut_breakers,
    submit,
    url_of,
)
from madvision_assets_tests.stores import raw_video, sealed

RAW, TRANSCRIPT, KIND, CANDIDATES, CLIPS = PipelineStep
VIDEO = "web-1"


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def database(migrated: Database) -> Database:
    return emptied(migrated)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> Queue:
    return Queue(database, now=clock, spread=lambda: 1.0)


@pytest.fixture
def claimed(database: Database, queue: Queue, clock: Clock) -> QueueRow:
    """A video that a sensor has just claimed."""
    submit(database, 1, at=clock.now)
    (row,) = queue.claim_due(1)
    return row


def get(queue: Queue, video_id: str = VIDEO) -> QueueRow:
    row = queue.get(video_id)
    assert row is not None
    return row


def alter(database: Database, video_id: str = VIDEO, **values: Any) -> None:
    table = video_processing_queue
    with database.writing() as connection:
        connection.execute(table.update().where(table.c.video_id == video_id).values(**values))


def run_all(queue: Queue, run_id: str, attempt: int | None, *steps: PipelineStep, video_id: str = VIDEO) -> None:
    """Do these steps in one run, the last of all with clips."""
    for step in steps:
        queue.begin(video_id, run_id, attempt, step)
        clips = made(video_id) if step is CLIPS else None
        queue.finish_step(video_id, run_id, step, ends=step is steps[-1], made=clips)


def document(run_id: str) -> Document:
    return sealed(raw_video().model_copy(update={"video_id": VIDEO, "provenance": None}), run_id=run_id)


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
        ({"pipeline_step": "upload"}, "pipeline_step"),
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


# --- a turn from its claim to its end ---


def test_a_claimed_video_goes_through_all_steps_and_is_done(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, at=clock.now)
    (claimed,) = queue.claim_due(1)
    assert (claimed.status, claimed.attempt, claimed.run_id) == (QueueStatus.RUNNING, 1, None)

    seen = []
    for step in PipelineStep:
        clock.move(10)
        turn = queue.begin(VIDEO, "run", 1, step)
        assert turn == Turn(VIDEO, "run", 1)
        assert queue.report(turn, step, 0.5, "half of it")
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
    turn = queue.begin(VIDEO, "run", claimed.attempt, RAW)

    for fraction, kept in ((1.0000001, 1.0), (-1.0, 0.0), (float("nan"), 0.0)):
        assert queue.report(turn, RAW, fraction, "heard: \0 and \ud800" + "x" * 1000)
        assert get(queue).step_progress == kept
    assert get(queue).message.startswith("heard:  and ?xxx")
    assert queue.fail(VIDEO, "run", 1, RAW, PrivateVideoError("page said \0 \udcff")) is QueueStatus.FAILED


def test_a_launched_run_that_comes_to_life_takes_its_turn_and_no_other_can(queue: Queue, claimed: QueueRow) -> None:
    assert queue.take(VIDEO, "run", claimed.attempt) == Turn(VIDEO, "run", 1)
    assert queue.take(VIDEO, "run", claimed.attempt) is not None
    assert queue.take(VIDEO, "twin", claimed.attempt) is None
    assert queue.take(VIDEO, "run", claimed.attempt + 1) is None
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


def test_a_run_that_was_never_heard_of_is_failed_by_its_attempt(database: Database, queue: Queue) -> None:
    submit(database, 1, at=queue._now())
    for nth in (1, 2, 3):
        (row,) = queue.claim_due(1)
        assert queue.fail(VIDEO, "", row.attempt - 1, RAW, WorkerLostError()) is None
        status = queue.fail(VIDEO, "", row.attempt, RAW, WorkerLostError("no sign of life"))
        assert status is (QueueStatus.PARKED if nth == 3 else QueueStatus.WAITING)
        alter(database, next_attempt_at=queue._now())

    assert get(queue).failure_cause == "poison_input"
    assert [each["run_id"] for each in history(database, VIDEO)] == [None] * 3


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


# --- fencing ---


@pytest.fixture
def overtaken(queue: Queue, claimed: QueueRow, clock: Clock) -> Turn:
    """The turn of a worker that was believed lost and is not; the video is at its second attempt."""
    turn = queue.begin(VIDEO, "old", claimed.attempt, RAW)
    queue.fail(VIDEO, "old", turn.attempt, RAW, WorkerLostError())
    clock.move(3600)
    (again,) = queue.claim_due(1)
    queue.begin(VIDEO, "new", again.attempt, RAW)
    return turn


def test_an_older_attempt_can_do_nothing(database: Database, queue: Queue, overtaken: Turn) -> None:
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
        queue.require_turn(VIDEO, "old")
    with pytest.raises(SupersededError):
        database.add_lineage(document("old"), "memory://a")

    assert (get(queue), history(database, VIDEO)) == before
    assert database.lineage_of(VIDEO) == []


def test_the_attempt_that_holds_the_turn_publishes(database: Database, queue: Queue, overtaken: Turn) -> None:
    assert overtaken.run_id == "old"
    queue.require_turn(VIDEO, "new")
    database.add_lineage(document("new"), "memory://a")

    assert [row.run_id for row in database.lineage_of(VIDEO)] == ["new"]


@pytest.mark.parametrize("failure", [IncompleteDownloadError(), PrivateVideoError()])
def test_a_run_whose_turn_ended_badly_publishes_nothing_even_before_anybody_else_comes(
    queue: Queue, claimed: QueueRow, failure: Failure
) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)
    queue.fail(VIDEO, "run", claimed.attempt, RAW, failure)

    with pytest.raises(SupersededError):
        queue.require_turn(VIDEO, "run")


def test_a_run_that_did_not_hear_that_it_was_done_may_tell_the_same_again(queue: Queue, claimed: QueueRow) -> None:
    run_all(queue, "run", claimed.attempt, CLIPS)
    before = get(queue)

    queue.require_turn(VIDEO, "run")
    queue.finish_step(VIDEO, "run", CLIPS, ends=True, made=made(VIDEO))

    assert get(queue) == before


def test_where_a_video_is_not_in_the_queue_anybody_may_publish(database: Database, queue: Queue) -> None:
    database.add_video(VIDEO, "http://example.org/")

    queue.require_turn(VIDEO, "run")
    database.add_lineage(document("run"), "memory://a")


def test_who_is_superseded_has_no_say_in_what_becomes_of_the_video(queue: Queue, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)

    assert queue.fail(VIDEO, "run", claimed.attempt, RAW, SupersededError()) is None
    assert get(queue).status is QueueStatus.RUNNING


# --- runs by hand ---


def test_a_run_by_hand_takes_over_and_the_other_cannot_take_back(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    turn = queue.begin(VIDEO, "queued", claimed.attempt, RAW)

    by_hand = queue.begin(VIDEO, "by hand", None, RAW)

    assert by_hand == Turn(VIDEO, "by hand", 2)
    assert not queue.beat(turn)
    for run_id, attempt in (("queued", 1), ("queued", None), ("queued", 2)):
        with pytest.raises(SupersededError):
            queue.begin(VIDEO, run_id, attempt, TRANSCRIPT)
    assert queue.begin(VIDEO, "by hand", None, TRANSCRIPT) == by_hand
    first, second = history(database, VIDEO)
    assert (first["run_id"], first["failure_cause"], second["status"]) == ("queued", "superseded", "running")
    assert first["ended_at"] is not None


def test_of_two_runs_by_hand_the_later_one_stays(queue: Queue, claimed: QueueRow) -> None:
    assert claimed.status is QueueStatus.RUNNING
    for run_id in ("first", "second"):
        queue.begin(VIDEO, run_id, None, RAW)

    with pytest.raises(SupersededError):
        queue.begin(VIDEO, "first", None, TRANSCRIPT)
    assert get(queue).run_id == "second"


def test_a_run_by_hand_of_a_video_without_a_row_makes_one(database: Database, queue: Queue) -> None:
    with pytest.raises(UnknownVideoError):
        queue.begin(VIDEO, "run", None, RAW)
    database.add_video(VIDEO, "http://example.org/a")

    assert queue.begin(VIDEO, "run", None, RAW) == Turn(VIDEO, "run", 1)
    run_all(queue, "run", None, *PipelineStep)

    assert (get(queue).status, get(queue).source) == (QueueStatus.DONE, "example.org")
    assert [each["status"] for each in history(database, VIDEO)] == ["done"]


def test_some_steps_by_hand_leave_done_what_was_done(queue: Queue, claimed: QueueRow) -> None:
    run_all(queue, "run", claimed.attempt, *PipelineStep)

    run_all(queue, "by hand", None, TRANSCRIPT)

    row = get(queue)
    assert (row.status, row.outcome, row.progress) == (QueueStatus.DONE, Outcome.CLIPS, 1.0)
    assert (row.pipeline_step, row.resource, row.message) == (CLIPS, None, "")
    assert row.finished_at is not None


def test_some_steps_by_hand_of_a_video_on_its_way_leave_the_rest_to_the_queue(
    queue: Queue, claimed: QueueRow, clock: Clock
) -> None:
    assert claimed.attempt == 1
    run_all(queue, "by hand", None, RAW, TRANSCRIPT)

    row = get(queue)
    assert (row.status, row.pipeline_step, row.resource) == (QueueStatus.QUEUED, KIND, "analyst")
    assert (row.next_attempt_at, row.step_progress) == (clock.now, 0.0)
    (again,) = queue.claim_due(1)
    assert again.attempt == 3


def test_some_steps_by_hand_do_not_call_done_what_was_asked_for_again_and_waits(
    queue: Queue, claimed: QueueRow
) -> None:
    run_all(queue, "run", claimed.attempt, *PipelineStep)
    queue.begin(VIDEO, "all again", None, RAW)
    queue.fail(VIDEO, "all again", None, RAW, IncompleteDownloadError())

    run_all(queue, "by hand", None, RAW)

    assert (get(queue).status, get(queue).outcome) == (QueueStatus.QUEUED, Outcome.CLIPS)


def test_what_is_to_be_done_again_shrinks_step_by_step(database: Database, queue: Queue, claimed: QueueRow) -> None:
    alter(database, from_step=KIND.value)
    left = []
    for step in PipelineStep:
        queue.begin(VIDEO, "run", claimed.attempt, step)
        clips = made(VIDEO) if step is CLIPS else None
        queue.finish_step(VIDEO, "run", step, ends=step is CLIPS, made=clips)
        left.append(get(queue).from_step)

    assert left == [KIND, KIND, CANDIDATES, CLIPS, None]


def test_the_history_has_every_attempt_and_how_each_ended(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, at=clock.now)
    ends: list[Callable[[int], object]] = [
        lambda attempt: queue.release(VIDEO, attempt),
        lambda attempt: (
            queue.begin(VIDEO, "r2", attempt, RAW),
            queue.fail(VIDEO, "r2", attempt, RAW, StoreUnavailableError()),
        ),
        lambda attempt: (
            queue.begin(VIDEO, "r3", attempt, RAW),
            queue.fail(VIDEO, "r3", attempt, RAW, MediaToolError()),
        ),
        lambda attempt: run_all(queue, "r4", attempt, *PipelineStep),
    ]
    for end in ends:
        (row,) = queue.claim_due(1)
        end(row.attempt)
        clock.move(3600)
    run_all(queue, "r5", None, CLIPS)

    told = [
        (each["attempt"], each["run_id"], each["status"], each["failure_cause"]) for each in history(database, VIDEO)
    ]
    assert told == [
        (1, None, "queued", None),
        (2, "r2", "waiting", "store_unavailable"),
        (3, "r3", "waiting", "media_tool_failed"),
        (4, "r4", "done", None),
        (5, "r5", "done", None),
    ]
    assert all(each["ended_at"] is not None for each in history(database, VIDEO))


# --- breakers, as runs meet them ---


def test_a_step_behind_an_open_breaker_is_not_begun_and_costs_no_retry(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, 2, at=clock.now)
    first, second = queue.claim_due(2)
    queue.begin(first.video_id, "r1", 1, KIND)
    queue.begin(second.video_id, "r2", 1, TRANSCRIPT)
    queue.fail(first.video_id, "r1", 1, KIND, ApiKeyInvalidError("revoked"))

    with pytest.raises(ApiKeyInvalidError, match="revoked"):
        queue.begin(second.video_id, "r2", 1, KIND)

    row = get(queue, second.video_id)
    assert (row.status, row.failure_cause, row.retry) == (QueueStatus.WAITING, "api_key_invalid", 0)
    assert row.next_attempt_at == shut_breakers(database)["analyst"].probe_at
    assert history(database, second.video_id)[0]["status"] == "waiting"


def test_one_that_was_refused_does_not_open_again_what_was_mended_meanwhile(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, 2, at=clock.now)
    queue.claim_due(2)
    queue.begin("web-1", "r1", 1, KIND)
    queue.fail("web-1", "r1", 1, KIND, ApiKeyInvalidError())
    with pytest.raises(ApiKeyInvalidError) as refusal:
        queue.begin("web-2", "r2", 1, KIND)
    run_all(queue, "by hand", None, KIND, video_id="web-1")
    assert shut_breakers(database) == {}

    assert queue.fail("web-2", "r2", 1, KIND, refusal.value) is None

    assert shut_breakers(database) == {}


def test_a_run_by_hand_is_let_through_and_its_success_closes_the_breaker(queue: Queue, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, KIND)
    queue.fail(VIDEO, "run", claimed.attempt, KIND, ApiKeyInvalidError())

    run_all(queue, "by hand", None, KIND)

    assert shut_breakers(queue._database) == {}


def test_a_run_by_hand_that_fails_too_keeps_it_open_for_longer(queue: Queue, clock: Clock, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, KIND)
    queue.fail(VIDEO, "run", claimed.attempt, KIND, ApiKeyInvalidError())
    queue.begin(VIDEO, "by hand", None, KIND)
    queue.fail(VIDEO, "by hand", None, KIND, ApiKeyInvalidError())

    assert shut_breakers(queue._database)["analyst"].probe_at == clock.now + timedelta(seconds=120)


def test_a_host_that_is_gone_for_good_is_not_tried_for_ever(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, at=clock.now)
    tries = 0
    while get(queue).status is not QueueStatus.FAILED and tries < 50:
        clock.move(3600)
        for row in queue.claim_due(1):
            tries += 1
            queue.begin(VIDEO, f"run {tries}", row.attempt, RAW)
            queue.fail(VIDEO, f"run {tries}", row.attempt, RAW, ConnectionLostError())

    assert (get(queue).status, get(queue).failure_cause) == (QueueStatus.FAILED, "connection_lost")
    assert tries == RetryRules().max_retries + 2  # the one that opened the breaker used none


def test_a_probe_is_given_up_by_whoever_ends_otherwise(database: Database, queue: Queue, clock: Clock) -> None:
    ends: list[Callable[[str, int], object]] = [
        queue.release,
        lambda video_id, attempt: queue.complete(video_id, attempt, made(video_id)),
        lambda video_id, attempt: queue.fail(video_id, "probe", attempt, RAW, PrivateVideoError()),
        lambda video_id, attempt: queue.fail(video_id, "probe", attempt, RAW, StoreUnavailableError()),
    ]
    for number, end in enumerate(ends):
        (video_id,) = submit(database, number, host=f"{number}.example", at=clock.now)
        (row,) = queue.claim_due(1)
        queue.begin(video_id, "opens", row.attempt, RAW)
        queue.fail(video_id, "opens", row.attempt, RAW, BotCheckError())
        clock.move(3600)
        (row,) = queue.claim_due(1)
        queue.begin(video_id, "probe", row.attempt, RAW)
        name = f"host:{number}.example"
        assert shut_breakers(database)[name].probe_video_id == video_id

        end(video_id, row.attempt)

        assert shut_breakers(database)[name].probe_video_id is None
        alter(database, video_id, priority=-100, next_attempt_at=clock.now + timedelta(days=1))


def test_a_probe_that_takes_long_keeps_its_lease_as_long_as_it_gives_signs_of_life(
    database: Database, queue: Queue, clock: Clock, claimed: QueueRow
) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)
    queue.fail(VIDEO, "run", claimed.attempt, RAW, BotCheckError())
    clock.move(60)
    (row,) = queue.claim_due(1)
    turn = queue.begin(VIDEO, "probe", row.attempt, RAW)
    submit(database, 2, at=clock.now)
    for _ in range(10):
        clock.move(600)
        queue.beat(turn)
        assert queue.claim_due(2) == []

    clock.move(1000)

    assert [each.video_id for each in queue.claim_due(2)] == ["web-2"]


def test_failures_at_the_same_time_are_all_counted(database: Database, queue: Queue, clock: Clock) -> None:
    ids = submit(database, *range(4), at=clock.now)
    for row in queue.claim_due(4):
        queue.begin(row.video_id, row.video_id, row.attempt, RAW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: queue.fail(each, each, 1, RAW, ConnectionLostError()), ids))

    with database.reading() as connection:
        assert connection.execute(text("SELECT failures FROM breakers")).scalars().all() == [4]


# --- callbacks, and a database that goes away ---


def test_an_end_that_nobody_asked_to_hear_of_is_told_to_nobody(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    run_all(queue, "run", claimed.attempt, CLIPS)

    with database.reading() as connection:
        assert connection.execute(select(webhook_deliveries)).all() == []


def test_a_postgresql_that_goes_away_is_a_leaf_and_leaves_nothing_half_written(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    with new_database("postgresql", request, tmp_path) as database:
        database.migrate()
        queue = Queue(database, now=clock)
        submit(database, 1, at=clock.now)
        kill = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        killer = create_engine(url_of(database), poolclass=NullPool)

        def kill_all() -> None:
            with killer.connect() as connection:
                assert connection.execute(kill).rowcount > 0

        (row,) = queue.claim_due(1)
        kill_all()  # between two calls: nobody notices
        turn = queue.begin(VIDEO, "run", row.attempt, RAW)
        before = get(queue), history(database, VIDEO)

        def write_half() -> None:
            with database.writing() as connection:
                turns.change(connection, VIDEO, message="half written")
                kill_all()
                turns.note(connection, row, pipeline_step="clips")

        with pytest.raises(DatabaseUnavailableError):
            write_half()

        assert (get(queue), history(database, VIDEO)) == before
        assert queue.beat(turn)
