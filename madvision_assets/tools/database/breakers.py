"""Breakers in the database, inside the transaction of whoever asks.

Nearly always all are closed, and looking costs one read. Whoever is going to change one takes the table first
(``hold``), so that no two transactions change breakers at once, nor wait for each other in a ring.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.domain.breakers import Breaker, BreakerRules, BreakerState
from madvision_assets.domain.failures import Failure, Resource
from madvision_assets.tools.database import accusations
from madvision_assets.tools.database.tables import breakers

# Every step reads or writes the store, and its worker's disk.
USED_BY_ALL = (Resource.STORE.value, Resource.WORKER.value)


def used(resource: str | None) -> tuple[str, ...]:
    """Names of the breakers that guard a step: the one given, and those that guard every step."""
    return (*USED_BY_ALL, resource) if resource else USED_BY_ALL


def not_closed(connection: Connection) -> dict[str, Breaker]:
    """The breakers that are open or half open, by name."""
    query = select(breakers).where(breakers.c.state != BreakerState.CLOSED.value).order_by(breakers.c.name)
    return {row["name"]: Breaker.model_validate(row) for row in connection.execute(query).mappings()}


def hold(connection: Connection) -> dict[str, Breaker]:
    """Let nobody else change any until the transaction ends; gives those that are not closed, by name."""
    if connection.dialect.name == "postgresql":  # on SQLite whoever writes is alone anyway
        connection.execute(text("LOCK TABLE breakers IN SHARE ROW EXCLUSIVE MODE"))
    return not_closed(connection)


def load(connection: Connection, name: str) -> Breaker:
    """A breaker; one that was never heard of is closed."""
    row = connection.execute(select(breakers).where(breakers.c.name == name)).mappings().one_or_none()
    return Breaker.model_validate(row) if row else Breaker(name=name)


def admit(
    connection: Connection, names: Collection[str], video_id: str, now: datetime, *, insists: bool = False
) -> Breaker | None:
    """Let a video use all of these, as the one that probes where it is time for that; else the one that refuses.

    Args:
        connection: of the transaction.
        names: of the breakers.
        video_id: the video.
        now: the time.
        insists: it probes whether it is time or not.
    """
    if not any(name in names for name in not_closed(connection)):
        return None
    shut = [breaker for breaker in hold(connection).values() if breaker.name in names]
    for breaker in shut:
        if not (
            insists or breaker.admits(video_id, now) or accusations.may_be_tried(connection, breaker, video_id, now)
        ):
            return breaker
    for breaker in shut:
        _save(connection, breaker.probed_by(video_id, now))
    return None


def record_success(connection: Connection, names: Collection[str], video_id: str) -> None:
    """A video used these, and they worked."""
    troubled = select(breakers.c.name).where(
        breakers.c.name.in_(names), or_(breakers.c.probe_video_id == video_id, _is_counting)
    )
    for name in connection.execute(troubled).scalars().all():
        hold(connection)
        if load(connection, name).after_success(video_id).state is BreakerState.CLOSED:
            connection.execute(delete(breakers).where(breakers.c.name == name))


def record_failure(
    connection: Connection, name: str, failure: Failure, video_id: str, now: datetime, rules: BreakerRules
) -> tuple[Breaker, Breaker]:
    """Count a failure against what a breaker guards; gives the breaker as it was and as it is then."""
    hold(connection)
    before = load(connection, name)
    alone = accusations.is_alone(connection, name, failure, video_id, now)
    after = before.after_failure(failure, video_id, now, rules, alone=alone)
    _save(connection, after)
    return before, after


def renew_probe(connection: Connection, video_id: str, now: datetime) -> None:
    """The video still tries: nobody else is to."""
    for breaker in _probed_by(connection, video_id):
        _save(connection, breaker.probed_by(video_id, now))


def give_up_probe(connection: Connection, video_id: str) -> None:
    """The video tries no more, without a word on what it was to try: another one may."""
    for breaker in _probed_by(connection, video_id):
        _save(connection, breaker.unprobed())


def forget(connection: Connection, names: Collection[str]) -> None:
    """Nobody needs these any more."""
    if names:
        connection.execute(delete(breakers).where(breakers.c.name.in_(names)))


def close_all_of(connection: Connection, cause: str) -> None:
    """Somebody says that a cause is mended: close what it opened."""
    hold(connection)
    connection.execute(delete(breakers).where(breakers.c.cause == cause))


_is_counting = (breakers.c.state == BreakerState.CLOSED.value) & (breakers.c.failures > 0)


def _probed_by(connection: Connection, video_id: str) -> list[Breaker]:
    """Those that the video tries, held."""
    probed = select(breakers.c.name).where(breakers.c.probe_video_id == video_id)
    if connection.execute(probed.limit(1)).first() is None:
        return []
    return [breaker for breaker in hold(connection).values() if breaker.probe_video_id == video_id]


def _save(connection: Connection, breaker: Breaker) -> None:
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    values = breaker.model_dump()
    upsert = insert(breakers).values(values)
    connection.execute(upsert.on_conflict_do_update(index_elements=[breakers.c.name], set_=values))
