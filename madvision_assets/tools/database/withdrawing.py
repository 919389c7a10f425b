"""Withdrawing: whoever submitted a video has no more to do with it, and it is given up where nobody else asked for it.

The row of the queue says so from then on, with the cause ``withdrawn``; all that is kept of the video is deleted by
whoever can look whether a run is still at work on it (``work/forgetting.py``). Whoever submits it anew meanwhile takes
it out of that state, as he does with any video that failed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select

from madvision_assets.domain.failures import WithdrawnError
from madvision_assets.domain.queue import PERSONS_LEASE_S, QueueStatus, RetryRules, judge
from madvision_assets.tools.database import Database, endings, leases
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.replacements import IS_BY_A_PERSON
from madvision_assets.tools.database.submissions import token_hash
from madvision_assets.tools.database.tables import submissions, video_processing_queue, webhook_deliveries

queue = video_processing_queue
# A video that is given up, and is to be deleted.
IS_WITHDRAWN = and_(queue.c.status == QueueStatus.FAILED.value, queue.c.failure_cause == WithdrawnError.code)


@dataclass(frozen=True)
class Withdrawal:
    """What became of a submission's video: whether it is given up, or kept for somebody else."""

    video_id: str
    is_given_up: bool


class Withdrawals:
    """Submissions that are taken back. Every method raises as ``Database`` does.

    Args:
        database: where the tables are.
        now: the clock, timezone-aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    def withdraw(self, token: str) -> Withdrawal | None:
        """Take the submission of a token back, in one transaction; None where there is none.

        The token leads nowhere from then on, and its callback is not called. A video that nobody else submitted is
        given up, whatever state it is in: whoever is at work on it notices by its lease, and ends. A second token
        counts as somebody else's, also where it was given to the same network address: that may be a whole office.
        """
        mine = submissions.c.token_hash == token_hash(token)
        with self._database.writing() as connection:
            video_id = connection.execute(select(submissions.c.video_id).where(mine)).scalar_one_or_none()
            row = leases.lock(connection, video_id) if video_id else None  # before all else, as submissions have it
            if row is None:
                return None
            deliveries = webhook_deliveries.delete().where(webhook_deliveries.c.token_hash == token_hash(token))
            connection.execute(deliveries)
            if not connection.execute(submissions.delete().where(mine)).rowcount:
                return None  # somebody else has just done so
            others = select(submissions.c.token_hash).where(submissions.c.video_id == row.video_id).limit(1)
            if connection.execute(others).first():
                return Withdrawal(row.video_id, is_given_up=False)
            now = self._now()
            if row.status is not QueueStatus.RUNNING:
                row = leases.open_attempt(connection, row, None, now)
            verdict = judge(
                WithdrawnError(),
                retry=row.retry,
                lost_workers=row.lost_workers,
                now=now,
                spread=0.0,
                rules=RetryRules(),
            )
            endings.failed(connection, row, row.pipeline_step, verdict, now)
        return Withdrawal(row.video_id, is_given_up=True)

    def given_up(self, limit: int) -> list[str]:
        """The videos that are to be deleted, at most so many.

        Of one that a person was about to change, he may still write into the store: no run of Dagster tells that.
        """
        is_over = queue.c.finished_at < self._now() - timedelta(seconds=PERSONS_LEASE_S)
        at_rest = or_(queue.c.run_id.is_(None), ~IS_BY_A_PERSON, is_over)
        query = select(queue.c.video_id).where(IS_WITHDRAWN, at_rest).order_by(queue.c.finished_at).limit(limit)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())
