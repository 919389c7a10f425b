-- Made by deployments/supabase/generate.py from revision 0006; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0005') then

-- Running upgrade 0005 -> 0006

ALTER TABLE submissions ADD COLUMN submitter TEXT;

ALTER TABLE processing_attempts ADD COLUMN refused BOOLEAN;

CREATE INDEX ix_processing_attempts_ended_at ON processing_attempts (ended_at);

CREATE TABLE intakes (
    id BIGSERIAL NOT NULL,
    submitter TEXT NOT NULL,
    video_id VARCHAR(100) NOT NULL,
    size_bytes BIGINT NOT NULL,
    media_s DOUBLE PRECISION NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_intakes PRIMARY KEY (id)
);

CREATE INDEX ix_intakes_submitter_taken_at ON intakes (submitter, taken_at);

CREATE INDEX ix_intakes_video_id ON intakes (video_id);

CREATE TABLE installation (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_installation PRIMARY KEY (name)
);

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.intakes enable row level security;
revoke all on table public.intakes from anon, authenticated;
alter table public.installation enable row level security;
revoke all on table public.installation from anon, authenticated;
revoke all on sequence public.intakes_id_seq from anon, authenticated;

end
$migration$;
