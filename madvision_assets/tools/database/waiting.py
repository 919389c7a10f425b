"""What whoever waits for a video can be told: its place in the queue, and what videos took lately."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

from madvision_assets.domain.estimates import Measured, measured_of
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import FIRST_STEP, PipelineStep, is_stage
from madvision_assets.domain.urgency import Ageing
from madvision_assets.tools.database import Database, breakers, claims
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import lineage
from madvision_assets.tools.database.tables import video_processing_queue as queue

# Nobody is told of a place beyond this, so that no more rows are counted.
LAST_PLACE = 1000
# So many of the newest materialisations are looked at, no older than this.
NEWEST, DAYS = 500, 30


def place_of(database: Database, row: QueueRow, now: datetime, ageing: Ageing) -> int | None:
    """A queued video's place among those whose turn it may be, 1 being the next; raises as ``Database`` does.

    None where it does not wait for its turn, is behind an open breaker, or has more than so many before it.
    """
    if row.status is not QueueStatus.QUEUED:
        return None
    with database.reading() as connection:
        shut = breakers.not_closed(connection)
        if not shut.keys().isdisjoint({*breakers.USED_BY_ALL, row.resource}):
            return None
        before = 0
        for line in (claims.IN_LINE_ROWS, claims.TURNS_ROWS):
            for priority, _ in connection.execute(claims.priority_levels(line)).tuples():
                earlier = _earlier(line, row, priority, now, ageing)
                if earlier is None:
                    continue
                query = select(queue.c.video_id).where(
                    line.rows, queue.c.priority == priority, claims.is_due(now), *earlier
                )
                some = claims.unless_at(query, shut).limit(LAST_PLACE - before).subquery()
                before += connection.execute(select(func.count()).select_from(some)).scalar_one()
                if before >= LAST_PLACE:
                    return None
    return before + 1


def _earlier(
    line: claims.Line, row: QueueRow, priority: int, now: datetime, ageing: Ageing
) -> list[ColumnElement[bool]] | None:
    """What holds of rows of a priority whose turn is before this one's; None where none is. See ``Ageing.turn``."""
    at = line.value(row.turn_at)
    if priority == row.priority:
        return [line.at < at]
    if not ageing.step_s:
        return [] if priority > row.priority else None
    before = min(row.turn_at, now) + timedelta(seconds=(priority - row.priority) * ageing.step_s)
    return [] if before > now else [line.at < line.value(before)]


def at_work(connection: Connection) -> int:
    """How many videos are being worked on."""
    running = select(func.count()).where(queue.c.status == QueueStatus.RUNNING.value)
    return int(connection.execute(running).scalar_one())


def measured(database: Database, now: datetime) -> tuple[Measured, int]:
    """What videos took lately, and how many are being worked on just now; raises as ``Database`` does.

    Work that was taken over from another video, and took no time, does not count.
    """
    download = lineage.alias("download")
    length = (
        select(download.c.summary["duration_s"].as_float())
        .where(download.c.video_id == lineage.c.video_id, download.c.asset == FIRST_STEP.value)
        .order_by(download.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(lineage.c.video_id, lineage.c.asset, lineage.c.wall_s, length)
        .where(lineage.c.created_at > now - timedelta(days=DAYS), lineage.c.taken_from.is_(None), lineage.c.wall_s > 0)
        .order_by(lineage.c.created_at.desc())
        .limit(NEWEST)
    )
    with database.reading() as connection:
        found = [
            (row[0], PipelineStep(row[1]), row[2], row[3]) for row in connection.execute(query) if is_stage(row[1])
        ]
        return measured_of(found), at_work(connection)
