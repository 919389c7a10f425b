"""What remains of forgotten videos: that they were.

An older version of the program forgets without leaving one, and works on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "tombstones"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("video_key", sa.String(64), nullable=False),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("forgotten_by", sa.Text, nullable=False),
        sa.Column("documents", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("video_key", name=f"pk_{TABLE}"),
        sa.CheckConstraint("forgotten_by IN ('operator', 'submitter')", name=op.f(f"ck_{TABLE}_forgotten_by")),
    )


def downgrade() -> None:
    op.drop_table(TABLE)
