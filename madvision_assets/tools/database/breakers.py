"""Breakers in the database, inside the transaction of whoever asks."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.domain.breakers import Breaker, BreakerRules, BreakerState
from madvision_assets.domain.failures import Failure, Resource, leaf_of
from madvision_assets.tools.database.tables import breakers

# Every step reads or writes the store, and its worker's disk.
USED_BY_ALL = (Resource.STORE.value, Resource.WORKER.value)


def not_closed(connection: Connection) -> dict[str, Breaker]:
    """The breakers that are open or half open, by name."""
    query = select(breakers).where(breakers.c.state != BreakerState.CLOSED.value).order_by(breakers.c.name)
    return {row["name"]: Breaker.model_validate(row) for row in connection.execute(query).mappings()}


def load(connection: Connection, name: str) -> Breaker:
    """A breaker, held until the transaction ends; one that was never heard of is closed."""
    query = select(breakers).where(breakers.c.name == name).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return Breaker.model_validate(row) if row else Breaker(name=name)


def save(connection: Connection, breaker: Breaker) -> None:
    """Write a breaker down."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    values = breaker.model_dump()
    upsert = insert(breakers).values(values)
    connection.execute(upsert.on_conflict_do_update(index_elements=[breakers.c.name], set_=values))


def admit(connection: Connection, names: Collection[str], video_id: str, now: datetime) -> Failure | None:
    """Let a video use all of these, as the one that probes where it is time for that; else the reason why not."""
    shut = [breaker for breaker in not_closed(connection).values() if breaker.name in names]
    shut = [load(connection, breaker.name) for breaker in shut]
    for breaker in shut:
        if not breaker.admits(video_id, now):
            return leaf_of(breaker.cause or "")(breaker.details)
    for breaker in shut:
        if breaker.state is not BreakerState.CLOSED:
            save(connection, breaker.probed_by(video_id, now))
    return None


def record_success(connection: Connection, names: Collection[str]) -> None:
    """What these guard works: close them."""
    troubled = or_(breakers.c.state != BreakerState.CLOSED.value, breakers.c.failures > 0)
    connection.execute(delete(breakers).where(breakers.c.name.in_(names), troubled))


def record_failure(
    connection: Connection, name: str, failure: Failure, video_id: str, now: datetime, rules: BreakerRules
) -> Breaker:
    """Count a failure against what a breaker guards; gives the breaker as it is then."""
    breaker = load(connection, name).after_failure(failure, video_id, now, rules)
    save(connection, breaker)
    return breaker


def give_up_probe(connection: Connection, video_id: str) -> None:
    """The video tries no more, without a word on what it was to try: another one may."""
    connection.execute(
        breakers.update()
        .where(breakers.c.probe_video_id == video_id)
        .values(state=BreakerState.OPEN.value, probe_video_id=None, probe_expires_at=None)
    )


def close_all_of(connection: Connection, cause: str) -> None:
    """Somebody says that a cause is mended: close what it opened."""
    connection.execute(delete(breakers).where(breakers.c.cause == cause))
