"""Whose an address is, which videos are the same bytes, and of whose work a document was taken over.

All may be missing: older versions of the program work on, and what they wrote has none of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submissions", sa.Column("address", sa.Text))
    op.add_column("videos", sa.Column("content_sha256", sa.String(64)))
    op.create_index(op.f("ix_videos_content_sha256"), "videos", ["content_sha256"])
    op.add_column("lineage", sa.Column("taken_from", sa.Text))


def downgrade() -> None:
    op.drop_column("lineage", "taken_from")
    op.drop_index(op.f("ix_videos_content_sha256"), "videos")
    op.drop_column("videos", "content_sha256")
    op.drop_column("submissions", "address")
