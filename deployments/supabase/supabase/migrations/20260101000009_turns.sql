-- Made by deployments/supabase/generate.py from revision 0009; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0008') then

-- Running upgrade 0008 -> 0009

ALTER TABLE video_processing_queue ADD COLUMN turn_of TEXT;

ALTER TABLE video_processing_queue ADD COLUMN turn_s DOUBLE PRECISION;

CREATE INDEX ix_video_processing_queue_in_line ON video_processing_queue (priority DESC, next_attempt_at, video_id) WHERE status IN ('waiting', 'queued') AND turn_s IS NULL;

CREATE INDEX ix_video_processing_queue_turn ON video_processing_queue (priority DESC, turn_s, video_id) WHERE status IN ('queued', 'waiting') AND turn_s IS NOT NULL;

CREATE INDEX ix_video_processing_queue_turn_of ON video_processing_queue (turn_of, turn_s) WHERE turn_s IS NOT NULL;

UPDATE alembic_version SET version_num='0009' WHERE alembic_version.version_num = '0008';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;

end
$migration$;
