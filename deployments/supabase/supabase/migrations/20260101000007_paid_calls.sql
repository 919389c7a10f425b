-- Made by deployments/supabase/generate.py from revision 0007; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0006') then

-- Running upgrade 0006 -> 0007

CREATE TABLE paid_calls (
    id BIGSERIAL NOT NULL,
    video_id VARCHAR(100),
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    reserved_usd DOUBLE PRECISION NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL,
    doubtful_usd DOUBLE PRECISION NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    estimated BOOLEAN NOT NULL,
    cause TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_paid_calls PRIMARY KEY (id),
    CONSTRAINT ck_paid_calls_ck_paid_calls_state CHECK (state IN ('reserved', 'settled', 'lost')),
    CONSTRAINT ck_paid_calls_ck_paid_calls_usd CHECK (reserved_usd >= 0 AND cost_usd >= 0 AND doubtful_usd >= 0)
);

CREATE INDEX ix_paid_calls_video_id ON paid_calls (video_id);

CREATE INDEX ix_paid_calls_created_at ON paid_calls (created_at);

INSERT INTO paid_calls (video_id, step, state, model, prompt_version, reserved_usd, cost_usd, doubtful_usd, input_tokens, cached_tokens, output_tokens, estimated, created_at, expires_at, settled_at) SELECT video_id, asset, 'settled', coalesce(model, ''), coalesce(prompt_version, ''), 0, cost_usd, 0, 0, 0, 0, false, created_at, created_at, created_at FROM lineage WHERE cost_usd > 0;

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.paid_calls enable row level security;
revoke all on table public.paid_calls from anon, authenticated;
revoke all on sequence public.paid_calls_id_seq from anon, authenticated;

end
$migration$;
