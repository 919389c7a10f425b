-- Made by deployments/supabase/generate.py from revision 0001; do not edit.
do $migration$
begin
if to_regclass('public.alembic_version') is null then

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE videos (
    video_id VARCHAR(100) NOT NULL,
    address TEXT NOT NULL,
    options JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_videos PRIMARY KEY (video_id),
    CONSTRAINT ck_videos_video_id CHECK (video_id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$')
);

CREATE TABLE lineage (
    id BIGSERIAL NOT NULL,
    video_id VARCHAR(100) NOT NULL,
    asset TEXT NOT NULL,
    run_id TEXT NOT NULL,
    code_version TEXT NOT NULL,
    data_version TEXT NOT NULL,
    uri TEXT NOT NULL,
    inputs JSONB NOT NULL,
    engine TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    model TEXT,
    prompt_version TEXT,
    prompt_hash TEXT,
    parameters JSONB NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL,
    usage JSONB NOT NULL,
    wall_s DOUBLE PRECISION NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_lineage PRIMARY KEY (id),
    CONSTRAINT fk_lineage_video_id FOREIGN KEY(video_id) REFERENCES videos (video_id),
    CONSTRAINT uq_lineage_run_id_asset_video_id_data_version UNIQUE (run_id, asset, video_id, data_version),
    CONSTRAINT ck_lineage_cost_usd CHECK (cost_usd >= 0),
    CONSTRAINT ck_lineage_wall_s CHECK (wall_s >= 0)
);

CREATE INDEX ix_lineage_video_id_created_at ON lineage (video_id, created_at);

CREATE INDEX ix_lineage_created_at ON lineage (created_at);

INSERT INTO alembic_version (version_num) VALUES ('0001');

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.alembic_version enable row level security;
revoke all on table public.alembic_version from anon, authenticated;
alter table public.videos enable row level security;
revoke all on table public.videos from anon, authenticated;
alter table public.lineage enable row level security;
revoke all on table public.lineage from anon, authenticated;
revoke all on sequence public.lineage_id_seq from anon, authenticated;

end
$migration$;
