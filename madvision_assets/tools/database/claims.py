"""Which videos are due: the most urgent first, and among them those that probe a breaker."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, text

from madvision_assets.domain.breakers import CLOCK_SLACK_S
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import breakers
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import DUE_STATES
from madvision_assets.tools.database.tables import video_processing_queue as queue

# Any number, as long as nothing else in the database takes the same.
_POSTGRES_LOCK = 0x6D61_6476_636C

_URGENCY = (queue.c.priority.desc(), queue.c.next_attempt_at, queue.c.video_id)


def room_for(connection: Connection, max_in_flight: int) -> int:
    """How many more may be in flight; whoever else wants to know waits until this transaction has ended."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})
    running = select(func.count()).where(queue.c.status == QueueStatus.RUNNING.value)
    return max_in_flight - connection.execute(running).scalar_one()


def choose(connection: Connection, room: int, now: datetime) -> list[QueueRow]:
    """The rows whose turn it is, most urgent first, held until the transaction ends.

    Those whose next step is behind an open breaker stay, but for the one that is to probe it; so of all rows at most
    one is left where the breaker is one that every step uses.
    """
    shut = breakers.not_closed(connection)
    if not shut:
        return _rows(connection, _most_urgent(now, room))
    shut = breakers.hold(connection)
    to_probe = {breaker.name for breaker in shut.values() if breaker.may_probe(now)}
    due = _rows(connection, _most_urgent(now, room, not_at=shut)) + _rows(connection, _first_of_each(now, to_probe))
    needed = {name for row in due for name in breakers.used(row.resource)}
    breakers.forget(connection, [name for name in to_probe - needed if shut[name].is_forgotten(now)])
    chosen = sorted(due, key=lambda row: (-row.priority, row.next_attempt_at, row.video_id))[:room]
    return [row for row in chosen if breakers.admit(connection, breakers.used(row.resource), row.video_id, now) is None]


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Its time has come, and this version of the program knows what is to be done."""
    clock_went_back = queue.c.updated_at > now + timedelta(seconds=CLOCK_SLACK_S)
    has_come = or_(queue.c.status == QueueStatus.QUEUED.value, queue.c.next_attempt_at <= now, clock_went_back)
    steps = [step.value for step in PipelineStep]
    is_known = and_(queue.c.pipeline_step.in_(steps), or_(queue.c.from_step.is_(None), queue.c.from_step.in_(steps)))
    return and_(has_come, is_known)


def _most_urgent(now: datetime, limit: int, *, not_at: Iterable[str] = ()) -> Select[tuple[str]]:
    query = select(queue.c.video_id).where(DUE_STATES, _is_due(now)).order_by(*_URGENCY).limit(limit)
    names = list(not_at)
    return query.where(or_(queue.c.resource.is_(None), queue.c.resource.not_in(names))) if names else query


def _first_of_each(now: datetime, names: Iterable[str]) -> Select[tuple[str]]:
    """The most urgent row at each of these breakers."""
    rank = func.row_number().over(partition_by=queue.c.resource, order_by=_URGENCY).label("rank")
    at_these = queue.c.resource.in_(list(names))
    ranked = select(queue.c.video_id, rank).where(DUE_STATES, _is_due(now), at_these).subquery()
    return select(ranked.c.video_id).where(ranked.c.rank == 1)


def _rows(connection: Connection, chosen: Select[tuple[str]]) -> list[QueueRow]:
    """These rows, held; one that somebody else holds is left to him."""
    query = select(queue).where(queue.c.video_id.in_(chosen), DUE_STATES).order_by(*_URGENCY)
    found = connection.execute(query.with_for_update(skip_locked=True)).mappings()
    return [QueueRow.model_validate(row) for row in found]
