"""Views for analysts (``docs/analysts.md``), and what they need: what documents say, and which code made them."""

# ruff: noqa: S608 - every word of it is written here
from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")

# What the two databases say differently. Lists in a summary become rows `e`, each an object `e.value`.
WORDS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "bool": "boolean",
        "clips": "CROSS JOIN LATERAL jsonb_array_elements(l.summary -> 'clips') AS e(value)",
        "moments": "CROSS JOIN LATERAL jsonb_array_elements(l.summary -> 'moments') AS e(value)",
    },
    "sqlite": {
        "bool": "integer",
        "clips": "CROSS JOIN json_each(l.summary, '$.clips') AS e",
        "moments": "CROSS JOIN json_each(l.summary, '$.moments') AS e",
    },
}
CURRENT = "l.id = (SELECT max(n.id) FROM lineage n WHERE n.video_id = l.video_id AND n.asset = l.asset)"
SUBMITTER = "(SELECT s.submitter FROM submissions s WHERE s.video_id = {of}.video_id ORDER BY s.created_at LIMIT 1)"
SUBMITTED_AT = "coalesce((SELECT min(s.created_at) FROM submissions s WHERE s.video_id = v.video_id), v.created_at)"
STEPS = ("raw_video", "transcript", "content_type", "clip_candidates", "clips")


def seconds(dialect: str, since: str, until: str) -> str:
    if dialect == "postgresql":
        return f"CAST(extract(epoch FROM ({until}) - ({since})) AS double precision)"
    return f"round((julianday({until}) - julianday({since})) * 86400, 3)"


def day(dialect: str, moment: str) -> str:
    return f"CAST({moment} AT TIME ZONE 'UTC' AS date)" if dialect == "postgresql" else f"date({moment})"


def newest(asset: str, name: str) -> str:
    mine = f"l.video_id = v.video_id AND l.asset = '{asset}'"
    return f"(SELECT l.summary ->> '{name}' FROM lineage l WHERE {mine} ORDER BY l.id DESC LIMIT 1)"


def first(asset: str, column: str) -> str:
    mine = f"l.video_id = v.video_id AND l.asset = '{asset}'"
    return f"(SELECT l.{column} FROM lineage l WHERE {mine} ORDER BY l.id LIMIT 1)"


def number(name: str) -> str:
    return f"CAST(e.value ->> '{name}' AS double precision) AS {name}"


def whole(name: str) -> str:
    return f"CAST(e.value ->> '{name}' AS integer) AS {name}"


def views(dialect: str) -> dict[str, str]:
    """The views by name; each after those that it reads."""
    word = WORDS[dialect]
    provisional = f"CAST(l.summary ->> 'provisional' AS {word['bool']}) AS provisional"
    first_start = "(SELECT min(a.started_at) FROM processing_attempts a WHERE a.video_id = v.video_id)"
    stages_s = ", ".join(f"{first(step, 'wall_s')} AS {step}_s" for step in STEPS)
    return {
        "materialisations": f"""
SELECT l.id, l.video_id, l.asset, l.data_version, {CURRENT} AS is_current, l.created_at, l.run_id, l.code_version,
  l.package_version, l.code_commit, l.engine, l.engine_version, l.model, l.prompt_version, l.prompt_hash, l.parameters,
  l.inputs, l.cost_usd, l.usage, l.wall_s, l.taken_from, l.uri, l.summary
FROM lineage l""",
        "current_lineage": "SELECT * FROM materialisations WHERE is_current",
        "v_videos": f"""
SELECT v.video_id, q.source AS host, {newest("raw_video", "title")} AS title,
  CAST({newest("raw_video", "duration_s")} AS double precision) AS duration_s,
  {newest("transcript", "language")} AS language, {newest("content_type", "kind")} AS kind,
  q.status, q.pipeline_step, q.outcome, q.failure_cause, q.priority, q.retry, q.attempt AS attempts,
  {SUBMITTER.format(of="v")} AS submitter, {SUBMITTED_AT} AS submitted_at, q.finished_at,
  (SELECT coalesce(sum(l.cost_usd), 0) FROM lineage l WHERE l.video_id = v.video_id) AS cost_usd,
  (SELECT coalesce(sum(l.wall_s), 0) FROM lineage l WHERE l.video_id = v.video_id) AS wall_s
FROM videos v LEFT JOIN video_processing_queue q ON q.video_id = v.video_id""",
        "clips": f"""
SELECT l.video_id, e.value ->> 'clip_id' AS clip_id, l.data_version, {CURRENT} AS is_current,
  l.created_at AS made_at, {whole("rank")}, e.value ->> 'title' AS title, e.value ->> 'reason' AS reason,
  {number("score")}, {number("start_s")}, {number("end_s")}, {number("duration_s")}, {whole("width")},
  {whole("height")}, {number("size_bytes")}, {provisional}, l.package_version, l.code_commit
FROM lineage l {word["clips"]} WHERE l.asset = 'clips'""",
        "moments": f"""
SELECT l.video_id, l.data_version, {CURRENT} AS is_current, l.created_at AS made_at, {whole("rank")},
  e.value ->> 'rank' IS NOT NULL AS is_chosen, e.value ->> 'rule' AS rule, e.value ->> 'title' AS title,
  e.value ->> 'reason' AS reason, {number("score")}, {whole("first_segment")}, {whole("last_segment")},
  {number("start_s")}, {number("end_s")}, {provisional}, l.engine, l.model, l.prompt_version, l.prompt_hash
FROM lineage l {word["moments"]} WHERE l.asset = 'clip_candidates'""",
        "attempts": f"""
SELECT a.video_id, a.attempt, q.source AS host, a.run_id, a.started_at, a.ended_at,
  {seconds(dialect, "a.started_at", "a.ended_at")} AS lasted_s, a.pipeline_step, a.status, a.failure_cause,
  a.failure_details, a.refused AS is_refused
FROM processing_attempts a LEFT JOIN video_processing_queue q ON q.video_id = a.video_id""",
        "costs": f"""
SELECT p.id, {day(dialect, "p.created_at")} AS day, p.created_at, p.video_id, {SUBMITTER.format(of="p")} AS submitter,
  p.step, p.state, p.model, p.prompt_version, p.cost_usd, p.doubtful_usd, p.input_tokens, p.cached_tokens,
  p.output_tokens, p.estimated AS is_estimated, p.cause
FROM paid_calls p""",
        "timings": f"""
SELECT t.*, {seconds(dialect, "t.submitted_at", "t.started_at")} AS waited_s,
  {seconds(dialect, "t.submitted_at", "t.clips_at")} AS until_clips_s
FROM (SELECT v.video_id, {SUBMITTED_AT} AS submitted_at, {first_start} AS started_at,
  {first("clips", "created_at")} AS clips_at,
  CAST({newest("raw_video", "duration_s")} AS double precision) AS duration_s, {stages_s} FROM videos v) t""",
    }


def upgrade() -> None:
    op.add_column("lineage", sa.Column("summary", JSON_DOCUMENT))
    op.add_column("lineage", sa.Column("package_version", sa.Text))
    op.add_column("lineage", sa.Column("code_commit", sa.Text))
    for name, query in views(op.get_bind().dialect.name).items():
        op.execute(f"CREATE VIEW {name} AS {query.strip()}")


def downgrade() -> None:
    for name in reversed(views(op.get_bind().dialect.name)):
        op.execute(f"DROP VIEW {name}")
    for column in ("summary", "package_version", "code_commit"):
        op.drop_column("lineage", column)
