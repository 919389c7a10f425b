-- Made by deployments/supabase/generate.py from revision 0005; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0004') then

-- Running upgrade 0004 -> 0005

CREATE TABLE uploads (
    secret_hash VARCHAR(64) NOT NULL,
    place VARCHAR(32) NOT NULL,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    offset_bytes BIGINT NOT NULL,
    chain TEXT NOT NULL,
    writer INTEGER NOT NULL,
    asked JSONB NOT NULL,
    video_id VARCHAR(100),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    swept_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_uploads PRIMARY KEY (secret_hash),
    CONSTRAINT uq_uploads_place UNIQUE (place),
    CONSTRAINT ck_uploads_offset_bytes CHECK (offset_bytes >= 0 AND offset_bytes <= size_bytes)
);

CREATE INDEX ix_uploads_expires_at ON uploads (expires_at);

CREATE INDEX ix_uploads_video_id ON uploads (video_id);

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.uploads enable row level security;
revoke all on table public.uploads from anon, authenticated;

end
$migration$;
