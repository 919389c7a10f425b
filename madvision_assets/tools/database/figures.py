"""What is counted for monitoring, and the signs of life of parts that have no row of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.domain.breakers import Breaker
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database import Database, breakers
from madvision_assets.tools.database.claims import unless_at
from madvision_assets.tools.database.paid_calls import PaidCalls, Spent
from madvision_assets.tools.database.tables import (
    heartbeats,
    lineage,
    processing_attempts,
    submissions,
    video_processing_queue,
)

queue = video_processing_queue


@dataclass(frozen=True)
class Depth:
    """The videos that are in one state at one step.

    Attributes:
        videos: how many.
        unchanged_since: when the one that stood still for longest last changed.
    """

    status: str
    pipeline_step: str
    videos: int
    unchanged_since: datetime


@dataclass(frozen=True)
class Ready:
    """The videos at one step that nothing keeps from being begun; ``unchanged_since`` is of the oldest."""

    pipeline_step: str
    videos: int
    unchanged_since: datetime


@dataclass(frozen=True)
class StageTotals:
    """All materialisations of one asset: how many, what they took (seconds) and cost (US dollars)."""

    asset: str
    materialisations: int
    wall_s: float
    cost_usd: float


class Figures:
    """Counts over all tables. Every method raises as ``Database`` does.

    Args:
        database: where the tables are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def depths(self) -> list[Depth]:
        """The queue by state and step."""
        keys = (queue.c.status, queue.c.pipeline_step)
        query = select(*keys, func.count(), func.min(queue.c.updated_at)).group_by(*keys).order_by(*keys)
        with self._database.reading() as connection:
            return [Depth(*row) for row in connection.execute(query)]

    def ready(self) -> list[Ready]:
        """The queued videos by step, without those that wait for what a breaker guards that is not closed."""
        step = queue.c.pipeline_step
        query = select(step, func.count(), func.min(queue.c.updated_at)).where(
            queue.c.status == QueueStatus.QUEUED.value
        )
        with self._database.reading() as connection:
            shut = breakers.not_closed(connection).keys()
            if not shut.isdisjoint(breakers.USED_BY_ALL):
                return []
            chosen = unless_at(query.group_by(step).order_by(step), shut)
            return [Ready(*row) for row in connection.execute(chosen)]

    def failures(self) -> Mapping[str, int]:
        """How many attempts ended with each cause."""
        cause = processing_attempts.c.failure_cause
        query = select(cause, func.count()).where(cause.is_not(None)).group_by(cause).order_by(cause)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def stages(self) -> list[StageTotals]:
        """What each stage took and cost, in all."""
        sums = (func.count(), func.sum(lineage.c.wall_s), func.sum(lineage.c.cost_usd))
        query = select(lineage.c.asset, *sums).group_by(lineage.c.asset).order_by(lineage.c.asset)
        with self._database.reading() as connection:
            return [StageTotals(*row) for row in connection.execute(query)]

    def paid(self) -> Mapping[str, Spent]:
        """What calls were paid for, by stage, whatever came of them."""
        return PaidCalls(self._database).by_step()

    def submissions(self) -> int:
        """How many submissions there are."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(submissions)).scalar_one()

    def open_breakers(self) -> list[Breaker]:
        """The breakers that are not closed, by name."""
        with self._database.reading() as connection:
            return list(breakers.not_closed(connection).values())

    def beats(self) -> Mapping[str, datetime]:
        """The last sign of life of each part that ever gave one."""
        with self._database.reading() as connection:
            found = connection.execute(select(heartbeats.c.name, heartbeats.c.beat_at))
            return {row.name: row.beat_at for row in found}

    def beat(self, name: str, now: datetime) -> None:
        """A part shows that it is alive; ``now`` is timezone-aware."""
        insert = sqlite_insert if self._database.is_sqlite else postgres_insert
        row = insert(heartbeats).values(name=name, beat_at=now)
        upsert = row.on_conflict_do_update(index_elements=[heartbeats.c.name], set_={"beat_at": now})
        with self._database.writing() as connection:
            connection.execute(upsert)
