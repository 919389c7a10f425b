"""A person's version of a document in place of a stage's: what it takes of the queue, each move one transaction.

Such a lease is short, guards nothing that stages use, and tells no breaker. Where nothing comes of it the video is put
back as it was; where something does, the queue goes on from the next stage (``Queue.finish_step``).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement

from madvision_assets.domain.failure_records import to_columns
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database import Database, breakers, leases, statements, webhooks
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.rows import BY_A_PERSON, QueueRow
from madvision_assets.tools.database.tables import video_processing_queue as queue

# What a lease changes of a row that it is opened on.
CHANGED = (
    "run_id",
    "heartbeat_at",
    "updated_at",
    "finished_at",
    "failure_cause",
    "failure_details",
    "turn_s",
    "message",
)
KEEPING = "keeping a person's changes"


def new_run(engine: str) -> str:
    """The name of a lease of a person, which no run of Dagster ever has; ``engine`` is that of the document."""
    return f"{BY_A_PERSON}{engine}-{uuid.uuid4()}"


def is_of(run_id: str | None, engine: str) -> bool:
    """Whether a lease is of a person who makes such a document."""
    return (run_id or "").startswith(f"{BY_A_PERSON}{engine}-")


IS_BY_A_PERSON: ColumnElement[bool] = queue.c.run_id.startswith(BY_A_PERSON, autoescape=True)


@dataclass(frozen=True)
class Replacements:
    """Videos that a person replaces a document of. Every method raises as ``Database`` does.

    Args:
        database: where the queue is.
        now: the clock, timezone-aware.
    """

    database: Database
    now: Callable[[], datetime] = utc_now

    def take(self, video_id: str, seen: QueueRow | None, run_id: str) -> QueueRow | None:
        """Take a video that still is as it was looked at, and gives its row as it was; None where it has moved.

        Args:
            video_id: its partition.
            seen: its row then; None where it had none.
            run_id: of the person's lease, by ``new_run``.

        Raises:
            UnknownVideoError: nobody submitted it, or whoever did has deleted it.
        """
        now = self.now()
        with self.database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is None:
                statements.queue_known(connection, video_id, now)
                row = leases.lock(connection, video_id)
                assert row is not None  # noqa: S101 - it was just written
            elif seen is None or row.status is QueueStatus.RUNNING or _place(row) != _place(seen):
                return None
            leases.require_wanted(row)
            leases.open_attempt(connection, row, run_id, now)
            leases.change(connection, video_id, message=KEEPING)
        return row

    def give_back(self, before: QueueRow, run_id: str, failure: Failure) -> bool:
        """Put a video back as it was before it was taken; False where the lease is over, which changes nothing.

        Args:
            before: as ``take`` gave it.
            run_id: of the lease.
            failure: for the history alone.
        """
        now = self.now()
        with self.database.writing() as connection:
            row = leases.lock(connection, before.video_id)
            if row is None or row.status is not QueueStatus.RUNNING or row.run_id != run_id:
                return False
            values = {name: getattr(before, name) for name in CHANGED}
            ended = leases.change(connection, before.video_id, status=before.status.value, **values)
            told = {**to_columns(failure), "refused": True}  # it tried nothing that stages use
            leases.note(connection, row, ended_at=now, status=before.status.value, **told)
            breakers.give_up_probe(connection, before.video_id)
            if ended.status.is_final:  # whoever submitted it in between waits to be told
                webhooks.enqueue(connection, ended, now, untold_only=True)
        return True


def _place(row: QueueRow) -> tuple[int, object]:
    """What changes whenever anybody works on a video, or asks for a stage again."""
    return row.attempt, row.from_step
