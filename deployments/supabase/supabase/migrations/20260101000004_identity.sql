-- Made by deployments/supabase/generate.py from revision 0004; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0003') then

-- Running upgrade 0003 -> 0004

ALTER TABLE submissions ADD COLUMN address TEXT;

ALTER TABLE videos ADD COLUMN content_sha256 VARCHAR(64);

CREATE INDEX ix_videos_content_sha256 ON videos (content_sha256);

ALTER TABLE lineage ADD COLUMN taken_from TEXT;

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;

end
$migration$;
