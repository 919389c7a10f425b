"""Views whose ``submitted_at`` stays as it was when whoever submitted a video first deletes his submission.

Each is put in the place of one with the same columns, which the version before reads as well.
"""

# ruff: noqa: S608 - every word of it is written here
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SUBMITTER = "(SELECT s.submitter FROM submissions s WHERE s.video_id = v.video_id ORDER BY s.created_at LIMIT 1)"
LAST_KNOWN = "coalesce((SELECT min(s.created_at) FROM submissions s WHERE s.video_id = v.video_id), v.created_at)"
EARLIER = "s.video_id = v.video_id AND s.created_at < v.created_at"
FIRST_KNOWN = f"coalesce((SELECT min(s.created_at) FROM submissions s WHERE {EARLIER}), v.created_at)"
STEPS = ("raw_video", "transcript", "content_type", "clip_candidates", "clips")


def seconds(dialect: str, since: str, until: str) -> str:
    if dialect == "postgresql":
        return f"CAST(extract(epoch FROM ({until}) - ({since})) AS double precision)"
    return f"round((julianday({until}) - julianday({since})) * 86400, 3)"


def newest(asset: str, name: str) -> str:
    mine = f"l.video_id = v.video_id AND l.asset = '{asset}'"
    return f"(SELECT l.summary ->> '{name}' FROM lineage l WHERE {mine} ORDER BY l.id DESC LIMIT 1)"


def first(asset: str, column: str) -> str:
    mine = f"l.video_id = v.video_id AND l.asset = '{asset}'"
    return f"(SELECT l.{column} FROM lineage l WHERE {mine} ORDER BY l.id LIMIT 1)"


def views(dialect: str, submitted_at: str) -> dict[str, str]:
    """The views that tell when a video was submitted."""
    first_start = "(SELECT min(a.started_at) FROM processing_attempts a WHERE a.video_id = v.video_id)"
    stages_s = ", ".join(f"{first(step, 'wall_s')} AS {step}_s" for step in STEPS)
    return {
        "v_videos": f"""
SELECT v.video_id, q.source AS host, {newest("raw_video", "title")} AS title,
  CAST({newest("raw_video", "duration_s")} AS double precision) AS duration_s,
  {newest("transcript", "language")} AS language, {newest("content_type", "kind")} AS kind,
  q.status, q.pipeline_step, q.outcome, q.failure_cause, q.priority, q.retry, q.attempt AS attempts,
  {SUBMITTER} AS submitter, {submitted_at} AS submitted_at, q.finished_at,
  (SELECT coalesce(sum(l.cost_usd), 0) FROM lineage l WHERE l.video_id = v.video_id) AS cost_usd,
  (SELECT coalesce(sum(l.wall_s), 0) FROM lineage l WHERE l.video_id = v.video_id) AS wall_s
FROM videos v LEFT JOIN video_processing_queue q ON q.video_id = v.video_id""",
        "timings": f"""
SELECT t.*, {seconds(dialect, "t.submitted_at", "t.started_at")} AS waited_s,
  {seconds(dialect, "t.submitted_at", "t.clips_at")} AS until_clips_s
FROM (SELECT v.video_id, {submitted_at} AS submitted_at, {first_start} AS started_at,
  {first("clips", "created_at")} AS clips_at,
  CAST({newest("raw_video", "duration_s")} AS double precision) AS duration_s, {stages_s} FROM videos v) t""",
    }


def put_in_place(submitted_at: str) -> None:
    dialect = op.get_bind().dialect.name
    for name, query in views(dialect, submitted_at).items():
        if dialect == "sqlite":
            op.execute(f"DROP VIEW {name}")
        create = "CREATE VIEW" if dialect == "sqlite" else "CREATE OR REPLACE VIEW"
        op.execute(f"{create} {name} AS {query.strip()}")


def upgrade() -> None:
    put_in_place(FIRST_KNOWN)


def downgrade() -> None:
    put_in_place(LAST_KNOWN)
