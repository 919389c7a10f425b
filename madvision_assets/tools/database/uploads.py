"""Uploads: files that are being sent to us, by the hash of the secret in their address.

Each who writes to one is its next writer, a number that fences those before: what they would confirm is refused.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Connection, Row, and_, exists, func, or_, select

from madvision_assets.domain.provenance import Value
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.received import NO_CHAIN
from madvision_assets.domain.stages import FIRST_STEP
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.tables import lineage, uploads, video_processing_queue, videos

# So long an upload that is over is known as one that was there.
REMEMBERED = timedelta(days=7)
_CREATING = 0x6D61_6476_7570  # any number that nothing else in the database locks
_IN_USE = (QueueStatus.QUEUED.value, QueueStatus.WAITING.value, QueueStatus.RUNNING.value)


class UploadRow(Value):
    """A row of ``uploads``; its fields are told at the table."""

    secret_hash: str
    place: str
    client: str
    name: str
    size_bytes: int
    offset_bytes: int
    chain: str
    writer: int
    asked: dict[str, Any]
    video_id: str | None
    created_at: AwareDatetime
    expires_at: AwareDatetime
    swept_at: AwareDatetime | None

    @property
    def is_whole(self) -> bool:
        """Whether every byte has come."""
        return self.offset_bytes == self.size_bytes


@dataclass(frozen=True)
class Held:
    """What uploads take: those that are unfinished, and those whose video has not taken them over yet.

    Attributes:
        count: of the client, unfinished.
        client_bytes: that came from the client.
        all_bytes: that came from anybody.
    """

    count: int
    client_bytes: int
    all_bytes: int


class Uploads:
    """The table ``uploads``. Raises as ``Database`` does.

    Args:
        database: where the table is.
        now: the clock, timezone-aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self.now = now

    # --- by whoever has the secret ---

    def create(
        self,
        secret_hash: str,
        place: str,
        client: str,
        told: Mapping[str, Any],
        admit: Callable[[Held], None],
        lasts_s: float,
    ) -> UploadRow:
        """Write a new upload down.

        Args:
            secret_hash: of the secret in its address.
            place: its folder in the store.
            client: who sends it.
            told: ``name``, ``size_bytes`` and ``asked``.
            admit: is shown what is held before, and may raise; nobody else is admitted meanwhile.
            lasts_s: without a byte it expires after so many seconds.
        """
        now = self.now()
        row = {
            **told,
            "secret_hash": secret_hash,
            "place": place,
            "client": client,
            "offset_bytes": 0,
            "chain": NO_CHAIN,
            "writer": 0,
            "created_at": now,
            "expires_at": now + timedelta(seconds=lasts_s),
        }
        with self._database.writing() as connection:
            if not self._database.is_sqlite:  # which has one writer at a time
                connection.execute(select(func.pg_advisory_xact_lock(_CREATING)))
            admit(_held(connection, client))
            made = connection.execute(uploads.insert().values(row).returning(*uploads.c))
            return _row(made.one())

    def find(self, secret_hash: str) -> UploadRow | None:
        """The upload; None where there is none."""
        with self._database.reading() as connection:
            found = connection.execute(select(uploads).where(uploads.c.secret_hash == secret_hash)).one_or_none()
        return _row(found) if found else None

    def held(self, client: str) -> Held:
        """What uploads take, and those of this client."""
        with self._database.reading() as connection:
            return _held(connection, client)

    def begin(self, secret_hash: str, offset_bytes: int) -> UploadRow | None:
        """Become the writer of an upload that goes on at an offset; None where it does not, or not any more."""
        return self._update(
            secret_hash,
            uploads.c.offset_bytes == offset_bytes,
            uploads.c.video_id.is_(None),
            writer=uploads.c.writer + 1,
        )

    def confirm(self, row: UploadRow, offset_bytes: int, chain: str, lasts_s: float) -> UploadRow | None:
        """What came is kept; None where another writer has taken over, or it is over.

        Args:
            row: as this writer had it last.
            offset_bytes: up to which the store has it.
            chain: over its whole blocks.
            lasts_s: it expires so many seconds from now.
        """
        until = self.now() + timedelta(seconds=lasts_s)
        mine = uploads.c.writer == row.writer
        change = {"offset_bytes": offset_bytes, "chain": chain, "expires_at": until}
        return self._update(row.secret_hash, mine, uploads.c.video_id.is_(None), **change)

    def end(self, secret_hash: str) -> UploadRow | None:
        """An unfinished upload is over now, and its writers are fenced; None where there is no such one."""
        return self._update(
            secret_hash, uploads.c.video_id.is_(None), expires_at=self.now(), writer=uploads.c.writer + 1
        )

    def _update(self, secret_hash: str, *conditions: Any, **change: Any) -> UploadRow | None:
        alive = (uploads.c.expires_at > self.now(), uploads.c.swept_at.is_(None))
        update = uploads.update().where(uploads.c.secret_hash == secret_hash, *alive)
        with self._database.writing() as connection:
            found = connection.execute(update.where(*conditions).values(change).returning(*uploads.c)).one_or_none()
        return _row(found) if found else None

    # --- by whoever sweeps ---

    def to_sweep(self) -> list[UploadRow]:
        """Those of which something may be in the store that nobody needs: expired ones, and what a video took over."""
        over = uploads.c.expires_at <= self.now()
        mine = lineage.c.video_id == uploads.c.video_id
        taken_over = exists().where(mine, lineage.c.asset == FIRST_STEP.value)
        queued = video_processing_queue.c
        in_use = exists().where(queued.video_id == uploads.c.video_id, queued.status.in_(_IN_USE))
        known = exists().where(videos.c.video_id == uploads.c.video_id)
        unfinished = uploads.c.video_id.is_(None)
        needless = or_(and_(unfinished, over), and_(~unfinished, or_(taken_over, ~known, and_(over, ~in_use))))
        with self._database.reading() as connection:
            found = connection.execute(select(uploads).where(uploads.c.swept_at.is_(None), needless)).all()
        return [_row(each) for each in found]

    def seize(self, upload: UploadRow) -> bool:
        """Take an expired upload from whoever may still write; False where it is not to be swept after all."""
        mine = (uploads.c.secret_hash == upload.secret_hash, uploads.c.expires_at <= self.now())
        update = uploads.update().where(*mine, uploads.c.video_id.is_(None)).values(writer=uploads.c.writer + 1)
        with self._database.writing() as connection:
            return bool(connection.execute(update).rowcount)

    def mark_swept(self, upload: UploadRow) -> None:
        """Nothing of it is in the store any more."""
        mine = uploads.c.secret_hash == upload.secret_hash
        with self._database.writing() as connection:
            connection.execute(uploads.update().where(mine).values(swept_at=self.now()))

    def to_forget(self) -> list[UploadRow]:
        """Those that were over long ago."""
        long_ago = uploads.c.expires_at <= self.now() - REMEMBERED
        with self._database.reading() as connection:
            found = connection.execute(select(uploads).where(uploads.c.swept_at.is_not(None), long_ago)).all()
        return [_row(each) for each in found]

    def forget(self, upload: UploadRow) -> None:
        """Delete its row."""
        with self._database.writing() as connection:
            connection.execute(uploads.delete().where(uploads.c.secret_hash == upload.secret_hash))


def places_of(connection: Connection, video_ids: Collection[str]) -> dict[str, list[str]]:
    """For each video the places of the files that were sent of it."""
    found: dict[str, list[str]] = {}
    query = select(uploads.c.video_id, uploads.c.place).where(uploads.c.video_id.in_(video_ids))
    for video_id, place in connection.execute(query):
        found.setdefault(video_id, []).append(place)
    return found


def _held(connection: Connection, client: str) -> Held:
    mine, came = uploads.c.client == client, uploads.c.offset_bytes
    query = select(
        func.count().filter(mine, uploads.c.video_id.is_(None)),
        func.coalesce(func.sum(came).filter(mine), 0),
        func.coalesce(func.sum(came), 0),
    ).where(uploads.c.swept_at.is_(None))
    count, client_bytes, all_bytes = connection.execute(query).one()
    return Held(count, int(client_bytes), int(all_bytes))


def _row(row: Row[Any]) -> UploadRow:
    return UploadRow.model_validate(row._asdict())
