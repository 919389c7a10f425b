"""Which videos are due, those whose turn it is first, and among them those that probe a breaker.

Whoever waits gains urgency (``domain.urgency``), so the index by priority gives each level of priority in the order of
its turns, once for those that are served as they are due and once for clients, who take turns. The levels are merged
here: as many as can still have a say, of each as many rows as are wanted.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, TextClause, and_, case, func, or_, select, text

from madvision_assets.domain.breakers import CLOCK_SLACK_S
from madvision_assets.domain.queue import MAX_RETRY_AFTER_S, QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.urgency import Ageing
from madvision_assets.tools.database import accusations, breakers
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import DUE_STATES, IN_LINE, TAKING_TURNS
from madvision_assets.tools.database.tables import video_processing_queue as queue

# Any number, as long as nothing else in the database takes the same.
_POSTGRES_LOCK = 0x6D61_6476_636C
DAY_S = 86_400.0
JULIAN_1970 = 2_440_587.5  # the day, as SQLite counts them

_URGENCY = (queue.c.priority.desc(), queue.c.next_attempt_at, queue.c.video_id)
# Whoever failed least is the likeliest to tell something of what it probes, rather than of itself.
_LIKELIEST = (queue.c.retry, queue.c.lost_workers, queue.c.attempt, *_URGENCY)

T = TypeVar("T", bound=tuple[Any, ...])
Turn = Callable[[QueueRow], tuple[int, datetime, datetime, str]]


@dataclass(frozen=True)
class Line:
    """Rows that are claimed in the order of one index: its condition, and its time."""

    rows: TextClause
    at: ColumnElement[Any]

    def moment(self, at: Any) -> datetime:
        """A value of its time."""
        return at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)

    def value(self, moment: datetime) -> Any:
        """The other way round."""
        return moment.timestamp() if self.at is queue.c.turn_s else moment


IN_LINE_ROWS, TURNS_ROWS = Line(IN_LINE, queue.c.next_attempt_at), Line(TAKING_TURNS, queue.c.turn_s)


def room_for(connection: Connection, max_in_flight: int) -> int:
    """How many more may be in flight; whoever else wants to know waits until this transaction has ended."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})
    running = select(func.count()).where(queue.c.status == QueueStatus.RUNNING.value)
    return max_in_flight - connection.execute(running).scalar_one()


def choose(
    connection: Connection, room: int, now: datetime, ageing: Ageing, full: Collection[str] = ()
) -> list[QueueRow]:
    """The rows whose turn it is, in its order, held until the transaction ends; none that waits for one of ``full``.

    Those whose next step is behind an open breaker stay, but for the one that is to probe it; so of all rows at most
    one is left where the breaker is one that every step uses.
    """

    def turn(row: QueueRow) -> tuple[int, datetime, datetime, str]:
        return (*ageing.turn(row.priority, row.turn_at, now), row.turn_at, row.video_id)

    shut = breakers.not_closed(connection)
    if not shut:
        return _next_in_turn(connection, room, now, ageing, turn, not_at=full)
    shut = breakers.hold(connection)
    to_probe = {breaker.name for breaker in shut.values() if breaker.may_probe(now)} - set(full)
    due = _next_in_turn(connection, room, now, ageing, turn, not_at={*shut, *full})
    accused = accusations.accusers(connection, shut.values())
    due += _rows(connection, _likeliest_of_each(now, to_probe, accusations.suspects(accused, to_probe)))
    too_early = [breaker for name, breaker in shut.items() if name not in {*to_probe, *full}]
    if open_to_others := accusations.open_to_others(connection, too_early, accused, now):
        due += _rows(connection, _likeliest_of_each(now, open_to_others, open_to_others, others_only=True))
    needed = {name for row in due for name in breakers.used(row.resource)}
    breakers.forget(connection, [name for name in to_probe - needed if shut[name].is_forgotten(now)])
    chosen = sorted(due, key=turn)[:room]
    if not shut.keys().isdisjoint(breakers.USED_BY_ALL):  # one at most is let through
        chosen.sort(key=lambda row: (row.retry, row.lost_workers, row.attempt))
    return [row for row in chosen if breakers.admit(connection, breakers.used(row.resource), row.video_id, now) is None]


def is_due(now: datetime) -> ColumnElement[bool]:
    """Its time has come, and this version of the program knows what is to be done."""
    # By no other sign: a worker whose clock is ahead has its pauses too.
    clock_went_back = queue.c.next_attempt_at > _soon(now) + timedelta(seconds=MAX_RETRY_AFTER_S)
    has_come = or_(queue.c.status == QueueStatus.QUEUED.value, queue.c.next_attempt_at <= now, clock_went_back)
    steps = [step.value for step in PipelineStep]
    is_known = and_(queue.c.pipeline_step.in_(steps), or_(queue.c.from_step.is_(None), queue.c.from_step.in_(steps)))
    return and_(has_come, is_known)


def in_turn(now: datetime, ageing: Ageing, *, sqlite: bool) -> tuple[ColumnElement[Any], ...]:
    """What sorts rows that are due as they will be claimed."""
    due_at = queue.c.next_attempt_at
    dated_ahead = case((queue.c.turn_s.is_(None) & (due_at > _soon(now)), 1), else_=0)
    since_1970_s = (func.julianday(due_at) - JULIAN_1970) * DAY_S if sqlite else func.extract("epoch", due_at)
    turn_s = func.coalesce(queue.c.turn_s, since_1970_s)
    if not ageing.step_s:
        return dated_ahead, -queue.c.priority, turn_s, queue.c.video_id
    since_s = case((turn_s > now.timestamp(), now.timestamp()), else_=turn_s)
    return dated_ahead, since_s - queue.c.priority * ageing.step_s, turn_s, queue.c.video_id


def _next_in_turn(
    connection: Connection, room: int, now: datetime, ageing: Ageing, turn: Turn, not_at: Iterable[str] = ()
) -> list[QueueRow]:
    """The rows whose turn it is, but for those whose next step is guarded by one of these breakers."""
    levels = [
        (ageing.turn(priority, line.moment(at), now), priority, line)
        for line in (IN_LINE_ROWS, TURNS_ROWS)
        for priority, at in connection.execute(priority_levels(line)).tuples()
    ]
    found: list[QueueRow] = []
    for first, priority, line in sorted(levels, key=itemgetter(0)):
        if len(found) == room and turn(found[-1])[:2] < first:
            break  # nor can any level after it
        found = sorted(found + _rows(connection, _oldest(line, now, priority, room, not_at)), key=turn)[:room]
    if len(found) < room:  # a clock went back, and what it had dated ahead comes in nobody's place
        seen = {row.video_id for row in found}
        rest = [row for row in _rows(connection, _most_urgent(now, room, not_at)) if row.video_id not in seen]
        found += sorted(rest, key=turn)[: room - len(found)]
    return found


def priority_levels(line: Line) -> Select[tuple[int, Any]]:
    """Each priority among rows that may be due, with the earliest time of its rows; each is one look into the index."""
    highest = select(queue.c.priority).where(line.rows).order_by(queue.c.priority.desc()).limit(1).scalar_subquery()
    levels = select(highest.label("priority")).cte("levels", recursive=True)
    mine = queue.c.priority < levels.c.priority
    below = select(queue.c.priority).where(line.rows, mine).order_by(queue.c.priority.desc()).limit(1)
    next_level = select(below.correlate(levels).scalar_subquery()).select_from(levels)
    levels = levels.union_all(next_level.where(levels.c.priority.is_not(None)))
    earliest = select(line.at).where(line.rows, queue.c.priority == levels.c.priority)
    earliest = earliest.order_by(line.at).limit(1).correlate(levels)
    return select(levels.c.priority, earliest.scalar_subquery()).where(levels.c.priority.is_not(None))


def _oldest(line: Line, now: datetime, priority: int, limit: int, not_at: Iterable[str]) -> Select[tuple[str]]:
    """Of one priority those that have been due for longest; what waits for later is not even looked at."""
    query = select(queue.c.video_id).where(line.rows, queue.c.priority == priority, is_due(now))
    if line is IN_LINE_ROWS:
        query = query.where(queue.c.next_attempt_at <= _soon(now))
    return unless_at(query.order_by(line.at, queue.c.video_id).limit(limit), not_at)


def _soon(now: datetime) -> datetime:
    """What is dated later was not dated by a clock that is a little ahead."""
    return now + timedelta(seconds=CLOCK_SLACK_S)


def _most_urgent(now: datetime, limit: int, not_at: Iterable[str]) -> Select[tuple[str]]:
    query = select(queue.c.video_id).where(IN_LINE, is_due(now)).order_by(*_URGENCY).limit(limit)
    return unless_at(query, not_at)


def unless_at(query: Select[T], not_at: Iterable[str]) -> Select[T]:
    """Without the rows whose next step is guarded by one of these breakers."""
    names = list(not_at)
    return query.where(or_(queue.c.resource.is_(None), queue.c.resource.not_in(names))) if names else query


def _likeliest_of_each(
    now: datetime, names: Iterable[str], suspects: Mapping[str, frozenset[str]], *, others_only: bool = False
) -> Select[tuple[str]]:
    """At each of these breakers the row to probe it: one that has failed is let try where no other is there.

    Args:
        now: the time.
        names: of the breakers.
        suspects: the clients whose videos failed there; anybody else's come first.
        others_only: theirs do not come at all.
    """
    unsuspected = accusations.of_no_suspect(suspects)
    order = (case((unsuspected, 0), else_=1), *_LIKELIEST) if suspects else _LIKELIEST
    rank = func.row_number().over(partition_by=queue.c.resource, order_by=order).label("rank")
    at_these = (queue.c.resource.in_(list(names)), *([unsuspected] if others_only else ()))
    ranked = select(queue.c.video_id, rank).where(DUE_STATES, is_due(now), *at_these).subquery()
    return select(ranked.c.video_id).where(ranked.c.rank == 1)


def _rows(connection: Connection, chosen: Select[tuple[str]]) -> list[QueueRow]:
    """These rows, held; one that somebody else holds is left to him."""
    query = select(queue).where(queue.c.video_id.in_(chosen), DUE_STATES).order_by(*_URGENCY)
    found = connection.execute(query.with_for_update(skip_locked=True)).mappings()
    return [QueueRow.model_validate(row) for row in found]
