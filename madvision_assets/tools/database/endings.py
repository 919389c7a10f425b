"""How an attempt ends, and its lease with it.

It ends in the video's row, in the history, at the breaker that it probed, and for whoever left a callback, all in the
caller's transaction.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failure_records import to_columns
from madvision_assets.domain.failures import CheckFailedError
from madvision_assets.domain.queue import QueueStatus, Verdict
from madvision_assets.domain.stages import LAST_STEP, PipelineStep, overall_progress, resource_of
from madvision_assets.tools.database import breakers, leases, webhooks
from madvision_assets.tools.database.rows import QueueRow

NO_OUTCOME: dict[str, Any] = {"outcome": None, "outcome_reason": None}


def put_back(connection: Connection, row: QueueRow, now: datetime, **values: Any) -> None:
    """The video is queued again, as it was or with other values; where it was due before, it has waited since then."""
    due_at = min(row.next_attempt_at, now)
    _end(connection, row, QueueStatus.QUEUED, now, **{"next_attempt_at": due_at, "message": "", **values})


def done(connection: Connection, row: QueueRow, made: Clips, now: datetime, **values: Any) -> None:
    """The video has its clips."""
    columns = {
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
        "outcome": made.outcome.value,
        "outcome_reason": made.outcome_reason,
    }
    _end(connection, row, QueueStatus.DONE, now, **{**values, **columns})


def done_in_part(connection: Connection, row: QueueRow, step: PipelineStep, now: datetime, **values: Any) -> None:
    """Somebody did some steps by hand, of which this is the last; the queue does those that are left."""
    if leases.was_done(connection, row):  # and its clips are still there
        place = {"pipeline_step": LAST_STEP.value, "resource": None, "progress": 1.0, "message": ""}
        _end(connection, row, QueueStatus.DONE, now, **{**values, **place})
        return
    following = step.next or step
    place = {"pipeline_step": following.value, "resource": resource_of(following, row.source), "step_progress": 0.0}
    put_back(connection, row, now, **{**values, **place, "next_attempt_at": now})


def goes_on(connection: Connection, row: QueueRow, from_step: PipelineStep, now: datetime) -> None:
    """A person's version of a document is in the place of a stage's; from this step on all is to be done again."""
    place = {"pipeline_step": from_step.value, "resource": resource_of(from_step, row.source), "step_progress": 0.0}
    values = {"from_step": from_step.value, "progress": overall_progress(from_step, 0.0), "retry": 0, "lost_workers": 0}
    # The clips of before are shown until there are others, unless they are of what is no more.
    kept = {} if from_step is LAST_STEP else NO_OUTCOME
    put_back(connection, row, now, **place, **values, **kept, finished_at=None, next_attempt_at=now)


def failed(
    connection: Connection, row: QueueRow, step: PipelineStep, verdict: Verdict, now: datetime, *, refused: bool = False
) -> None:
    """The attempt failed at a step, and what follows from that is judged; it may be that it was not let begin it."""
    leases.note(connection, row, refused=refused)
    turned_down = isinstance(verdict.failure, CheckFailedError)
    _end(
        connection,
        row.model_copy(update={"pipeline_step": step}),
        verdict.status,
        now,
        run_id=row.run_id,
        pipeline_step=step.value,
        resource=resource_of(step, row.source),
        retry=verdict.retry,
        lost_workers=verdict.lost_workers,
        # What did not pass its check is there, and would be taken for done.
        from_step=step.value if turned_down else row.from_step,
        next_attempt_at=verdict.next_attempt_at,
        **to_columns(verdict.failure),
        **(NO_OUTCOME if turned_down and step is LAST_STEP else {}),
        message="",
    )


def _end(connection: Connection, row: QueueRow, status: QueueStatus, now: datetime, **values: Any) -> None:
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
        failure_cause=ended.failure_cause,
        failure_details=ended.failure_details,
    )
    breakers.give_up_probe(connection, row.video_id)
    if status.is_final:
        webhooks.enqueue(connection, ended, now)
