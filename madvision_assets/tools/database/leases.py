"""What a lease on a video reads and writes: the video's row, and the line of its attempt in the history."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import processing_attempts as history
from madvision_assets.tools.database.tables import video_processing_queue as queue


def lock(connection: Connection, video_id: str) -> QueueRow | None:
    """A video's row, held until the transaction ends; None where it has none."""
    query = select(queue).where(queue.c.video_id == video_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return QueueRow.model_validate(row) if row else None


def change(connection: Connection, video_id: str, **values: Any) -> QueueRow:
    """Write into a video's row; gives it as it is then."""
    update = queue.update().where(queue.c.video_id == video_id).values(**values).returning(*queue.c)
    return QueueRow.model_validate(connection.execute(update).mappings().one())


def note(connection: Connection, row: QueueRow, **values: Any) -> None:
    """Write into the history of the row's attempt."""
    connection.execute(history.update().where(_line(row.video_id, row.attempt)).values(**values))


def held_lease(connection: Connection, video_id: str, run_id: str) -> bool:
    """Whether this run ever had a lease on the video."""
    mine = and_(history.c.video_id == video_id, history.c.run_id == run_id)
    return connection.execute(select(history.c.attempt).where(mine).limit(1)).first() is not None


def was_done(connection: Connection, row: QueueRow) -> bool:
    """Whether the video was done before the row's attempt."""
    before = select(history.c.status).where(_line(row.video_id, row.attempt - 1))
    return row.outcome is not None and connection.execute(before).scalar_one_or_none() == QueueStatus.DONE.value


def _line(video_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(history.c.video_id == video_id, history.c.attempt == attempt)
