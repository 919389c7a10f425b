"""A row for each paid call: set aside before it is made, settled after it.

What documents of older versions cost is taken over, so that their videos stay under their ceilings. Older programs know
nothing of the table; what they pay for while both versions run stands in the lineage alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "paid_calls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("video_id", sa.String(100)),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt_version", sa.Text, nullable=False),
        sa.Column("reserved_usd", sa.Double, nullable=False),
        sa.Column("cost_usd", sa.Double, nullable=False),
        sa.Column("doubtful_usd", sa.Double, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_paid_calls"),
        sa.CheckConstraint("state IN ('reserved', 'settled', 'lost')", name="ck_paid_calls_state"),
        sa.CheckConstraint("reserved_usd >= 0 AND cost_usd >= 0 AND doubtful_usd >= 0", name="ck_paid_calls_usd"),
    )
    op.create_index("ix_paid_calls_video_id", "paid_calls", ["video_id"])
    op.create_index("ix_paid_calls_created_at", "paid_calls", ["created_at"])
    op.execute(
        "INSERT INTO paid_calls (video_id, step, state, model, prompt_version, reserved_usd, cost_usd, doubtful_usd, "
        "input_tokens, cached_tokens, output_tokens, estimated, created_at, expires_at, settled_at) "
        "SELECT video_id, asset, 'settled', coalesce(model, ''), coalesce(prompt_version, ''), 0, cost_usd, 0, "
        "0, 0, 0, false, created_at, created_at, created_at FROM lineage WHERE cost_usd > 0"
    )


def downgrade() -> None:
    op.drop_table("paid_calls")
