"""Claims about runs by hand, and about the history of attempts; on SQLite and PostgreSQL alike."""

from collections.abc import Callable

import pytest

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import (
    CheckFailedError,
    IncompleteDownloadError,
    MediaToolError,
    StoreUnavailableError,
    SupersededError,
    UnknownVideoError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.leases import Lease
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.databases import (
    VIDEO,
    Clock,
    alter,
    get,
    history,
    made,
    run_all,
    submit,
)

RAW, TRANSCRIPT, KIND, CANDIDATES, CLIPS = PipelineStep


def test_a_run_by_hand_takes_over_and_the_other_cannot_take_back(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    lease = queue.begin(VIDEO, "queued", claimed.attempt, RAW)

    by_hand = queue.begin(VIDEO, "by hand", None, RAW)

    assert by_hand == Lease(VIDEO, "by hand", 2)
    assert not queue.beat(lease)
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

    assert queue.begin(VIDEO, "run", None, RAW) == Lease(VIDEO, "run", 1)
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


def test_clips_of_before_are_known_until_there_are_others_and_those_that_a_check_turns_down_are_not(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    run_all(queue, "run", claimed.attempt, *PipelineStep)
    Operations(database).requeue(video_ids=[VIDEO], from_step=CLIPS)
    assert (get(queue).status, get(queue).outcome) == (QueueStatus.QUEUED, Outcome.CLIPS)

    run_all(queue, "by hand", None, TRANSCRIPT)
    row = get(queue)
    assert (row.status, row.from_step, row.outcome) == (QueueStatus.QUEUED, CLIPS, Outcome.CLIPS), "still to be done"

    queue.begin(VIDEO, "turned down", None, CLIPS)
    queue.fail(VIDEO, "turned down", None, CLIPS, CheckFailedError("cut short"))
    assert get(queue).outcome is None


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
