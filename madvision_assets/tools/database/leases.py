"""What a lease on a video reads and writes: the video's row, and the line of its attempt in the history."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from madvision_assets.domain.failures import CheckFailedError, RunNotLaunchedError, SupersededError, UnknownVideoError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.rows import BY_A_PERSON, QueueRow
from madvision_assets.tools.database.tables import processing_attempts as history
from madvision_assets.tools.database.tables import video_processing_queue as queue

STARTING = "starting"


@dataclass(frozen=True)
class Lease:
    """One attempt at one video by one run.

    Attributes:
        video_id: its partition.
        run_id: the run.
        attempt: the fencing token.
        from_step: this step and all later ones are to be done again, as of when a stage began.
    """

    video_id: str
    run_id: str
    attempt: int
    from_step: PipelineStep | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Taken:
    """An attempt that was opened for a run by hand, and the steps that it is to do."""

    attempt: int
    steps: tuple[PipelineStep, ...]


def lock(connection: Connection, video_id: str) -> QueueRow | None:
    """A video's row, held until the transaction ends; None where it has none."""
    query = select(queue).where(queue.c.video_id == video_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return QueueRow.model_validate(row) if row else None


def require_wanted(row: QueueRow) -> None:
    """Return where somebody still wants a video: only a new submission brings back what its submitters deleted.

    Raises:
        UnknownVideoError: nobody does.
    """
    if row.is_withdrawn:
        raise UnknownVideoError(f"whoever submitted {row.video_id} deleted it, and its files are about to go")


def change(connection: Connection, video_id: str, **values: Any) -> QueueRow:
    """Write into a video's row; gives it as it is then."""
    update = queue.update().where(queue.c.video_id == video_id).values(**values).returning(*queue.c)
    return QueueRow.model_validate(connection.execute(update).mappings().one())


def note(connection: Connection, row: QueueRow, **values: Any) -> None:
    """Write into the history of the row's attempt."""
    connection.execute(history.update().where(_line(row.video_id, row.attempt)).values(**values))


def open_attempt(connection: Connection, row: QueueRow, run_id: str | None, now: datetime) -> QueueRow:
    """Open an attempt at a video, and take the lease from whoever has it; gives the row as it is then.

    Args:
        connection: of the transaction that holds the row.
        row: the video's.
        run_id: who has the lease; None where a run is still to be launched.
        now: the time, timezone-aware.
    """
    opened = change(
        connection,
        row.video_id,
        status=QueueStatus.RUNNING.value,
        attempt=row.attempt + 1,
        run_id=run_id,
        heartbeat_at=now,
        updated_at=now,
        finished_at=None,
        failure_cause=None,
        failure_details=None,
        turn_s=None,
        message=STARTING,
    )
    if row.status is QueueStatus.RUNNING:
        superseded = {"status": QueueStatus.QUEUED.value, "failure_cause": SupersededError.code}
        note(connection, row, ended_at=now, **superseded)
    line = {
        "video_id": row.video_id,
        "attempt": opened.attempt,
        "run_id": run_id,
        "started_at": now,
        "pipeline_step": row.pipeline_step.value,
        "status": QueueStatus.RUNNING.value,
    }
    connection.execute(history.insert().values(line))
    return opened


def held_lease(connection: Connection, video_id: str, run_id: str) -> bool:
    """Whether this run ever had a lease on the video."""
    mine = and_(history.c.video_id == video_id, history.c.run_id == run_id)
    return connection.execute(select(history.c.attempt).where(mine).limit(1)).first() is not None


def in_hand(connection: Connection, row: QueueRow) -> bool:
    """Whether a worker has begun the row's step in its attempt, and not finished it."""
    begun = select(history.c.run_id, history.c.pipeline_step).where(_line(row.video_id, row.attempt))
    run_id, step = connection.execute(begun).one_or_none() or (None, None)
    return run_id is not None and step == row.pipeline_step.value


@dataclass(frozen=True)
class LostLaunches:
    """Launches in a row of which no worker came.

    Attributes:
        before: those before the last one.
        alone: how many, with the last one, were lost while a worker of another video began; where nothing begins, the
            launcher or the machine is to blame.
    """

    before: int
    alone: int


NO_LOST_LAUNCHES = LostLaunches(0, 0)


def lost_launches(connection: Connection, row: QueueRow, now: datetime, enough: int) -> LostLaunches:
    """Those up to the row's attempt, if that one came to nothing too.

    Args:
        connection: of the transaction that holds the row.
        row: the video's.
        now: the time, timezone-aware.
        enough: with fewer of them nobody asks how many were alone, which takes a look at the whole history.
    """
    mine = _lost_in_a_row(row)
    count = connection.execute(select(func.count()).where(*mine)).scalar_one()
    if count < enough:
        return LostLaunches(count - 1, 0)
    other = history.alias()
    began_beside = and_(
        other.c.video_id != row.video_id,
        other.c.run_id.is_not(None),
        func.coalesce(other.c.failure_cause, "") != RunNotLaunchedError.code,
        other.c.started_at >= history.c.started_at,
        other.c.started_at <= func.coalesce(history.c.ended_at, now),
    )
    alone = connection.execute(select(func.count()).where(*mine, exists().where(began_beside))).scalar_one()
    return LostLaunches(count - 1, alone)


def _lost_in_a_row(row: QueueRow) -> tuple[ColumnElement[bool], ...]:
    """The row's attempt, and those before it that came to no worker."""
    mine, earlier = history.c.video_id == row.video_id, history.alias()
    others = and_(
        earlier.c.video_id == row.video_id,
        earlier.c.attempt < row.attempt,
        func.coalesce(earlier.c.failure_cause, "") != RunNotLaunchedError.code,
    )
    last_other = select(func.coalesce(func.max(earlier.c.attempt), 0)).where(others).scalar_subquery()
    return mine, history.c.attempt <= row.attempt, history.c.attempt > last_other


def was_done(connection: Connection, row: QueueRow) -> bool:
    """Whether the video was done before the row's attempt, and nothing was asked for since."""
    before = select(history.c.status).where(_line(row.video_id, row.attempt - 1))
    if row.outcome is None or row.from_step is not None:
        return False
    return connection.execute(before).scalar_one_or_none() == QueueStatus.DONE.value


def may_be_redone(connection: Connection, row: QueueRow) -> bool:
    """Whether the row's attempt only did again what counts until it has: there are clips, and no person's edit waits.

    Where an edit does, whoever made it has to see that nothing came of it.
    """
    if row.outcome is None or row.is_by_a_person:
        return False
    mine, earlier = history.c.video_id == row.video_id, history.alias()
    last_end = select(func.coalesce(func.max(earlier.c.attempt), 0)).where(
        earlier.c.video_id == row.video_id, earlier.c.status == QueueStatus.DONE.value
    )
    edited = select(history.c.attempt).where(
        mine,
        history.c.attempt > last_end.scalar_subquery(),
        history.c.run_id.startswith(BY_A_PERSON, autoescape=True),
        history.c.status == QueueStatus.QUEUED.value,
        history.c.failure_cause.is_(None),
    )
    return connection.execute(edited.limit(1)).first() is None


def follows_a_person(connection: Connection, row: QueueRow) -> bool:
    """Whether the attempt before the row's was a person's, who would keep a document."""
    before = select(history.c.run_id).where(_line(row.video_id, row.attempt - 1))
    return (connection.execute(before).scalar_one_or_none() or "").startswith(BY_A_PERSON)


def was_turned_down(connection: Connection, row: QueueRow, step: PipelineStep) -> bool:
    """Whether the last attempt before the row's that ended at this step made what its check turned down."""
    mine = and_(history.c.video_id == row.video_id, history.c.attempt < row.attempt)
    ended = select(history.c.failure_cause).where(mine, history.c.pipeline_step == step.value)
    last = connection.execute(ended.order_by(history.c.attempt.desc()).limit(1)).scalar_one_or_none()
    return last == CheckFailedError.code


def last_done_run(connection: Connection, video_id: str) -> str | None:
    """The run that last made the video done, as far as the history tells."""
    mine = and_(history.c.video_id == video_id, history.c.status == QueueStatus.DONE.value)
    made = select(history.c.run_id).where(mine, history.c.failure_cause.is_(None))
    return connection.execute(made.order_by(history.c.attempt.desc()).limit(1)).scalar_one_or_none()


def _line(video_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(history.c.video_id == video_id, history.c.attempt == attempt)
