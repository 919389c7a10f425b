"""The queue as its operators see and move it: what stands where and why, and start again."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, not_, or_, select, true

from madvision_assets.domain.breakers import Breaker
from madvision_assets.domain.failures import Resource, SupersededError, UnknownVideoError
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import FIRST_STEP, PipelineStep, overall_progress, resource_of
from madvision_assets.domain.urgency import Ageing
from madvision_assets.tools.database import Database, breakers, claims, leases, statements
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.rows import QueueRow, Step
from madvision_assets.tools.database.tables import (
    DUE_STATES,
    intakes,
    lineage,
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

# IDs in one statement; SQLite allows 32,766 parameters.
BATCH = 1000
# The order in which rows are listed: what happens now, what comes next, what needs somebody, what is over.
URGENCY = (
    QueueStatus.RUNNING,
    QueueStatus.QUEUED,
    QueueStatus.WAITING,
    QueueStatus.PARKED,
    QueueStatus.FAILED,
    QueueStatus.DONE,
)
BY_CAUSE = (QueueStatus.WAITING.value, QueueStatus.FAILED.value, QueueStatus.PARKED.value)

queue = video_processing_queue


class QueueCount(Value):
    """So many videos stand at this step, in this state, for this cause."""

    status: QueueStatus
    pipeline_step: Step
    failure_cause: str | None
    count: int


class Attempt(Value):
    """One attempt at a video; ``status`` is that of the queue after it."""

    attempt: int
    run_id: str | None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    pipeline_step: Step
    status: QueueStatus
    failure_cause: str | None
    failure_details: str | None


class Extent(Value):
    """What the tables hold of some videos.

    Attributes:
        known: the videos that have a row in ``videos``.
        running: those of them that are being processed.
        tokens: how many submissions follow them.
        rows: in all tables together.
    """

    known: frozenset[str]
    running: frozenset[str]
    tokens: int
    rows: int


class Operations:
    """What operators do with the queue. Every method raises as ``Database`` does.

    Args:
        database: where the tables are.
        now: the clock, timezone-aware.
        ageing: how whoever waits gains urgency; claims have the same.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now, ageing: Ageing | None = None) -> None:
        self._database = database
        self._now = now
        self._ageing = ageing or Ageing()

    # --- looking ---

    def counts(self) -> list[QueueCount]:
        """How many videos stand where, and why; those whose step is behind an open breaker have its cause."""
        with self._database.reading() as connection:
            cause = _seen_cause(breakers.not_closed(connection)).label("failure_cause")
            seen = select(queue.c.status, queue.c.pipeline_step, cause).subquery()
            query = select(*seen.c, func.count().label("count")).group_by(*seen.c)
            found = [QueueCount.model_validate(row) for row in connection.execute(query).mappings()]
        steps = list(PipelineStep)
        return sorted(found, key=lambda e: (URGENCY.index(e.status), steps.index(e.pipeline_step), -e.count))

    def rows(self, status: QueueStatus | None = None, cause: str | None = None, limit: int = 100) -> list[QueueRow]:
        """The rows of the queue: under way, next in turn, what waits for later, then those that ended, newest first.

        Args:
            status: only those in this state.
            cause: only those that ended or wait for this cause, or whose step is behind a breaker that it opened.
            limit: at most so many.
        """
        with self._database.reading() as connection:
            shut = breakers.not_closed(connection)
            conditions = [queue.c.status == status.value] if status else []
            if cause is not None:
                conditions.append(_seen_cause(shut) == cause)
            order = self._order(shut)
            query = select(queue).where(*conditions).order_by(*order).limit(limit)
            found = [QueueRow.model_validate(row) for row in connection.execute(query).mappings()]
        return [row.behind(shut.get(row.resource or "")) for row in found]

    def history(self, video_id: str) -> list[Attempt]:
        """Every attempt at a video, oldest first."""
        mine = processing_attempts.c.video_id == video_id
        columns = [column for column in processing_attempts.c if column.name in Attempt.model_fields]
        query = select(*columns).where(mine).order_by(processing_attempts.c.attempt)
        with self._database.reading() as connection:
            return [Attempt.model_validate(row) for row in connection.execute(query).mappings()]

    def open_breakers(self) -> list[Breaker]:
        """The breakers that are open or half open, by name."""
        with self._database.reading() as connection:
            return list(breakers.not_closed(connection).values())

    def has_work(self) -> bool:
        """Whether a video is still to be done."""
        going = queue.c.status.not_in([status.value for status in QueueStatus if status.is_final])
        with self._database.reading() as connection:
            return connection.execute(select(queue.c.video_id).where(going).limit(1)).first() is not None

    def extent(self, video_ids: Collection[str]) -> Extent:
        """What the tables hold of these videos."""
        known: set[str] = set()
        running: set[str] = set()
        counts = dict.fromkeys(
            (
                videos,
                queue,
                processing_attempts,
                submissions,
                uploads,
                intakes,
                webhook_deliveries,
                lineage,
                spoken_passages,
            ),
            0,
        )
        with self._database.reading() as connection:
            for batch in batches(video_ids):
                here = select(videos.c.video_id).where(videos.c.video_id.in_(batch))
                known.update(connection.execute(here).scalars())
                running.update(connection.execute(_running(batch)).scalars())
                for table in counts:
                    some = select(func.count()).select_from(table).where(table.c.video_id.in_(batch))
                    counts[table] += connection.execute(some).scalar_one()
        return Extent(
            known=frozenset(known), running=frozenset(running), tokens=counts[submissions], rows=sum(counts.values())
        )

    def places(self, video_ids: Collection[str]) -> dict[str, list[str]]:
        """For each of these videos where the files lie that were sent of it."""
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for batch in batches(video_ids):
                found |= places_of(connection, batch)
        return found

    # --- moving ---

    def restart(self, video_id: str, from_step: PipelineStep | None = None, priority: int | None = None) -> QueueRow:
        """Queue a video again, whatever state it is in; one that is running is taken from its worker.

        Args:
            video_id: its ID; where it was never queued, it is now.
            from_step: do this step and all later ones again; None goes on where it stands. What was asked before still
                is, unless it came to nothing.
            priority: None keeps the one it has.

        Raises:
            UnknownVideoError: nobody submitted it, or whoever did has deleted it.
        """
        now = self._now()
        values = _afresh(from_step, now)
        if priority is not None:
            values["priority"] = priority
        with self._database.writing() as connection:
            self._add_missing(connection, [video_id], now)
            row = leases.lock(connection, video_id)
            if row is None:  # somebody forgets it just now
                raise UnknownVideoError(video_id)
            leases.require_wanted(row)
            if row.status is QueueStatus.RUNNING:
                breakers.give_up_probe(connection, video_id)
                _close_attempt(connection, video_id, row.attempt, now)
            update = queue.update().where(queue.c.video_id == video_id).values(**values).returning(*queue.c)
            return QueueRow.model_validate(connection.execute(update).mappings().one())

    def requeue(
        self,
        cause: str | None = None,
        video_ids: Collection[str] | None = None,
        from_step: PipelineStep | None = None,
        priority: int | None = None,
    ) -> int:
        """Queue videos again, all or none: those that a cause holds up, or these.

        A video that is running is left to its worker, and one that its submitters deleted stays so.

        Args:
            cause: code of a failure that is mended: the videos that failed, were parked or wait for it, and those
                whose next step is behind a breaker that it opened; these breakers are closed.
            video_ids: or these, whatever state they are in.
            from_step: do this step and all later ones again; None goes on where each stands. What was asked before
                still is.
            priority: None keeps what each has.

        Returns:
            How many.

        Raises:
            UnknownVideoError: nobody submitted one of these.
            ValueError: neither a cause nor videos, or both.
        """
        if (cause is None) == (video_ids is None):
            raise ValueError("Give a cause or videos.")
        now = self._now()
        if video_ids:
            with self._database.writing() as connection:  # by itself, or rows would not be held in everybody's order
                self._add_missing(connection, video_ids, now)
        idle, count = queue.c.status != QueueStatus.RUNNING.value, 0
        with self._database.writing() as connection:
            if cause is None:
                wanted: list[ColumnElement[bool]] = [queue.c.video_id.in_(each) for each in batches(video_ids or ())]
            else:
                wanted = [and_(idle, _held_up_by(cause, breakers.not_closed(connection)))]
            values = _afresh(from_step, now) | ({} if priority is None else {"priority": priority})
            held: set[str] = set()
            for each in wanted:
                one_by_one = select(queue.c.video_id).where(each).order_by(queue.c.video_id)
                # In everybody's order, which an update does not keep; and none that has come since.
                here = connection.execute(one_by_one.with_for_update()).scalars().all()
                held.update(here)
                for some in batches(here):
                    update = queue.update().where(idle, ~IS_WITHDRAWN, queue.c.video_id.in_(some)).values(**values)
                    count += connection.execute(update).rowcount
            if gone := sorted(set(video_ids or ()) - held):  # somebody has forgotten them meanwhile
                raise UnknownVideoError(gone[0])
            if cause is not None:  # after the rows, as workers have it, or we and one of them wait for each other
                breakers.close_all_of(connection, cause)
        return count

    # --- details ---

    def _order(self, shut: dict[str, Breaker]) -> tuple[ColumnElement[Any], ...]:
        """How rows are listed; what is next in turn is what a claim would take next."""
        now = self._now()
        places = {each.value: n for n, each in enumerate(URGENCY)}
        next_in_turn = and_(DUE_STATES, claims.is_due(now), not_(_guarded(shut.values())))
        waits = and_(DUE_STATES, not_(next_in_turn))
        last = places[QueueStatus.WAITING.value]
        rank = case((next_in_turn, last - 1), (waits, last), else_=case(places, value=queue.c.status))
        turn = claims.in_turn(now, self._ageing, sqlite=self._database.is_sqlite)
        *turns, _ = (case((next_in_turn, key)) for key in turn)
        return rank, *turns, case((waits, queue.c.next_attempt_at)), queue.c.updated_at.desc(), queue.c.video_id

    def _add_missing(self, connection: Connection, video_ids: Collection[str], now: datetime) -> None:
        """Queue rows for the videos among these that were never queued."""
        for batch in batches(video_ids):
            there = set(connection.execute(select(queue.c.video_id).where(queue.c.video_id.in_(batch))).scalars())
            for video_id in sorted(set(batch) - there):
                statements.queue_known(connection, video_id, now)


def batches(video_ids: Collection[str]) -> Iterator[Sequence[str]]:
    """The IDs without doubles, in one order, in as many as go into one statement."""
    rest = iter(sorted(set(video_ids)))  # one order, or two writers deadlock
    while batch := list(islice(rest, BATCH)):
        yield batch


def _afresh(from_step: PipelineStep | None, now: datetime) -> dict[str, Any]:
    """The columns of a row that is queued again, with nothing held against it; clips count until there are others."""
    done = {step.value: overall_progress(step, 0.0) for step in PipelineStep}
    waits_its_turn = and_(queue.c.status == QueueStatus.QUEUED.value, queue.c.next_attempt_at < now)
    values: dict[str, Any] = {
        "status": QueueStatus.QUEUED.value,
        "progress": case(done, value=queue.c.pipeline_step, else_=queue.c.progress),
        "step_progress": 0.0,
        "message": "",
        "retry": 0,
        "lost_workers": 0,
        "failure_cause": None,
        "failure_details": None,
        "finished_at": None,
        # One that waits for its turn already keeps its place.
        "next_attempt_at": case((waits_its_turn, queue.c.next_attempt_at), else_=now),
        "updated_at": now,
    }
    if from_step is not None:
        steps = [step for step in PipelineStep if from_step in step.onwards()]
        host = case((queue.c.source != "", f"{Resource.HOST}:" + queue.c.source))
        of_step: dict[str, Mapping[PipelineStep, Any]] = {
            "from_step": {step: step.value for step in steps},
            "pipeline_step": {step: step.value for step in steps},
            "resource": {step: host if step is FIRST_STEP else resource_of(step, "") for step in steps},
            "progress": {step: done[step.value] for step in steps},
        }
        values |= {name: _of_the_earlier_wish(each) for name, each in of_step.items()}
    return values


def _of_the_earlier_wish(of_step: Mapping[PipelineStep, Any]) -> Any:
    """What belongs to the last of these steps, or to an earlier one from which on all was to be done again before."""
    *earlier, wanted = of_step
    asked_before = {step.value: of_step[step] for step in earlier}
    return case(asked_before, value=queue.c.from_step, else_=of_step[wanted]) if asked_before else of_step[wanted]


def _behind(shut: Collection[Breaker]) -> ColumnElement[bool]:
    """Whether a queued video's next step is behind one of these breakers."""
    return and_(queue.c.status == QueueStatus.QUEUED.value, _guarded(shut))


def _guarded(shut: Collection[Breaker]) -> ColumnElement[bool]:
    """Whether a video's next step is guarded by one of these breakers."""
    names = {breaker.name for breaker in shut}
    if names & set(breakers.USED_BY_ALL):
        return true()
    return and_(queue.c.resource.is_not(None), queue.c.resource.in_(names))


def _held_up_by(cause: str, shut: dict[str, Breaker]) -> ColumnElement[bool]:
    mine = [breaker for breaker in shut.values() if breaker.cause == cause]
    return or_(and_(queue.c.status.in_(BY_CAUSE), queue.c.failure_cause == cause), _behind(mine))


def _seen_cause(shut: dict[str, Breaker]) -> ColumnElement[Any]:
    """The cause of a failure, or of the breaker that a queued video is behind."""
    causes = {breaker.cause for breaker in shut.values() if breaker.cause}
    behind = [(_behind([b for b in shut.values() if b.cause == cause]), cause) for cause in sorted(causes)]
    return case(*behind, else_=queue.c.failure_cause) if behind else queue.c.failure_cause


def _running(video_ids: Sequence[str]) -> Select[tuple[str]]:
    """Those that are being processed."""
    return select(queue.c.video_id).where(queue.c.video_id.in_(video_ids), queue.c.status == QueueStatus.RUNNING.value)


def _close_attempt(connection: Connection, video_id: str, attempt: int, now: datetime) -> None:
    mine = and_(processing_attempts.c.video_id == video_id, processing_attempts.c.attempt == attempt)
    ended = {"ended_at": now, "status": QueueStatus.QUEUED.value, "failure_cause": SupersededError.code}
    connection.execute(processing_attempts.update().where(mine).values(**ended))
