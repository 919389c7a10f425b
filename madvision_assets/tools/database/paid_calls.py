"""Paid calls in the database: what is set aside for those under way, and what all came to."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, case, func, or_, select, text

from madvision_assets.domain.paying import CallState, Came, Planned
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import paid_calls as calls

# Of PostgreSQL's advisory locks the one that whoever sets money aside holds until it has: "paid" in ASCII.
ADVISORY_LOCK = 0x70616964


@dataclass(frozen=True)
class Spent:
    """What calls have cost or may have, US dollars.

    Attributes:
        cost_usd: known to be paid.
        doubtful_usd: paid at most besides, for calls of which nobody knows what became.
        reserved_usd: that calls under way may cost.
    """

    cost_usd: float = 0.0
    doubtful_usd: float = 0.0
    reserved_usd: float = 0.0

    @property
    def settled_usd(self) -> float:
        """What no call under way can change any more."""
        return self.cost_usd + self.doubtful_usd


# Is given what was spent on the video and on the day; raises where the call is not to be made.
Allow = Callable[[Spent, Spent], None]


class PaidCalls:
    """The table ``paid_calls``. Every method raises as ``Database`` does.

    Args:
        database: where the table is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, planned: Planned, now: datetime, midnight: datetime, allow: Allow) -> int:
        """Set aside what a call may cost, where that is allowed; nobody else does meanwhile.

        Args:
            planned: the call.
            now: timezone-aware.
            midnight: when the day began.
            allow: decides.

        Returns:
            The call's number.
        """
        row = {
            "video_id": planned.video_id,
            "step": planned.step,
            "state": CallState.RESERVED.value,
            "model": planned.model,
            "prompt_version": planned.prompt_version,
            "reserved_usd": planned.worst_usd,
            "expires_at": now + timedelta(seconds=planned.lasts_s),
        }
        nothing = dict.fromkeys(("cost_usd", "doubtful_usd", "input_tokens", "cached_tokens", "output_tokens"), 0)
        with self._database.writing() as connection:
            if not self._database.is_sqlite:  # which has one writer at a time anyway
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
            _give_up_dead(connection, now)
            of_video = _spent(connection, calls.c.video_id == planned.video_id)
            allow(of_video, _spent(connection, calls.c.created_at >= midnight))
            insert = calls.insert().values(**row, **nothing, estimated=False, created_at=now)
            return int(connection.execute(insert.returning(calls.c.id)).scalar_one())

    def settle(self, number: int, came: Came, now: datetime) -> None:
        """What a call came to; also of one that was given up for dead."""
        values = {
            "state": CallState.SETTLED.value,
            "cost_usd": came.cost_usd,
            "doubtful_usd": came.doubtful_usd,
            "input_tokens": came.input_tokens,
            "cached_tokens": came.cached_tokens,
            "output_tokens": came.output_tokens,
            "estimated": came.estimated,
            "cause": came.cause,
            "settled_at": now,
        }
        if came.model:
            values["model"] = came.model
        with self._database.writing() as connection:
            connection.execute(calls.update().where(calls.c.id == number).values(**values))

    def spent(self, *, video_id: str | None = None, since: datetime | None = None) -> Spent:
        """What was spent: on a video or on all, from a moment on or ever."""
        conditions = [calls.c.video_id == video_id] if video_id is not None else []
        if since is not None:
            conditions.append(calls.c.created_at >= since)
        with self._database.reading() as connection:
            return _spent(connection, *conditions)

    def failing(self, causes: Collection[str], steps: Collection[str]) -> tuple[datetime, datetime] | None:
        """Since when these stages' calls have ended for these causes and none otherwise, and when the last one did.

        Returns:
            Both moments; None where the last one ended otherwise: well, or for a cause that only who is there can have.
        """
        theirs = calls.c.step.in_(steps)
        otherwise = or_(calls.c.cause.is_(None), calls.c.cause.not_in(causes))
        well = select(func.max(calls.c.created_at)).where(theirs, calls.c.state == CallState.SETTLED.value, otherwise)
        ends = func.min(calls.c.created_at), func.max(calls.c.created_at)
        with self._database.reading() as connection:
            last_well = connection.execute(well).scalar_one()
            query = select(*ends).where(theirs, calls.c.cause.in_(causes))
            if last_well is not None:
                query = query.where(calls.c.created_at > last_well)
            first, last = connection.execute(query).one()
        return None if first is None else (first, last)

    def by_step(self) -> Mapping[str, Spent]:
        """What was spent on each stage."""
        query = select(calls.c.step, *_sums()).group_by(calls.c.step).order_by(calls.c.step)
        with self._database.reading() as connection:
            return {row[0]: Spent(*map(float, row[1:])) for row in connection.execute(query)}


def _give_up_dead(connection: Connection, now: datetime) -> None:
    """What was set aside by those who never came back may be paid for: it counts, and is not set aside any more."""
    dead = (calls.c.state == CallState.RESERVED.value, calls.c.expires_at <= now)
    lost = {"state": CallState.LOST.value, "doubtful_usd": calls.c.reserved_usd, "settled_at": now}
    connection.execute(calls.update().where(*dead).values(**lost))


def _spent(connection: Connection, *conditions: ColumnElement[bool]) -> Spent:
    row = connection.execute(select(*_sums()).where(*conditions)).one()
    return Spent(*map(float, row))


def _sums() -> tuple[ColumnElement[float], ...]:
    reserved = case((calls.c.state == CallState.RESERVED.value, calls.c.reserved_usd), else_=0.0)
    return tuple(func.coalesce(func.sum(each), 0.0) for each in (calls.c.cost_usd, calls.c.doubtful_usd, reserved))
