"""The tables ``videos`` and ``lineage``.

A migration is history: it names its own types, and does not change when ``tables`` does.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

VIDEO_ID_CHECKS = {
    "postgresql": "video_id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$'",
    "sqlite": ("video_id GLOB '[A-Za-z0-9]*' AND video_id NOT GLOB '*[^A-Za-z0-9_-]*' AND length(video_id) <= 100"),
}


def upgrade() -> None:
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "videos",
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("options", json, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("video_id", name="pk_videos"),
        sa.CheckConstraint(VIDEO_ID_CHECKS[op.get_bind().dialect.name], name=op.f("ck_videos_video_id")),
    )
    op.create_table(
        "lineage",
        sa.Column("id", big_id, nullable=False),
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("data_version", sa.Text, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("inputs", json, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("engine_version", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("prompt_version", sa.Text),
        sa.Column("prompt_hash", sa.Text),
        sa.Column("parameters", json, nullable=False),
        sa.Column("cost_usd", sa.Double, nullable=False),
        sa.Column("usage", json, nullable=False),
        sa.Column("wall_s", sa.Double, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lineage"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"], name="fk_lineage_video_id"),
        sa.UniqueConstraint(
            "run_id", "asset", "video_id", "data_version", name="uq_lineage_run_id_asset_video_id_data_version"
        ),
        sa.CheckConstraint("cost_usd >= 0", name=op.f("ck_lineage_cost_usd")),
        sa.CheckConstraint("wall_s >= 0", name=op.f("ck_lineage_wall_s")),
    )
    op.create_index("ix_lineage_video_id_created_at", "lineage", ["video_id", "created_at"])
    op.create_index("ix_lineage_created_at", "lineage", ["created_at"])


def downgrade() -> None:
    op.drop_table("lineage")
    op.drop_table("videos")
