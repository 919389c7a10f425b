-- Made by deployments/supabase/generate.py from revision 0011; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0010') then

-- Running upgrade 0010 -> 0011

CREATE TABLE tombstones (
    video_key VARCHAR(64) NOT NULL,
    forgotten_at TIMESTAMP WITH TIME ZONE NOT NULL,
    forgotten_by TEXT NOT NULL,
    documents INTEGER NOT NULL,
    CONSTRAINT pk_tombstones PRIMARY KEY (video_key),
    CONSTRAINT ck_tombstones_forgotten_by CHECK (forgotten_by IN ('operator', 'submitter'))
);

UPDATE alembic_version SET version_num='0011' WHERE alembic_version.version_num = '0010';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.tombstones enable row level security;
revoke all on table public.tombstones from anon, authenticated;

end
$migration$;
