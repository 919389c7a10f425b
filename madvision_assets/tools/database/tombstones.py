"""Tombstones of videos that were forgotten, in the table ``tombstones``."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, select

from madvision_assets.domain.tombstones import ForgottenBy, Tombstone, tombstone_key
from madvision_assets.tools.database.tables import lineage, tombstones


def leave(connection: Connection, video_ids: Collection[str], withdrawn: Collection[str], now: datetime) -> None:
    """Write down that these videos are forgotten, whose rows are still there; an earlier tombstone gives way.

    Args:
        connection: a transaction that holds them.
        video_ids: which; a few.
        withdrawn: those among them that whoever submitted them wants to be forgotten.
        now: the time, timezone-aware.
    """
    count = select(lineage.c.video_id, func.count()).where(lineage.c.video_id.in_(video_ids))
    documents = {row[0]: row[1] for row in connection.execute(count.group_by(lineage.c.video_id))}
    rows = [
        {
            "video_key": tombstone_key(video_id),
            "forgotten_at": now,
            "forgotten_by": (ForgottenBy.SUBMITTER if video_id in withdrawn else ForgottenBy.OPERATOR).value,
            "documents": documents.get(video_id, 0),
        }
        for video_id in video_ids
    ]
    if rows:
        keys = [row["video_key"] for row in rows]
        connection.execute(tombstones.delete().where(tombstones.c.video_key.in_(keys)))
        connection.execute(tombstones.insert(), rows)


def find(connection: Connection, video_id: str) -> Tombstone | None:
    """The tombstone of a video; None where it was not forgotten since there are tombstones."""
    mine = tombstones.c.video_key == tombstone_key(video_id)
    query = select(*(tombstones.c[name] for name in Tombstone.model_fields)).where(mine)
    row = connection.execute(query).mappings().one_or_none()
    return Tombstone.model_validate(dict(row)) if row else None
