"""What traces are made of: the attempts that have ended, and all that the tables tell of their videos."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, and_, func, or_, select

from madvision_assets.domain.traces import Attempt, History, MadeDocument, PaidCall, Place
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import (
    lineage,
    paid_calls,
    processing_attempts,
    submissions,
    video_processing_queue,
)

ended = processing_attempts
T = TypeVar("T")

# What is read of each table, in the order of the values that are made of it.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    ended.name: (
        "attempt",
        "run_id",
        "started_at",
        "ended_at",
        "pipeline_step",
        "status",
        "failure_cause",
        "failure_details",
    ),
    submissions.name: ("created_at",),
    lineage.name: ("run_id", "asset", "created_at", "wall_s", "cost_usd", "engine", "model", "taken_from"),
    paid_calls.name: (
        "id",
        "step",
        "model",
        "created_at",
        "settled_at",
        "cost_usd",
        "input_tokens",
        "output_tokens",
        "cause",
    ),
}


class EndedAttempts:
    """The attempts that have ended. Every method raises as ``Database`` does.

    Args:
        database: where the tables are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, place: Place, until: datetime, limit: int) -> list[Place]:
        """Those that ended after a place, up to a time: the places of the first ones."""
        query = (
            select(ended.c.ended_at, ended.c.video_id, ended.c.attempt)
            .where(_after(place), ended.c.ended_at <= until)
            .order_by(ended.c.ended_at, ended.c.video_id, ended.c.attempt)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Place(*row) for row in connection.execute(query)]

    def count(self, place: Place, until: datetime) -> int:
        """How many ended after a place, up to a time."""
        query = select(func.count()).select_from(ended).where(_after(place), ended.c.ended_at <= until)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def histories(self, video_ids: Collection[str]) -> Mapping[str, History]:
        """All that is known of these videos; without those that were forgotten."""
        queue = video_processing_queue
        of_these = select(queue.c.video_id, queue.c.source, queue.c.outcome).where(queue.c.video_id.in_(video_ids))
        with self._database.reading() as connection:

            def read(table: Table, order: ColumnElement[Any], kind: Callable[..., T]) -> dict[str, list[T]]:
                names = _COLUMNS[table.name]
                query = select(table.c.video_id, *(table.c[name] for name in names))
                found: dict[str, list[T]] = defaultdict(list)
                for video_id, *values in connection.execute(
                    query.where(table.c.video_id.in_(video_ids)).order_by(order)
                ):
                    found[video_id].append(kind(*values))
                return found

            attempts = read(ended, ended.c.attempt, Attempt)
            asked = read(submissions, submissions.c.created_at, _itself)
            made = read(lineage, lineage.c.created_at, MadeDocument)
            paid = read(paid_calls, paid_calls.c.id, PaidCall)
            return {
                video_id: History(
                    video_id,
                    source,
                    outcome,
                    tuple(attempts.get(video_id, ())),
                    tuple(asked.get(video_id, ())),
                    tuple(made.get(video_id, ())),
                    tuple(paid.get(video_id, ())),
                )
                for video_id, source, outcome in connection.execute(of_these)
            }


def _after(place: Place) -> ColumnElement[bool]:
    """Of those that ended at once, the rest: by the index of their ends."""
    later = or_(ended.c.video_id > place.video_id, and_(ended.c.video_id == place.video_id, _next(place)))
    return and_(ended.c.ended_at >= place.at, or_(ended.c.ended_at > place.at, later))


def _next(place: Place) -> ColumnElement[bool]:
    return ended.c.attempt > place.attempt


def _itself(moment: datetime) -> datetime:
    return moment
