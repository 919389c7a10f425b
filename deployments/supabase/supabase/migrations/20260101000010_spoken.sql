-- Made by deployments/supabase/generate.py from revision 0010; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0009') then

-- Running upgrade 0009 -> 0010

CREATE TABLE spoken_passages (
    id BIGSERIAL NOT NULL,
    video_id VARCHAR(100) NOT NULL,
    number INTEGER NOT NULL,
    data_version TEXT NOT NULL,
    sentences JSONB NOT NULL,
    words TSVECTOR NOT NULL,
    CONSTRAINT pk_spoken_passages PRIMARY KEY (id),
    CONSTRAINT fk_spoken_passages_video_id FOREIGN KEY(video_id) REFERENCES videos (video_id) ON DELETE CASCADE,
    CONSTRAINT uq_spoken_passages_video_id_number UNIQUE (video_id, number)
);

CREATE INDEX ix_spoken_passages_words ON spoken_passages USING gin (words) WITH (fastupdate = off);

UPDATE alembic_version SET version_num='0010' WHERE alembic_version.version_num = '0009';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.spoken_passages enable row level security;
revoke all on table public.spoken_passages from anon, authenticated;
revoke all on sequence public.spoken_passages_id_seq from anon, authenticated;

end
$migration$;
