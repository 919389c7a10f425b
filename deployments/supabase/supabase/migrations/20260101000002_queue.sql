-- Made by deployments/supabase/generate.py from revision 0002; do not edit.
do $migration$
begin
if exists (select from public.alembic_version where version_num = '0001') then

-- Running upgrade 0001 -> 0002

CREATE TABLE video_processing_queue (
    video_id VARCHAR(100) NOT NULL,
    status TEXT NOT NULL,
    pipeline_step TEXT NOT NULL,
    progress DOUBLE PRECISION NOT NULL,
    step_progress DOUBLE PRECISION NOT NULL,
    message TEXT NOT NULL,
    priority INTEGER NOT NULL,
    retry INTEGER NOT NULL,
    lost_workers INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    failure_cause TEXT,
    failure_details TEXT,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE,
    run_id TEXT,
    from_step TEXT,
    source TEXT NOT NULL,
    resource TEXT,
    outcome TEXT,
    outcome_reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_video_processing_queue PRIMARY KEY (video_id),
    CONSTRAINT fk_video_processing_queue_video_id FOREIGN KEY(video_id) REFERENCES videos (video_id),
    CONSTRAINT ck_video_processing_queue_status CHECK (status IN ('queued', 'running', 'waiting', 'done', 'failed', 'parked')),
    CONSTRAINT ck_video_processing_queue_pipeline_step CHECK (pipeline_step IN ('raw_video', 'transcript', 'content_type', 'clip_candidates', 'clips')),
    CONSTRAINT ck_video_processing_queue_from_step CHECK (from_step IN ('raw_video', 'transcript', 'content_type', 'clip_candidates', 'clips')),
    CONSTRAINT ck_video_processing_queue_progress CHECK (progress >= 0 AND progress <= 1),
    CONSTRAINT ck_video_processing_queue_step_progress CHECK (step_progress >= 0 AND step_progress <= 1),
    CONSTRAINT ck_video_processing_queue_priority CHECK (priority BETWEEN -100 AND 100),
    CONSTRAINT ck_video_processing_queue_counts CHECK (retry >= 0 AND lost_workers >= 0 AND attempt >= 0),
    CONSTRAINT ck_video_processing_queue_outcome CHECK (status <> 'done' OR outcome IS NOT NULL),
    CONSTRAINT ck_video_processing_queue_failure_cause CHECK (status NOT IN ('failed', 'parked') OR failure_cause IS NOT NULL)
);

CREATE INDEX ix_video_processing_queue_due ON video_processing_queue (priority DESC, next_attempt_at, video_id) WHERE status IN ('queued', 'waiting');

CREATE INDEX ix_video_processing_queue_status_pipeline_step ON video_processing_queue (status, pipeline_step);

CREATE INDEX ix_video_processing_queue_failure_cause ON video_processing_queue (failure_cause);

CREATE TABLE submissions (
    token_hash VARCHAR(64) NOT NULL,
    video_id VARCHAR(100) NOT NULL,
    callback_url TEXT,
    callback_secret TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_submissions PRIMARY KEY (token_hash),
    CONSTRAINT fk_submissions_video_id FOREIGN KEY(video_id) REFERENCES videos (video_id)
);

CREATE INDEX ix_submissions_video_id ON submissions (video_id);

CREATE TABLE webhook_deliveries (
    id BIGSERIAL NOT NULL,
    token_hash VARCHAR(64) NOT NULL,
    video_id VARCHAR(100) NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_try_at TIMESTAMP WITH TIME ZONE,
    delivered_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_webhook_deliveries PRIMARY KEY (id),
    CONSTRAINT fk_webhook_deliveries_token_hash FOREIGN KEY(token_hash) REFERENCES submissions (token_hash),
    CONSTRAINT uq_webhook_deliveries_token_hash_attempt UNIQUE (token_hash, attempt)
);

CREATE INDEX ix_webhook_deliveries_next_try_at ON webhook_deliveries (next_try_at);

CREATE TABLE processing_attempts (
    video_id VARCHAR(100) NOT NULL,
    attempt INTEGER NOT NULL,
    run_id TEXT,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    pipeline_step TEXT NOT NULL,
    status TEXT NOT NULL,
    failure_cause TEXT,
    failure_details TEXT,
    CONSTRAINT pk_processing_attempts PRIMARY KEY (video_id, attempt),
    CONSTRAINT fk_processing_attempts_video_id FOREIGN KEY(video_id) REFERENCES videos (video_id),
    CONSTRAINT ck_processing_attempts_status CHECK (status IN ('queued', 'running', 'waiting', 'done', 'failed', 'parked'))
);

CREATE INDEX ix_processing_attempts_failure_cause ON processing_attempts (failure_cause);

CREATE TABLE breakers (
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    details TEXT NOT NULL,
    failures INTEGER NOT NULL,
    trips INTEGER NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE,
    probe_at TIMESTAMP WITH TIME ZONE,
    probe_video_id TEXT,
    probe_expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_breakers PRIMARY KEY (name),
    CONSTRAINT ck_breakers_state CHECK (state IN ('closed', 'open', 'half_open'))
);

CREATE TABLE heartbeats (
    name TEXT NOT NULL,
    beat_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_heartbeats PRIMARY KEY (name)
);

CREATE FUNCTION refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN ('queued>running', 'queued>done', 'waiting>running', 'waiting>queued', 'waiting>done', 'running>queued', 'running>waiting', 'running>done', 'running>failed', 'running>parked', 'done>queued', 'done>running', 'failed>queued', 'failed>running', 'parked>queued', 'parked>running'))
     OR NEW.attempt < OLD.attempt THEN
    RAISE EXCEPTION 'video_processing_queue: illegal move from % (attempt %) to % (attempt %)', OLD.status, OLD.attempt, NEW.status, NEW.attempt
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER refuse_illegal_move BEFORE UPDATE OF status, attempt ON video_processing_queue
FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move();

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

end if;

-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public revoke all on sequences from anon, authenticated;
alter default privileges in schema public revoke all on functions from anon, authenticated;
alter table public.video_processing_queue enable row level security;
revoke all on table public.video_processing_queue from anon, authenticated;
alter table public.submissions enable row level security;
revoke all on table public.submissions from anon, authenticated;
alter table public.webhook_deliveries enable row level security;
revoke all on table public.webhook_deliveries from anon, authenticated;
alter table public.processing_attempts enable row level security;
revoke all on table public.processing_attempts from anon, authenticated;
alter table public.breakers enable row level security;
revoke all on table public.breakers from anon, authenticated;
alter table public.heartbeats enable row level security;
revoke all on table public.heartbeats from anon, authenticated;
revoke all on sequence public.webhook_deliveries_id_seq from anon, authenticated;
revoke all on function public.refuse_illegal_move() from public, anon, authenticated;

end
$migration$;
