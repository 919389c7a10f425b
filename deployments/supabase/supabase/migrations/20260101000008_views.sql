-- Made by deployments/supabase/generate.py from revision 0008; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0007') then

-- Running upgrade 0007 -> 0008

ALTER TABLE lineage ADD COLUMN summary JSONB;

ALTER TABLE lineage ADD COLUMN package_version TEXT;

ALTER TABLE lineage ADD COLUMN code_commit TEXT;

CREATE VIEW materialisations AS SELECT l.id, l.video_id, l.asset, l.data_version, l.id = (SELECT max(n.id) FROM lineage n WHERE n.video_id = l.video_id AND n.asset = l.asset) AS is_current, l.created_at, l.run_id, l.code_version,
  l.package_version, l.code_commit, l.engine, l.engine_version, l.model, l.prompt_version, l.prompt_hash, l.parameters,
  l.inputs, l.cost_usd, l.usage, l.wall_s, l.taken_from, l.uri, l.summary
FROM lineage l;

CREATE VIEW current_lineage AS SELECT * FROM materialisations WHERE is_current;

CREATE VIEW v_videos AS SELECT v.video_id, q.source AS host, (SELECT l.summary ->> 'title' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id DESC LIMIT 1) AS title,
  CAST((SELECT l.summary ->> 'duration_s' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id DESC LIMIT 1) AS double precision) AS duration_s,
  (SELECT l.summary ->> 'language' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'transcript' ORDER BY l.id DESC LIMIT 1) AS language, (SELECT l.summary ->> 'kind' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'content_type' ORDER BY l.id DESC LIMIT 1) AS kind,
  q.status, q.pipeline_step, q.outcome, q.failure_cause, q.priority, q.retry, q.attempt AS attempts,
  (SELECT s.submitter FROM submissions s WHERE s.video_id = v.video_id ORDER BY s.created_at LIMIT 1) AS submitter, coalesce((SELECT min(s.created_at) FROM submissions s WHERE s.video_id = v.video_id), v.created_at) AS submitted_at, q.finished_at,
  (SELECT coalesce(sum(l.cost_usd), 0) FROM lineage l WHERE l.video_id = v.video_id) AS cost_usd,
  (SELECT coalesce(sum(l.wall_s), 0) FROM lineage l WHERE l.video_id = v.video_id) AS wall_s
FROM videos v LEFT JOIN video_processing_queue q ON q.video_id = v.video_id;

CREATE VIEW clips AS SELECT l.video_id, e.value ->> 'clip_id' AS clip_id, l.data_version, l.id = (SELECT max(n.id) FROM lineage n WHERE n.video_id = l.video_id AND n.asset = l.asset) AS is_current,
  l.created_at AS made_at, CAST(e.value ->> 'rank' AS integer) AS rank, e.value ->> 'title' AS title, e.value ->> 'reason' AS reason,
  CAST(e.value ->> 'score' AS double precision) AS score, CAST(e.value ->> 'start_s' AS double precision) AS start_s, CAST(e.value ->> 'end_s' AS double precision) AS end_s, CAST(e.value ->> 'duration_s' AS double precision) AS duration_s, CAST(e.value ->> 'width' AS integer) AS width,
  CAST(e.value ->> 'height' AS integer) AS height, CAST(e.value ->> 'size_bytes' AS double precision) AS size_bytes, CAST(l.summary ->> 'provisional' AS boolean) AS provisional, l.package_version, l.code_commit
FROM lineage l CROSS JOIN LATERAL jsonb_array_elements(l.summary -> 'clips') AS e(value) WHERE l.asset = 'clips';

CREATE VIEW moments AS SELECT l.video_id, l.data_version, l.id = (SELECT max(n.id) FROM lineage n WHERE n.video_id = l.video_id AND n.asset = l.asset) AS is_current, l.created_at AS made_at, CAST(e.value ->> 'rank' AS integer) AS rank,
  e.value ->> 'rank' IS NOT NULL AS is_chosen, e.value ->> 'rule' AS rule, e.value ->> 'title' AS title,
  e.value ->> 'reason' AS reason, CAST(e.value ->> 'score' AS double precision) AS score, CAST(e.value ->> 'first_segment' AS integer) AS first_segment, CAST(e.value ->> 'last_segment' AS integer) AS last_segment,
  CAST(e.value ->> 'start_s' AS double precision) AS start_s, CAST(e.value ->> 'end_s' AS double precision) AS end_s, CAST(l.summary ->> 'provisional' AS boolean) AS provisional, l.engine, l.model, l.prompt_version, l.prompt_hash
FROM lineage l CROSS JOIN LATERAL jsonb_array_elements(l.summary -> 'moments') AS e(value) WHERE l.asset = 'clip_candidates';

CREATE VIEW attempts AS SELECT a.video_id, a.attempt, q.source AS host, a.run_id, a.started_at, a.ended_at,
  CAST(extract(epoch FROM (a.ended_at) - (a.started_at)) AS double precision) AS lasted_s, a.pipeline_step, a.status, a.failure_cause,
  a.failure_details, a.refused AS is_refused
FROM processing_attempts a LEFT JOIN video_processing_queue q ON q.video_id = a.video_id;

CREATE VIEW costs AS SELECT p.id, CAST(p.created_at AT TIME ZONE 'UTC' AS date) AS day, p.created_at, p.video_id, (SELECT s.submitter FROM submissions s WHERE s.video_id = p.video_id ORDER BY s.created_at LIMIT 1) AS submitter,
  p.step, p.state, p.model, p.prompt_version, p.cost_usd, p.doubtful_usd, p.input_tokens, p.cached_tokens,
  p.output_tokens, p.estimated AS is_estimated, p.cause
FROM paid_calls p;

CREATE VIEW timings AS SELECT t.*, CAST(extract(epoch FROM (t.started_at) - (t.submitted_at)) AS double precision) AS waited_s,
  CAST(extract(epoch FROM (t.clips_at) - (t.submitted_at)) AS double precision) AS until_clips_s
FROM (SELECT v.video_id, coalesce((SELECT min(s.created_at) FROM submissions s WHERE s.video_id = v.video_id), v.created_at) AS submitted_at, (SELECT min(a.started_at) FROM processing_attempts a WHERE a.video_id = v.video_id) AS started_at,
  (SELECT l.created_at FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'clips' ORDER BY l.id LIMIT 1) AS clips_at,
  CAST((SELECT l.summary ->> 'duration_s' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id DESC LIMIT 1) AS double precision) AS duration_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id LIMIT 1) AS raw_video_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'transcript' ORDER BY l.id LIMIT 1) AS transcript_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'content_type' ORDER BY l.id LIMIT 1) AS content_type_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'clip_candidates' ORDER BY l.id LIMIT 1) AS clip_candidates_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'clips' ORDER BY l.id LIMIT 1) AS clips_s FROM videos v) t;

UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter view public.materialisations set (security_invoker = true);
revoke all on table public.materialisations from anon, authenticated;
alter view public.current_lineage set (security_invoker = true);
revoke all on table public.current_lineage from anon, authenticated;
alter view public.v_videos set (security_invoker = true);
revoke all on table public.v_videos from anon, authenticated;
alter view public.clips set (security_invoker = true);
revoke all on table public.clips from anon, authenticated;
alter view public.moments set (security_invoker = true);
revoke all on table public.moments from anon, authenticated;
alter view public.attempts set (security_invoker = true);
revoke all on table public.attempts from anon, authenticated;
alter view public.costs set (security_invoker = true);
revoke all on table public.costs from anon, authenticated;
alter view public.timings set (security_invoker = true);
revoke all on table public.timings from anon, authenticated;

end
$migration$;
