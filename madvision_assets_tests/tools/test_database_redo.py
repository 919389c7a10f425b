"""Claims about doing again what is done: it takes nothing away, and is never forgotten; on SQLite and PostgreSQL."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import (
    CheckFailedError,
    Failure,
    NotFoundError,
    PoisonInputError,
    PolicyRefusalError,
    WithdrawnError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.replacements import Replacements, new_run
from madvision_assets.tools.database.submissions import NewSubmission, Receipt, Submissions
from madvision_assets.tools.database.tables import webhook_deliveries
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets_tests.databases import VIDEO, Clock, get, history, run_all

RAW, TRANSCRIPT, KIND, CANDIDATES, CLIPS = PipelineStep


@pytest.fixture
def receipt(database: Database, queue: Queue, clock: Clock) -> Receipt:
    """Of a video that is done, whose callback was told."""
    receipt = submitted(database, clock)
    (claimed,) = queue.claim_due(1)
    run_all(queue, "first", claimed.attempt, *PipelineStep)
    return receipt


@pytest.fixture
def operations(database: Database, clock: Clock) -> Operations:
    return Operations(database, clock)


def submitted(database: Database, clock: Clock) -> Receipt:
    wanted = NewSubmission(Video(video_id=VIDEO, address="http://example.org/a"), callback_url="http://example.com/")
    return Submissions(database, clock).add([wanted])[0]


def told(database: Database) -> list[tuple[int, str]]:
    """What callbacks are to be told: attempt and status."""
    query = select(webhook_deliveries.c.attempt, webhook_deliveries.c.status).order_by(webhook_deliveries.c.id)
    with database.reading() as connection:
        return list(connection.execute(query).tuples())


def fails(queue: Queue, step: PipelineStep, failure: Failure) -> QueueStatus | None:
    """The queue's run of what waits fails at a step."""
    (claimed,) = queue.claim_due(1)
    queue.begin(VIDEO, "again", claimed.attempt, step)
    return queue.fail(VIDEO, "again", claimed.attempt, step, failure)


@pytest.mark.usefixtures("receipt")
@pytest.mark.parametrize(
    ("step", "end"),
    [
        (RAW, lambda queue: fails(queue, RAW, NotFoundError())),
        (KIND, lambda queue: fails(queue, KIND, PolicyRefusalError())),
        (CLIPS, lambda queue: fails(queue, CLIPS, PoisonInputError())),
        (TRANSCRIPT, lambda queue: queue.cancel(VIDEO)),
    ],
    ids=["its page is gone", "refused", "poison", "cancelled"],
)
def test_a_redo_of_which_nothing_comes_leaves_the_video_done_as_it_was_and_no_callback_hears_of_it(
    database: Database,
    queue: Queue,
    operations: Operations,
    step: PipelineStep,
    end: Callable[..., object],
) -> None:
    before = get(queue)
    operations.requeue(video_ids=[VIDEO], from_step=step, priority=-10)
    assert get(queue).outcome is Outcome.CLIPS, "they count while it waits"

    assert end(queue) in {QueueStatus.DONE, True}

    after = get(queue)
    assert (after.status, after.outcome, after.outcome_reason) == (before.status, before.outcome, before.outcome_reason)
    assert (after.pipeline_step, after.progress, after.from_step, after.run_id) == (CLIPS, 1.0, None, before.run_id)
    assert (after.failure_cause, after.resource) == (None, None)
    last = history(database, VIDEO)[-1]
    assert last["failure_cause"] in {"not_found", "policy_refusal", "poison_input", "cancelled"}
    assert (last["status"], last["pipeline_step"]) == ("done", step.value)
    assert told(database) == [(1, "done")]
    assert queue.claim_due(1) == []


@pytest.mark.usefixtures("receipt")
def test_whoever_submitted_it_meanwhile_hears_that_it_is_done(
    database: Database, queue: Queue, operations: Operations, clock: Clock
) -> None:
    operations.requeue(video_ids=[VIDEO], from_step=KIND)
    submitted(database, clock)

    fails(queue, KIND, PolicyRefusalError())

    assert told(database) == [(1, "done"), (2, "done")]


def test_what_was_deleted_or_turned_down_does_not_count_because_it_was_done_once(
    database: Database, queue: Queue, receipt: Receipt, operations: Operations, clock: Clock
) -> None:
    operations.requeue(video_ids=[VIDEO], from_step=TRANSCRIPT)
    assert fails(queue, TRANSCRIPT, CheckFailedError("empty")) is QueueStatus.DONE
    assert get(queue).from_step is None, "nothing points to it: what was made before counts"
    queue.require_lease(VIDEO, "again")

    operations.requeue(video_ids=[VIDEO], from_step=TRANSCRIPT)
    run_all(queue, "good", None, TRANSCRIPT, KIND, CANDIDATES)
    assert fails(queue, CLIPS, CheckFailedError("cut short")) is QueueStatus.FAILED
    assert (get(queue).outcome, told(database)[-1][1]) == (None, "failed")

    run_all(queue, "better", None, *PipelineStep)
    operations.requeue(video_ids=[VIDEO], from_step=KIND)
    Withdrawals(database, clock).withdraw(receipt.token)
    assert (get(queue).status, get(queue).failure_cause) == (QueueStatus.FAILED, WithdrawnError.code)


@pytest.mark.usefixtures("receipt")
def test_an_edit_that_cannot_be_rendered_fails_with_the_clips_of_before(
    database: Database, queue: Queue, clock: Clock
) -> None:
    run = new_run("editor")
    Replacements(database, clock).take(VIDEO, get(queue), run)
    queue.finish_step(VIDEO, run, CANDIDATES, ends=True, made=None, go_on_from=CLIPS)

    assert fails(queue, CLIPS, PoisonInputError()) is QueueStatus.PARKED
    assert get(queue).outcome is Outcome.CLIPS


@pytest.mark.usefixtures("receipt")
@pytest.mark.parametrize("by_hand", [KIND, CANDIDATES, CLIPS])
def test_a_later_stage_done_by_hand_leaves_what_was_asked_for_to_be_done(
    queue: Queue, operations: Operations, by_hand: PipelineStep
) -> None:
    operations.requeue(video_ids=[VIDEO], from_step=TRANSCRIPT)

    run_all(queue, "by hand", None, by_hand)

    row = get(queue)
    assert (row.status, row.from_step, row.outcome) == (QueueStatus.QUEUED, TRANSCRIPT, Outcome.CLIPS)
    assert (row.pipeline_step, row.resource, row.progress) == (TRANSCRIPT, "speech", 0.3)
    run_all(queue, "the rest", None, *TRANSCRIPT.onwards())
    assert (get(queue).status, get(queue).from_step) == (QueueStatus.DONE, None)


@pytest.mark.usefixtures("receipt")
@pytest.mark.parametrize(("first", "second"), [(RAW, CLIPS), (CLIPS, RAW), (RAW, RAW), (TRANSCRIPT, KIND)])
def test_of_two_wishes_the_earlier_one_counts_whoever_asks(
    queue: Queue, operations: Operations, first: PipelineStep, second: PipelineStep
) -> None:
    wanted = min(first, second, key=list(PipelineStep).index)
    asked: list[Callable[[PipelineStep], object]] = [
        lambda step: operations.restart(VIDEO, step),
        lambda step: operations.requeue(video_ids=[VIDEO], from_step=step),
        lambda step: queue.take(VIDEO, lambda given: (given or RAW).onwards(), step),
    ]
    for ask in asked:
        operations.restart(VIDEO, first)
        ask(second)
        row = get(queue)
        assert row.from_step is wanted
        if row.status is QueueStatus.QUEUED:
            assert (row.pipeline_step, row.resource) == (wanted, "host:example.org" if wanted is RAW else "speech")
        run_all(queue, f"all {len(row.run_id or '')} {row.attempt}", None, *PipelineStep)
