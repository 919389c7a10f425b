-- Made by deployments/supabase/generate.py from revision 0012; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0011') then

-- Running upgrade 0011 -> 0012

CREATE OR REPLACE VIEW v_videos AS SELECT v.video_id, q.source AS host, (SELECT l.summary ->> 'title' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id DESC LIMIT 1) AS title,
  CAST((SELECT l.summary ->> 'duration_s' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id DESC LIMIT 1) AS double precision) AS duration_s,
  (SELECT l.summary ->> 'language' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'transcript' ORDER BY l.id DESC LIMIT 1) AS language, (SELECT l.summary ->> 'kind' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'content_type' ORDER BY l.id DESC LIMIT 1) AS kind,
  q.status, q.pipeline_step, q.outcome, q.failure_cause, q.priority, q.retry, q.attempt AS attempts,
  (SELECT s.submitter FROM submissions s WHERE s.video_id = v.video_id ORDER BY s.created_at LIMIT 1) AS submitter, coalesce((SELECT min(s.created_at) FROM submissions s WHERE s.video_id = v.video_id AND s.created_at < v.created_at), v.created_at) AS submitted_at, q.finished_at,
  (SELECT coalesce(sum(l.cost_usd), 0) FROM lineage l WHERE l.video_id = v.video_id) AS cost_usd,
  (SELECT coalesce(sum(l.wall_s), 0) FROM lineage l WHERE l.video_id = v.video_id) AS wall_s
FROM videos v LEFT JOIN video_processing_queue q ON q.video_id = v.video_id;

CREATE OR REPLACE VIEW timings AS SELECT t.*, CAST(extract(epoch FROM (t.started_at) - (t.submitted_at)) AS double precision) AS waited_s,
  CAST(extract(epoch FROM (t.clips_at) - (t.submitted_at)) AS double precision) AS until_clips_s
FROM (SELECT v.video_id, coalesce((SELECT min(s.created_at) FROM submissions s WHERE s.video_id = v.video_id AND s.created_at < v.created_at), v.created_at) AS submitted_at, (SELECT min(a.started_at) FROM processing_attempts a WHERE a.video_id = v.video_id) AS started_at,
  (SELECT l.created_at FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'clips' ORDER BY l.id LIMIT 1) AS clips_at,
  CAST((SELECT l.summary ->> 'duration_s' FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id DESC LIMIT 1) AS double precision) AS duration_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'raw_video' ORDER BY l.id LIMIT 1) AS raw_video_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'transcript' ORDER BY l.id LIMIT 1) AS transcript_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'content_type' ORDER BY l.id LIMIT 1) AS content_type_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'clip_candidates' ORDER BY l.id LIMIT 1) AS clip_candidates_s, (SELECT l.wall_s FROM lineage l WHERE l.video_id = v.video_id AND l.asset = 'clips' ORDER BY l.id LIMIT 1) AS clips_s FROM videos v) t;

UPDATE alembic_version SET version_num='0012' WHERE alembic_version.version_num = '0011';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter view public.v_videos set (security_invoker = true);
revoke all on table public.v_videos from anon, authenticated;
alter view public.timings set (security_invoker = true);
revoke all on table public.timings from anon, authenticated;

end
$migration$;
