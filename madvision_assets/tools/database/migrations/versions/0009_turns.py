"""Clients take turns: which of them a queued video is of, and when it is its turn among theirs.

An older version of the program passes over both, and works on.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "video_processing_queue"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("turn_of", sa.Text))
    op.add_column(TABLE, sa.Column("turn_s", sa.Double))
    of_others = [sa.text("priority DESC"), "next_attempt_at", "video_id"]
    _index("ix_video_processing_queue_in_line", of_others, "status IN ('waiting', 'queued') AND turn_s IS NULL")
    of_clients = [sa.text("priority DESC"), "turn_s", "video_id"]
    _index("ix_video_processing_queue_turn", of_clients, "status IN ('queued', 'waiting') AND turn_s IS NOT NULL")
    _index("ix_video_processing_queue_turn_of", ["turn_of", "turn_s"], "turn_s IS NOT NULL")


def downgrade() -> None:
    for name in ("turn_of", "turn", "in_line"):
        op.drop_index(f"ix_{TABLE}_{name}", TABLE)
    for column in ("turn_s", "turn_of"):
        op.drop_column(TABLE, column)


def _index(name: str, columns: list[Any], where: str) -> None:
    op.create_index(name, TABLE, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
