"""Videos that have ended, as the archive asks for them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import batches
from madvision_assets.tools.database.tables import video_processing_queue

queue = video_processing_queue


class Ended:
    """Videos that ended before a moment. Every method raises as ``Database`` does.

    Args:
        database: where the tables are.
        before: the moment, timezone-aware.
    """

    def __init__(self, database: Database, before: datetime) -> None:
        self._database = database
        self._before = before

    def among(self, video_ids: Collection[str]) -> list[str]:
        """Those of these videos, the first to end first."""
        found: list[tuple[datetime, str]] = []
        with self._database.reading() as connection:
            for batch in batches(video_ids):
                query = select(queue.c.finished_at, queue.c.video_id).where(self._condition(batch))
                found += [(row[0], row[1]) for row in connection.execute(query)]
        return [video_id for _, video_id in sorted(found)]

    def unknown(self, video_ids: Collection[str]) -> set[str]:
        """Those of these videos that have no row: they were forgotten."""
        known: set[str] = set()
        with self._database.reading() as connection:
            for batch in batches(video_ids):
                known |= set(connection.execute(select(queue.c.video_id).where(queue.c.video_id.in_(batch))).scalars())
        return set(video_ids) - known

    @contextmanager
    def held(self, video_ids: Sequence[str]) -> Iterator[frozenset[str]]:
        """Those of these videos that nobody claims, queues or submits again until the end; at most a batch."""
        query = select(queue.c.video_id).where(self._condition(video_ids)).order_by(queue.c.video_id)
        with self._database.writing() as connection:
            # Who holds a row just now is about to claim it.
            yield frozenset(connection.execute(query.with_for_update(skip_locked=True)).scalars())

    def _condition(self, video_ids: Sequence[str]) -> ColumnElement[bool]:
        final = queue.c.status.in_([status.value for status in QueueStatus if status.is_final])
        return and_(queue.c.video_id.in_(video_ids), final, queue.c.finished_at < self._before)
