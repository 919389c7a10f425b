"""Files that are sent to the intake. Older versions of the program take none, and work on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("place", sa.String(32), nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("writer", sa.Integer, nullable=False),
        sa.Column("asked", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("video_id", sa.String(100)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("swept_at", moment),
        sa.PrimaryKeyConstraint("secret_hash", name="pk_uploads"),
        sa.UniqueConstraint("place", name="uq_uploads_place"),
        sa.CheckConstraint("offset_bytes >= 0 AND offset_bytes <= size_bytes", name=op.f("ck_uploads_offset_bytes")),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_index("ix_uploads_video_id", "uploads", ["video_id"])


def downgrade() -> None:
    op.drop_table("uploads")
