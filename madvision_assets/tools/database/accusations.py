"""Whose videos failed at what many share: whether it may be their own doing, and who is to try it next.

Each client of the public routes speaks with one voice, however many videos he submits. One of the operator's own, or
of whom nobody knows, speaks for itself.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from madvision_assets.domain.breakers import Breaker, breaker_name
from madvision_assets.domain.failures import Failure, FailureClass, Resource, leaf_of, leaves
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.submitters import is_client
from madvision_assets.tools.database.tables import processing_attempts as attempts
from madvision_assets.tools.database.tables import submissions
from madvision_assets.tools.database.tables import video_processing_queue as queue

LATELY = timedelta(hours=1)
# What the content of a video, or its site, may turn against us; the others are in nobody's hands but ours.
_EXPOSED = {Resource.HOST, Resource.ANALYST, Resource.SPEECH}


def is_alone(connection: Connection, name: str, failure: Failure, video_id: str, now: datetime) -> bool:
    """Whether a failure may be the fault of one video, or of one client's videos.

    Args:
        connection: of the transaction.
        name: of the breaker that it speaks against.
        failure: of the video.
        video_id: the video.
        now: the time, timezone-aware.
    """
    is_host = failure.resource is Resource.HOST
    others = _failed_lately(name, now).where(attempts.c.video_id != video_id).limit(1)
    clients = _clients_of(connection, video_id)
    if not clients or failure.resource not in _EXPOSED:
        return not is_host and _is_empty(connection, others)
    if not _is_empty(connection, others.where(of_others(attempts.c.video_id, clients))):
        return False
    if not is_host and _is_empty(connection, others):
        return True
    return _concerns_others(connection, name, clients)


def accusers(connection: Connection, shut: Collection[Breaker]) -> dict[str, frozenset[str | None]]:
    """For each of these breakers who submitted what failed at it, from an hour before it opened."""
    opened = {breaker.name: breaker.opened_at for breaker in shut if breaker.opened_at is not None}
    if not opened:
        return {}
    causes = [leaf.code for leaf in leaves() if leaf.resource in _EXPOSED]
    keys = (attempts.c.failure_cause, queue.c.source, submissions.c.submitter)
    query = (
        select(*keys, func.max(attempts.c.ended_at))
        .join_from(attempts, queue, queue.c.video_id == attempts.c.video_id)
        .outerjoin(submissions, submissions.c.video_id == attempts.c.video_id)
        .where(_accuse(causes, min(opened.values())))
        .group_by(*keys)
    )
    found: dict[str, set[str | None]] = {}
    for cause, source, submitter, ended_at in connection.execute(query).tuples():
        name = breaker_name(leaf_of(cause or "").resource, source)
        if name in opened and ended_at > opened[name] - LATELY:
            found.setdefault(name, set()).add(submitter)
    return {name: frozenset(submitters) for name, submitters in found.items()}


def suspects(accused: Mapping[str, frozenset[str | None]], names: Collection[str]) -> dict[str, frozenset[str]]:
    """The clients among the accusers of each of these breakers."""
    return {name: found for name in names if (found := _clients(accused.get(name, frozenset())))}


def open_to_others(
    connection: Connection,
    shut: Collection[Breaker],
    accused: Mapping[str, frozenset[str | None]],
    now: datetime,
) -> dict[str, frozenset[str]]:
    """The breakers that one client's videos alone have opened, with that client: anybody else may try, before its time.

    Nobody waits for a probe of that client's either.
    """
    found: dict[str, frozenset[str]] = {}
    for breaker in shut:
        accusing = accused.get(breaker.name, frozenset())
        clients = _clients(accusing)
        is_ours = leaf_of(breaker.cause or "").failure_class is FailureClass.OPERATOR
        if is_ours or len(accusing) != 1 or not clients:
            continue
        prober = breaker.probe_video_id if breaker.is_probed(now) else None
        if prober is None or not _is_of_others(connection, prober, clients):
            found[breaker.name] = clients
    return found


def may_be_tried(connection: Connection, breaker: Breaker, video_id: str, now: datetime) -> bool:
    """Whether this video is one of those others."""
    clients = open_to_others(connection, [breaker], accusers(connection, [breaker]), now).get(breaker.name)
    return clients is not None and _is_of_others(connection, video_id, clients)


def of_others(video_id: ColumnElement[str], clients: Collection[str]) -> ColumnElement[bool]:
    """Whether anybody but these clients submitted a video, or nobody knows who did."""
    mine = select(submissions.c.token_hash).where(submissions.c.video_id == video_id)
    other = or_(submissions.c.submitter.is_(None), submissions.c.submitter.not_in(clients))
    return or_(~mine.exists(), mine.where(other).exists())


def of_no_suspect(suspected: Mapping[str, frozenset[str]]) -> ColumnElement[bool]:
    """Whether a row of the queue is of others than the suspects of its breaker."""
    names_by_clients: dict[frozenset[str], list[str]] = {}
    for name, clients in suspected.items():
        names_by_clients.setdefault(clients, []).append(name)
    alike = [
        queue.c.resource.in_(names) & ~of_others(queue.c.video_id, sorted(clients))
        for clients, names in names_by_clients.items()
    ]
    return ~or_(*alike) if alike else queue.c.video_id.is_not(None)


def _failed_lately(name: str, now: datetime) -> Select[Any]:
    """Videos that failed at what a breaker guards."""
    resource, _, source = name.partition(":")
    causes = [leaf.code for leaf in leaves() if leaf.resource is not None and leaf.resource.value == resource]
    query = select(attempts.c.video_id).where(_accuse(causes, now))
    if not source:
        return query
    return query.join(queue, queue.c.video_id == attempts.c.video_id).where(queue.c.source == source)


def _accuse(causes: Collection[str], now: datetime) -> ColumnElement[bool]:
    """The attempts that ended so of late; one that a breaker refused has tried nothing."""
    tried = or_(attempts.c.refused.is_(None), ~attempts.c.refused)
    return and_(attempts.c.failure_cause.in_(causes), attempts.c.ended_at > now - LATELY, tried)


def _clients(submitters: Collection[str | None]) -> frozenset[str]:
    return frozenset(each for each in submitters if each is not None and is_client(each))


def _clients_of(connection: Connection, video_id: str) -> frozenset[str]:
    """The clients who submitted a video; none where the operator did too, or whoever is not known."""
    query = select(submissions.c.submitter).where(submissions.c.video_id == video_id).distinct()
    found = connection.execute(query).scalars().all()
    clients = _clients(found)
    return clients if len(clients) == len(found) else frozenset()


def _concerns_others(connection: Connection, name: str, clients: Collection[str]) -> bool:
    """Whether videos of anybody else would have to wait for a breaker."""
    on_its_way = queue.c.status.not_in([status.value for status in QueueStatus if status.is_final])
    query = select(queue.c.video_id).where(on_its_way, of_others(queue.c.video_id, clients)).limit(1)
    is_host = name.startswith(f"{Resource.HOST}:")
    return not _is_empty(connection, query.where(queue.c.resource == name) if is_host else query)


def _is_of_others(connection: Connection, video_id: str, clients: Collection[str]) -> bool:
    query = select(queue.c.video_id).where(queue.c.video_id == video_id, of_others(queue.c.video_id, clients))
    return not _is_empty(connection, query)


def _is_empty(connection: Connection, query: Select[Any]) -> bool:
    return connection.execute(query).first() is None
