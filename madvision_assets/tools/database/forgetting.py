"""Videos that are held while somebody deletes all that is kept of them, and their rows with it, in one transaction.

Whoever claims, submits, requeues or begins one of them meanwhile waits, and then finds that nobody knows it. So that
this holds for a video too of which only objects are left, its place in the tables is taken until the end.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import cast

from sqlalchemy import ColumnElement, Compiled, Connection, Dialect, Executable, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import FIRST_STEP
from madvision_assets.tools.database import Database, breakers, tombstones
from madvision_assets.tools.database.catalogue import note_forgotten
from madvision_assets.tools.database.tables import (
    intakes,
    lineage,
    paid_calls,
    processing_attempts,
    spoken_passages,
    submissions,
    uploads,
    video_processing_queue,
    videos,
    webhook_deliveries,
)
from madvision_assets.tools.database.uploads import places_of
from madvision_assets.tools.database.withdrawing import IS_WITHDRAWN

queue = video_processing_queue

# Address and source of a video whose place is only taken; no address begins like this.
PLACE_TAKEN = "held:"


@dataclass(frozen=True)
class Held:
    """Videos that nobody else moves until the transaction ends.

    Attributes:
        idle: those that are not being processed, and may be deleted.
        running: those that are.
        known: those that have rows.
    """

    idle: frozenset[str]
    running: frozenset[str]
    known: frozenset[str]
    _connection: Connection = field(repr=False)

    def places(self, video_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """For each of these videos where the files lie that were sent of it."""
        return places_of(self._connection, video_ids)

    def delete_rows(self, video_ids: Collection[str]) -> None:
        """Delete every row of these of the idle ones, and leave a tombstone of each.

        What was paid for them stays in the books, without names.
        """
        doomed = sorted(self.idle.intersection(video_ids))
        withdrawn = select(queue.c.video_id).where(queue.c.video_id.in_(doomed), IS_WITHDRAWN)
        given_up = frozenset(self._connection.execute(withdrawn).scalars())
        tombstones.leave(self._connection, self.known.intersection(doomed), given_up, datetime.now(UTC))
        note_forgotten(self._connection, self.known.intersection(doomed))
        for breaker in breakers.not_closed(self._connection).values():
            if breaker.probe_video_id in doomed:
                breakers.give_up_probe(self._connection, breaker.probe_video_id)
        calls = paid_calls.update().where(paid_calls.c.video_id.in_(doomed))
        self._connection.execute(calls.values(video_id=None))
        rows = (webhook_deliveries, submissions, uploads, intakes, processing_attempts, lineage, spoken_passages, queue)
        for table in (*rows, videos):
            self._connection.execute(table.delete().where(table.c.video_id.in_(doomed)))


@contextmanager
def held(database: Database, video_ids: Collection[str], only: ColumnElement[bool] | None = None) -> Iterator[Held]:
    """Hold these videos, a few: SQLite has one writer at a time, and until the end it is this one.

    What the caller raises undoes the deletion of the rows. Raises as ``Database`` does.

    Args:
        database: where they are.
        video_ids: which videos.
        only: those of them alone count as idle whose row of the queue is so.
    """
    wanted = sorted(set(video_ids))  # everybody's order, or two writers deadlock
    with database.writing() as connection:
        if not database.is_sqlite:
            _take(connection, wanted)
        mine = queue.c.video_id.in_(wanted)
        running = select(queue.c.video_id).where(mine, queue.c.status == QueueStatus.RUNNING.value)
        known = select(videos.c.video_id).where(videos.c.video_id.in_(wanted), videos.c.address != PLACE_TAKEN)
        at_work = frozenset(connection.execute(running).scalars())
        there = frozenset(connection.execute(known).scalars())
        idle = frozenset(wanted) - at_work
        if only is not None:
            idle &= frozenset(connection.execute(select(queue.c.video_id).where(mine, only)).scalars())
        yield Held(idle, at_work, there, connection)
        if not database.is_sqlite:
            connection.execute(queue.delete().where(mine, queue.c.source == PLACE_TAKEN))
            connection.execute(videos.delete().where(videos.c.video_id.in_(wanted), videos.c.address == PLACE_TAKEN))


def _take(connection: Connection, video_ids: Sequence[str]) -> None:
    """Lock the rows of each, or take their places: of one video after the other, and its row in the queue first.

    That is the order of submissions and of workers.
    """
    statement = cast("Executable", _compiled(connection.dialect))
    now = datetime.now(UTC)
    for video_id in video_ids:
        connection.execute(statement, {"p_video_id": video_id, "p_now": now})


@cache
def _compiled(dialect: Dialect) -> Compiled:
    """One statement, since a row of the queue refers to one of the videos, which is written after it."""
    now = bindparam("p_now", type_=videos.c.created_at.type)
    video_id = bindparam("p_video_id", type_=videos.c.video_id.type)
    times = {"created_at": now, "updated_at": now}
    place = {
        "status": QueueStatus.QUEUED.value,
        "pipeline_step": FIRST_STEP.value,
        "progress": 0.0,
        "step_progress": 0.0,
        "message": "",
        "priority": 0,
        "retry": 0,
        "lost_workers": 0,
        "attempt": 0,
        "next_attempt_at": now,
        "source": PLACE_TAKEN,
    }
    row = insert(queue).values(video_id=video_id, **place, **times)
    video = insert(videos).values(video_id=video_id, address=PLACE_TAKEN, options={}, **times)
    # An update that changes nothing locks the row that is there.
    lock_row = row.on_conflict_do_update(index_elements=["video_id"], set_={"created_at": queue.c.created_at})
    lock_video = video.on_conflict_do_update(index_elements=["video_id"], set_={"created_at": videos.c.created_at})
    queued = lock_row.returning(queue.c.video_id).cte("queued")
    return select(queued).add_cte(lock_video.returning(videos.c.video_id).cte("known")).compile(dialect=dialect)
