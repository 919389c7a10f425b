"""Every statement that we send, built with SQLAlchemy Core for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Executable, func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.domain.provenance import Document
from madvision_assets.domain.video import Options, Video
from madvision_assets.tools.database.tables import as_utc, lineage, videos


def upsert_video(video: Video, options: Options | None, *, sqlite: bool) -> Executable:
    """Make a video known; gives its row.

    One statement, so that any number of submitters at once leave one row; the update that changes nothing is there
    because only an updated row is returned.
    """
    now = datetime.now(UTC)
    insert = sqlite_insert(videos) if sqlite else postgres_insert(videos)
    statement = insert.values(**video.model_dump(mode="json"), created_at=now, updated_at=now)
    change: dict[str, Any] = {"video_id": statement.excluded.video_id}
    if options:
        change |= {"options": statement.excluded.options, "updated_at": now}
    if video.address.startswith("file:"):
        change |= {"address": statement.excluded.address, "updated_at": now}
    upsert = statement.on_conflict_do_update(index_elements=[videos.c.video_id], set_=change)
    return upsert.returning(videos.c.video_id, videos.c.address, videos.c.options)


def select_video(video_id: str) -> Executable:
    """The row of a video."""
    return select(videos.c.video_id, videos.c.address, videos.c.options).where(videos.c.video_id == video_id)


def insert_lineage(document: Document, uri: str, *, sqlite: bool) -> Executable:
    """The row of a materialisation, where it is not there yet."""
    values = document.origin.model_dump(mode="json", exclude={"created_at"})
    insert = sqlite_insert(lineage) if sqlite else postgres_insert(lineage)
    row = insert.values(**values, created_at=document.origin.created_at, video_id=document.video_id, uri=uri)
    return row.on_conflict_do_nothing(index_elements=["run_id", "asset", "video_id", "data_version"])


def select_lineage(video_id: str) -> Executable:
    """The materialisations of a video, oldest first."""
    return select(lineage).where(lineage.c.video_id == video_id).order_by(lineage.c.created_at, lineage.c.id)


def sum_cost_usd(video_id: str | None, since: datetime | None) -> Executable:
    """What materialisations cost, US dollars.

    Raises:
        ValueError: ``since`` is naive.
    """
    query = select(func.coalesce(func.sum(lineage.c.cost_usd), 0.0))
    if video_id is not None:
        query = query.where(lineage.c.video_id == video_id)
    if since is not None:
        query = query.where(lineage.c.created_at >= as_utc(since))
    return query
