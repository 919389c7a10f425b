"""The queue, its history, submissions, breakers, webhooks and heartbeats; illegal moves are refused by triggers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATUSES = "('queued', 'running', 'waiting', 'done', 'failed', 'parked')"
STEPS = "('raw_video', 'transcript', 'content_type', 'clip_candidates', 'clips')"
LEGAL_MOVES = (
    "('queued>running', 'queued>done', 'waiting>running', 'waiting>queued', 'waiting>done', 'running>queued', "
    "'running>waiting', 'running>done', 'running>failed', 'running>parked', 'done>queued', 'done>running', "
    "'failed>queued', 'failed>running', 'parked>queued', 'parked>running')"
)
REFUSAL = "video_processing_queue: illegal move"

POSTGRES_FUNCTION = f"""
CREATE FUNCTION refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN {LEGAL_MOVES})
     OR NEW.attempt < OLD.attempt THEN
    RAISE EXCEPTION '{REFUSAL} from % (attempt %) to % (attempt %)', OLD.status, OLD.attempt, NEW.status, NEW.attempt
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$
"""
POSTGRES_TRIGGER = """
CREATE TRIGGER refuse_illegal_move BEFORE UPDATE OF status, attempt ON video_processing_queue
FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move()
"""
SQLITE_TRIGGER = f"""
CREATE TRIGGER refuse_illegal_move BEFORE UPDATE OF status, attempt ON video_processing_queue
WHEN (OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN {LEGAL_MOVES}) OR NEW.attempt < OLD.attempt
BEGIN
  SELECT RAISE(ABORT, '{REFUSAL}');
END
"""

moment = sa.DateTime(timezone=True)
big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _queue()
    _submissions()
    op.create_table(
        "processing_attempts",
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("pipeline_step", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("failure_cause", sa.Text),
        sa.Column("failure_details", sa.Text),
        sa.PrimaryKeyConstraint("video_id", "attempt", name="pk_processing_attempts"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"], name="fk_processing_attempts_video_id"),
        sa.CheckConstraint(f"status IN {STATUSES}", name=op.f("ck_processing_attempts_status")),
    )
    op.create_index("ix_processing_attempts_failure_cause", "processing_attempts", ["failure_cause"])
    op.create_table(
        "breakers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("trips", sa.Integer, nullable=False),
        sa.Column("opened_at", moment),
        sa.Column("probe_at", moment),
        sa.Column("probe_video_id", sa.Text),
        sa.Column("probe_expires_at", moment),
        sa.PrimaryKeyConstraint("name", name="pk_breakers"),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name=op.f("ck_breakers_state")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("beat_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_heartbeats"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRES_FUNCTION)
        op.execute(POSTGRES_TRIGGER)
    else:
        op.execute(SQLITE_TRIGGER)


def downgrade() -> None:
    for table in (
        "heartbeats",
        "breakers",
        "processing_attempts",
        "webhook_deliveries",
        "submissions",
        "video_processing_queue",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_illegal_move()")


def _queue() -> None:
    checks = {
        "status": f"status IN {STATUSES}",
        "pipeline_step": f"pipeline_step IN {STEPS}",
        "from_step": f"from_step IN {STEPS}",
        "progress": "progress >= 0 AND progress <= 1",
        "step_progress": "step_progress >= 0 AND step_progress <= 1",
        "priority": "priority BETWEEN -100 AND 100",
        "counts": "retry >= 0 AND lost_workers >= 0 AND attempt >= 0",
        "outcome": "status <> 'done' OR outcome IS NOT NULL",
        "failure_cause": "status NOT IN ('failed', 'parked') OR failure_cause IS NOT NULL",
    }
    op.create_table(
        "video_processing_queue",
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("pipeline_step", sa.Text, nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("step_progress", sa.Double, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("retry", sa.Integer, nullable=False),
        sa.Column("lost_workers", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failure_cause", sa.Text),
        sa.Column("failure_details", sa.Text),
        sa.Column("next_attempt_at", moment, nullable=False),
        sa.Column("heartbeat_at", moment),
        sa.Column("run_id", sa.Text),
        sa.Column("from_step", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("resource", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("outcome_reason", sa.Text),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("finished_at", moment),
        sa.PrimaryKeyConstraint("video_id", name="pk_video_processing_queue"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"], name="fk_video_processing_queue_video_id"),
        *(sa.CheckConstraint(sql, name=op.f(f"ck_video_processing_queue_{name}")) for name, sql in checks.items()),
    )
    due = sa.text("status IN ('queued', 'waiting')")
    op.create_index(
        "ix_video_processing_queue_due",
        "video_processing_queue",
        [sa.text("priority DESC"), "next_attempt_at", "video_id"],
        sqlite_where=due,
        postgresql_where=due,
    )
    op.create_index(
        "ix_video_processing_queue_status_pipeline_step", "video_processing_queue", ["status", "pipeline_step"]
    )
    op.create_index("ix_video_processing_queue_failure_cause", "video_processing_queue", ["failure_cause"])


def _submissions() -> None:
    op.create_table(
        "submissions",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("callback_url", sa.Text),
        sa.Column("callback_secret", sa.Text),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_submissions"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"], name="fk_submissions_video_id"),
    )
    op.create_index("ix_submissions_video_id", "submissions", ["video_id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", big_id, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_try_at", moment),
        sa.Column("delivered_at", moment),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(["token_hash"], ["submissions.token_hash"], name="fk_webhook_deliveries_token_hash"),
        sa.UniqueConstraint("token_hash", "attempt", name="uq_webhook_deliveries_token_hash_attempt"),
    )
    op.create_index("ix_webhook_deliveries_next_try_at", "webhook_deliveries", ["next_try_at"])
