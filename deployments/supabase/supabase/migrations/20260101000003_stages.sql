-- Made by deployments/supabase/generate.py from revision 0003; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0002') then

-- Running upgrade 0002 -> 0003

ALTER TABLE video_processing_queue DROP CONSTRAINT ck_video_processing_queue_pipeline_step;

ALTER TABLE video_processing_queue DROP CONSTRAINT ck_video_processing_queue_from_step;

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;

end
$migration$;
