"""Who submitted a video, whose videos failed lately, what was taken in for whom, and the salt of this installation.

Older versions of the program say of their submissions nobody, and take in for nobody; they work on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submissions", sa.Column("submitter", sa.Text))
    op.add_column("processing_attempts", sa.Column("refused", sa.Boolean))
    op.create_index(op.f("ix_processing_attempts_ended_at"), "processing_attempts", ["ended_at"])
    op.create_table(
        "intakes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("submitter", sa.Text, nullable=False),
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("media_s", sa.Double, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_intakes"),
    )
    op.create_index("ix_intakes_submitter_taken_at", "intakes", ["submitter", "taken_at"])
    op.create_index("ix_intakes_video_id", "intakes", ["video_id"])
    op.create_table(
        "installation",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_installation"),
    )


def downgrade() -> None:
    op.drop_table("installation")
    op.drop_table("intakes")
    op.drop_index(op.f("ix_processing_attempts_ended_at"), "processing_attempts")
    op.drop_column("processing_attempts", "refused")
    op.drop_column("submissions", "submitter")
