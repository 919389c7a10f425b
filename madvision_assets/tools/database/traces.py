"""What traces are made of: the attempts that have ended, and all that the tables tell of their videos."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, func, or_, select, tuple_

from madvision_assets.domain.traces import MOST_SUBMITS, Attempt, History, MadeDocument, PaidCall, Place
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
Wanted = tuple[str, int]  # an attempt that is to be told of: its video, and its number

# So that no table, however long somebody made it, is read into memory: of a video its newest attempts, which are all of
# a trace unless that has more tries; what a run made; and what was paid for in an attempt.
MOST_ATTEMPTS, MOST_MADE, MOST_PAID = 500, 50, 200

# What is read of each, in the order of the values that are made of it.
_ATTEMPT = (
    ended.c.attempt,
    ended.c.run_id,
    ended.c.started_at,
    ended.c.ended_at,
    ended.c.pipeline_step,
    ended.c.status,
    ended.c.failure_cause,
    ended.c.failure_details,
)
_MADE = (
    lineage.c.run_id,
    lineage.c.asset,
    lineage.c.created_at,
    lineage.c.wall_s,
    lineage.c.cost_usd,
    lineage.c.engine,
    lineage.c.model,
    lineage.c.taken_from,
)
_PAID = (
    paid_calls.c.id,
    paid_calls.c.step,
    paid_calls.c.model,
    paid_calls.c.created_at,
    paid_calls.c.settled_at,
    paid_calls.c.cost_usd,
    paid_calls.c.input_tokens,
    paid_calls.c.output_tokens,
    paid_calls.c.cause,
)


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

    def histories(self, wanted: Collection[Wanted]) -> Mapping[str, History]:
        """What is known of videos, as far as traces tell of it; without those that were forgotten.

        Args:
            wanted: the attempts that are to be told of.
        """
        video_ids = {video_id for video_id, _ in wanted}
        queue = video_processing_queue
        of_these = select(queue.c.video_id, queue.c.source, queue.c.outcome).where(queue.c.video_id.in_(video_ids))
        with self._database.reading() as connection:
            attempts = _attempts(connection, video_ids)
            made, paid = _made(connection, wanted), _paid(connection, wanted)

            def history(video_id: str, source: str, outcome: str | None) -> History:
                found = History(
                    video_id,
                    source,
                    outcome,
                    tuple(attempts.get(video_id, ())),
                    made=tuple(made.get(video_id, ())),
                    paid=tuple(paid.get(video_id, ())),
                )
                return replace(found, submitted_at=_submitted(connection, found, wanted))

            return {row.video_id: history(*row) for row in connection.execute(of_these).all()}


def _attempts(connection: Connection, video_ids: Collection[str]) -> Mapping[str, list[Attempt]]:
    """The newest ones of each, in their order."""
    rows = _numbered(_ATTEMPT, ended.c.attempt.desc()).where(ended.c.video_id.in_(video_ids))
    newest = _by_video(connection, _first(rows, _ATTEMPT, MOST_ATTEMPTS), Attempt)
    return {video_id: each[::-1] for video_id, each in newest.items()}


def _made(connection: Connection, wanted: Collection[Wanted]) -> Mapping[str, list[MadeDocument]]:
    """What the runs of these attempts made."""
    of_one = and_(ended.c.video_id == lineage.c.video_id, ended.c.run_id == lineage.c.run_id)
    return _by_video(connection, _of(wanted, _MADE, of_one, lineage.c.created_at, MOST_MADE), MadeDocument)


def _paid(connection: Connection, wanted: Collection[Wanted]) -> Mapping[str, list[PaidCall]]:
    """What was paid for while these attempts went on."""
    at = paid_calls.c.created_at.between(ended.c.started_at, ended.c.ended_at)
    of_one = and_(ended.c.video_id == paid_calls.c.video_id, at)
    return _by_video(connection, _of(wanted, _PAID, of_one, paid_calls.c.id, MOST_PAID), PaidCall)


def _submitted(connection: Connection, history: History, wanted: Collection[Wanted]) -> tuple[datetime, ...]:
    """The first submissions that led to each of the traces; of what everybody submits there is no end."""
    at = submissions.c.created_at
    numbers = [number for video_id, number in wanted if video_id == history.video_id]
    found: list[datetime] = []
    for since, until in {asking for number in numbers if (asking := history.asking_for(number)) is not None}:
        query = select(at).where(submissions.c.video_id == history.video_id, at <= until)
        query = query.where(at > since) if since else query
        found += connection.execute(query.order_by(at).limit(MOST_SUBMITS)).scalars()
    return tuple(sorted(found))


def _of(
    wanted: Collection[Wanted],
    columns: Sequence[Column[Any]],
    of_one: ColumnElement[bool],
    order: ColumnElement[Any],
    most: int,
) -> Select[Any]:
    """Rows of a table that belong to these attempts, the first ones of each."""
    rows = _numbered(columns, order, ended.c.attempt).join_from(columns[0].table, ended, of_one)
    return _first(rows.where(tuple_(ended.c.video_id, ended.c.attempt).in_(list(wanted))), columns, most)


def _numbered(columns: Sequence[Column[Any]], order: ColumnElement[Any], *parts: ColumnElement[Any]) -> Select[Any]:
    """Rows with their video, and which of its part each of them is."""
    video_id = columns[0].table.c.video_id
    nth = func.row_number().over(partition_by=[video_id, *parts], order_by=order)
    return select(video_id, *columns, nth.label("nth"))


def _first(numbered: Select[Any], columns: Sequence[Column[Any]], most: int) -> Select[Any]:
    """The first ones of each part, in their order."""
    rows = numbered.subquery()
    names = [rows.c.video_id, *(rows.c[each.name] for each in columns)]
    return select(*names).where(rows.c.nth <= most).order_by(rows.c.nth)


def _by_video(connection: Connection, query: Select[Any], kind: Callable[..., T]) -> dict[str, list[T]]:
    """Each once, though two attempts claim it: one ended when the next began."""
    found: defaultdict[str, dict[T, None]] = defaultdict(dict)
    for video_id, *values in connection.execute(query):
        found[video_id][kind(*values)] = None
    return {video_id: list(each) for video_id, each in found.items()}


def _after(place: Place) -> ColumnElement[bool]:
    """Of those that ended at once, the rest: by the index of their ends."""
    later = or_(ended.c.video_id > place.video_id, and_(ended.c.video_id == place.video_id, _next(place)))
    return and_(ended.c.ended_at >= place.at, or_(ended.c.ended_at > place.at, later))


def _next(place: Place) -> ColumnElement[bool]:
    return ended.c.attempt > place.attempt
