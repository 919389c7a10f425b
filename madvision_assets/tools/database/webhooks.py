"""Webhooks in the database: who is to be told that a video ended, and how the telling went."""

from datetime import datetime

from sqlalchemy import Connection, literal, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import submissions, webhook_deliveries


def enqueue(connection: Connection, row: QueueRow, now: datetime) -> None:
    """Everybody who gave a callback with this video is to be told how it stands; each once for each end."""
    told = select(
        submissions.c.token_hash,
        submissions.c.video_id,
        literal(row.attempt).label("attempt"),
        literal(row.status.value).label("status"),
        literal(0).label("tries"),
        literal(now, webhook_deliveries.c.next_try_at.type).label("next_try_at"),
        literal(now, webhook_deliveries.c.created_at.type).label("created_at"),
    ).where(submissions.c.video_id == row.video_id, submissions.c.callback_url.is_not(None))
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    columns = ["token_hash", "video_id", "attempt", "status", "tries", "next_try_at", "created_at"]
    connection.execute(insert(webhook_deliveries).from_select(columns, told).on_conflict_do_nothing())
