"""Webhooks in the database: who is to be told that a video ended, and how the telling went."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, literal, null, or_, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.domain.breakers import CLOCK_SLACK_S
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database.newest import names_of
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import (
    processing_attempts,
    submissions,
    video_processing_queue,
    webhook_deliveries,
)

MAX_TRIES = 12
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 6 * 3600.0
MAX_ERROR_CHARS = 300
FAILURE = ("failure_cause", "failure_details")


@dataclass(frozen=True)
class Delivery:
    """What is to be told to whom.

    Attributes:
        id: names it to the receiver, also when it is told again.
        token_hash: of the submission with the callback.
        url: of the receiver.
        secret: key of the signature.
        tries: how often it was tried, this time included.
        attempt: of the queue.
        status: of the queue, when the attempt ended.
        outcome: how it ended well; None too where the video was queued again since.
        finished_at: when the attempt ended.
        title: of the video, as far as it is known, as are the two that follow.
        uploader: likewise.
        duration_s: likewise, seconds.
    """

    id: int
    token_hash: str
    url: str
    secret: str
    tries: int
    video_id: str
    attempt: int
    status: str
    outcome: str | None
    outcome_reason: str | None
    failure_cause: str | None
    failure_details: str | None
    finished_at: datetime
    title: str | None
    uploader: str | None
    duration_s: float | None

    @property
    def message_id(self) -> str:
        """Names it too, and no other one ever: not in another database, nor where SQLite gives an ID again."""
        return f"msg_{hashlib.sha256(f'{self.token_hash}:{self.attempt}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class Answer:
    """How a delivery went.

    Attributes:
        error: what went wrong; None where the receiver took it.
        final: whether to give up at once.
        status_code: what the receiver answered with; None where he did not.
        was_sent: False where it was not, since he was silent a moment ago.
    """

    delivery: Delivery
    error: str | None = None
    final: bool = False
    status_code: int | None = None
    was_sent: bool = True


def enqueue(connection: Connection, row: QueueRow, now: datetime, *, untold_only: bool = False) -> None:
    """Everybody who gave a callback with this video is to be told how it stands; each once for each end.

    Args:
        connection: of the transaction.
        row: of the video, which has ended.
        now: the time.
        untold_only: leave out whoever was told of any end before.
    """
    told = select(
        submissions.c.token_hash,
        submissions.c.video_id,
        literal(row.attempt).label("attempt"),
        literal(row.status.value).label("status"),
        literal(0).label("tries"),
        literal(now, webhook_deliveries.c.next_try_at.type).label("next_try_at"),
        literal(now, webhook_deliveries.c.created_at.type).label("created_at"),
    ).where(submissions.c.video_id == row.video_id, submissions.c.callback_url.is_not(None))
    if untold_only:
        mine = webhook_deliveries.c.token_hash == submissions.c.token_hash
        told = told.where(~select(webhook_deliveries.c.id).where(mine).exists())
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    columns = ["token_hash", "video_id", "attempt", "status", "tries", "next_try_at", "created_at"]
    connection.execute(insert(webhook_deliveries).from_select(columns, told).on_conflict_do_nothing())


def claim(connection: Connection, limit: int, now: datetime, lease_s: float) -> list[Delivery]:
    """The deliveries that are due, those that wait longest first; nobody else gets them for as long as the lease.

    The try is counted here: one that is never heard of again is tried later, and not for ever.
    """
    told, queue, history = webhook_deliveries, video_processing_queue, processing_attempts
    as_it_ended = and_(
        queue.c.video_id == told.c.video_id, queue.c.attempt == told.c.attempt, queue.c.status == told.c.status
    )
    ended_well = told.c.status == QueueStatus.DONE.value  # what its attempt failed at left it as it was
    of_attempt = and_(history.c.video_id == told.c.video_id, history.c.attempt == told.c.attempt)
    query = (
        select(
            told.c.id,
            told.c.token_hash,
            submissions.c.callback_url.label("url"),
            submissions.c.callback_secret.label("secret"),
            (told.c.tries + 1).label("tries"),
            told.c.video_id,
            told.c.attempt,
            told.c.status,
            queue.c.outcome,
            queue.c.outcome_reason,
            *(case((ended_well, null()), else_=history.c[name]).label(name) for name in FAILURE),
            func.coalesce(history.c.ended_at, queue.c.finished_at, told.c.created_at).label("finished_at"),
            *names_of(told.c.video_id),
        )
        .join_from(told, submissions, submissions.c.token_hash == told.c.token_hash)
        .outerjoin(queue, as_it_ended)
        .outerjoin(history, of_attempt)
        .where(told.c.next_try_at.is_not(None), or_(told.c.next_try_at <= now, _of_a_wrong_clock(now)))
        .order_by(told.c.next_try_at, told.c.id)
        .limit(limit)
        .with_for_update(of=told, skip_locked=True)
    )
    claimed = [Delivery(**row) for row in connection.execute(query).mappings()]
    mine = told.update().where(told.c.id.in_([each.id for each in claimed]))
    connection.execute(mine.values(next_try_at=now + timedelta(seconds=lease_s), tries=told.c.tries + 1))
    return claimed


def _of_a_wrong_clock(now: datetime) -> ColumnElement[bool]:
    """Of a delivery that was written down while the clock was ahead, and not touched since."""
    told, later = webhook_deliveries.c, now + timedelta(seconds=CLOCK_SLACK_S)
    never_tried = and_(told.created_at > later, told.next_try_at >= told.created_at)
    return or_(never_tried, told.next_try_at > later + timedelta(seconds=LONGEST_PAUSE_S))


def settle(connection: Connection, answers: Collection[Answer], now: datetime) -> None:
    """Write down how deliveries went, and when those that failed are tried again."""
    mine = and_(
        webhook_deliveries.c.id == bindparam("its_id"),
        webhook_deliveries.c.tries == bindparam("its_tries"),  # else somebody else has it, after our lease
    )
    values: dict[str, Any] = {name: bindparam(name) for name in ("next_try_at", "delivered_at", "last_error")}
    parameters = [
        {
            "its_id": answer.delivery.id,
            "its_tries": answer.delivery.tries,
            "next_try_at": _next_try_at(answer, now),
            "delivered_at": now if answer.error is None else None,
            "last_error": answer.error and answer.error[:MAX_ERROR_CHARS],
        }
        for answer in answers
    ]
    connection.execute(webhook_deliveries.update().where(mine).values(**values), parameters)


def _next_try_at(answer: Answer, now: datetime) -> datetime | None:
    """None: it is over."""
    if answer.error is None or answer.final or answer.delivery.tries >= MAX_TRIES:
        return None
    return now + timedelta(seconds=min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (answer.delivery.tries - 1)))
