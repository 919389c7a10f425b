"""How an attempt ends, and its lease with it.

It ends in the video's row, in the history, at the breaker that it probed, and for whoever left a callback, all in the
caller's transaction. Where a video that was done is done again, and nothing comes of it, it is done as it was before,
and the history alone tells why.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failure_records import to_columns
from madvision_assets.domain.failures import CheckFailedError, WithdrawnError
from madvision_assets.domain.queue import QueueStatus, Verdict
from madvision_assets.domain.stages import LAST_STEP, PipelineStep, earliest, overall_progress, resource_of
from madvision_assets.tools.database import breakers, leases, webhooks
from madvision_assets.tools.database.rows import QueueRow

NO_OUTCOME: dict[str, Any] = {"outcome": None, "outcome_reason": None}
# What a row that is done has, besides how it ended.
DONE: dict[str, Any] = {
    "pipeline_step": LAST_STEP.value,
    "resource": None,
    "from_step": None,
    "progress": 1.0,
    "step_progress": 1.0,
    "message": "",
    "failure_cause": None,
    "failure_details": None,
    "turn_s": None,
    "lost_workers": 0,
}


def put_back(connection: Connection, row: QueueRow, now: datetime, **values: Any) -> None:
    """The video is queued again, as it was or with other values; where it was due before, it has waited since then."""
    due_at = min(row.next_attempt_at, now)
    _end(connection, row, QueueStatus.QUEUED, now, **{"next_attempt_at": due_at, "message": "", **values})


def done(connection: Connection, row: QueueRow, made: Clips, now: datetime, **values: Any) -> None:
    """The video has its clips; ``untold_only``: whoever heard of an end before hears of none."""
    _end(connection, row, QueueStatus.DONE, now, **{**values, **DONE, **_outcome(made)})


def done_in_part(
    connection: Connection, row: QueueRow, step: PipelineStep, now: datetime, made: Clips | None, **values: Any
) -> None:
    """Somebody did some steps by hand, of which this is the last; the queue does those that are left.

    So it does where he made clips, and earlier steps are still to be done again.
    """
    counts = _outcome(made) if made is not None else {}
    if leases.was_done(connection, row):  # and its clips are still there
        place = {"pipeline_step": LAST_STEP.value, "resource": None, "progress": 1.0, "message": ""}
        _end(connection, row, QueueStatus.DONE, now, **{**values, **place})
        return
    following = earliest(step.next, values["from_step"]) or step
    place = {"pipeline_step": following.value, "resource": resource_of(following, row.source), "step_progress": 0.0}
    values |= {**place, **counts, "progress": overall_progress(following, 0.0), "next_attempt_at": now}
    put_back(connection, row, now, **values)


def goes_on(connection: Connection, row: QueueRow, from_step: PipelineStep, now: datetime) -> None:
    """A person's version of a document is in the place of a stage's; from this step on all is to be done again."""
    place = {"pipeline_step": from_step.value, "resource": resource_of(from_step, row.source), "step_progress": 0.0}
    values = {"from_step": from_step.value, "progress": overall_progress(from_step, 0.0), "retry": 0, "lost_workers": 0}
    # The clips of before are shown until there are others, unless they are of what is no more.
    kept = {} if from_step is LAST_STEP else NO_OUTCOME
    put_back(connection, row, now, **place, **values, **kept, finished_at=None, next_attempt_at=now)


def failed(
    connection: Connection, row: QueueRow, step: PipelineStep, verdict: Verdict, now: datetime, *, refused: bool = False
) -> QueueStatus:
    """The attempt failed at a step, and what follows from that is judged; it may be that it was not let begin it.

    Gives the video's status then.
    """
    leases.note(connection, row, refused=refused)
    turned_down = isinstance(verdict.failure, CheckFailedError)
    at_step = row.model_copy(update={"pipeline_step": step})
    clips_count = not (isinstance(verdict.failure, WithdrawnError) or (turned_down and step is LAST_STEP))
    if verdict.status.is_final and clips_count and leases.may_be_redone(connection, row):
        _as_before(connection, at_step, verdict, now)
        return QueueStatus.DONE
    failure: dict[str, Any] = {**to_columns(verdict.failure)}
    _end(
        connection,
        at_step,
        verdict.status,
        now,
        run_id=row.run_id,
        pipeline_step=step.value,
        resource=resource_of(step, row.source),
        retry=verdict.retry,
        lost_workers=verdict.lost_workers,
        # What did not pass its check is there, and would be taken for done.
        from_step=earliest(step, row.from_step) if turned_down else row.from_step,
        next_attempt_at=verdict.next_attempt_at,
        **failure,
        **(NO_OUTCOME if turned_down and step is LAST_STEP else {}),
        message="",
    )
    return verdict.status


def _as_before(connection: Connection, row: QueueRow, verdict: Verdict, now: datetime) -> None:
    """The video is done as it was; its run is the one that made it so, or a given up worker could still publish."""
    turned_down = isinstance(verdict.failure, CheckFailedError)
    its_run = row.run_id if turned_down else leases.last_done_run(connection, row.video_id)
    values = {**DONE, "run_id": its_run, "retry": verdict.retry}
    _end(connection, row, QueueStatus.DONE, now, told=to_columns(verdict.failure), untold_only=True, **values)


def _outcome(made: Clips) -> dict[str, Any]:
    return {"outcome": made.outcome.value, "outcome_reason": made.outcome_reason}


def _end(
    connection: Connection,
    row: QueueRow,
    status: QueueStatus,
    now: datetime,
    told: Mapping[str, Any] | None = None,
    untold_only: bool = False,
    **values: Any,
) -> None:
    """Write the end down; ``told`` is for the history alone."""
    if status.is_final:
        values["finished_at"] = now
    ended = leases.change(connection, row.video_id, status=status.value, updated_at=now, **values)
    leases.note(
        connection,
        row,
        run_id=row.run_id,
        ended_at=now,
        pipeline_step=row.pipeline_step.value,
        status=status.value,
        **(told or {"failure_cause": ended.failure_cause, "failure_details": ended.failure_details}),
    )
    breakers.give_up_probe(connection, row.video_id)
    if status.is_final:
        webhooks.enqueue(connection, ended, now, untold_only=untold_only)
