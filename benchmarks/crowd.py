"""Many videos at once in a PostgreSQL, as months of use would leave them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, text

from madvision_assets.connections import make_store
from madvision_assets.domain.clips import Clip, Clips, Outcome, Role, clip_id
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.video import web_video_id
from madvision_assets.settings import Settings
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import submissions, video_processing_queue, videos
from madvision_assets.tools.store.documents import point_current, write_document

HOSTS = 200
CLIPS_OF_A_VIDEO = 4
ENGINE = Recipe(engine="runtime")

# Every video by its number, with what is derived from it; the rest of each table is said below.
CROWD = """
CREATE TEMPORARY TABLE crowd ON COMMIT DROP AS
SELECT n, 'web-' || left(encode(sha256(address::bytea), 'hex'), 16) AS video_id, address, host,
       now() - interval '180 days' * (1 - n / (:size + 1.0)) AS at,
       CASE WHEN n <= :queued THEN 'queued' WHEN n <= :queued + :waiting THEN 'waiting'
            WHEN n <= :queued + :waiting + :failed THEN 'failed' ELSE 'done' END AS status
FROM (SELECT n, 'media-' || n % :hosts || '.example.org' AS host,
             'https://media-' || n % :hosts || '.example.org/talk-' || n || '.mp4' AS address
      FROM generate_series(1, :size) AS n) AS numbers
"""
VIDEOS = """
INSERT INTO videos (video_id, address, options, created_at, updated_at)
SELECT video_id, address, '{"max_clips": 10, "min_clip_s": 10.0, "max_clip_s": 60.0}', at, at FROM crowd
"""
QUEUE = """
INSERT INTO video_processing_queue (
  video_id, status, pipeline_step, progress, step_progress, message, priority, retry, lost_workers, attempt,
  failure_cause, failure_details, next_attempt_at, source, resource, outcome, outcome_reason, created_at, updated_at,
  finished_at)
SELECT video_id, status, CASE status WHEN 'done' THEN 'clips' ELSE 'raw_video' END,
       CASE status WHEN 'done' THEN 1 ELSE 0 END, 0, '', n % 3, CASE status WHEN 'waiting' THEN 1 ELSE 0 END, 0,
       CASE status WHEN 'queued' THEN 0 ELSE 1 END,
       CASE status WHEN 'failed' THEN 'private_video' WHEN 'waiting' THEN 'connection_lost' END,
       CASE WHEN status IN ('failed', 'waiting') THEN 'as told' END,
       CASE WHEN status = 'waiting' AND n % 2 = 0 THEN now() + interval '1 hour' ELSE at END, host,
       CASE WHEN status <> 'done' THEN 'host:' || host END, CASE status WHEN 'done' THEN 'clips' END,
       CASE status WHEN 'done' THEN 'so it is' END, at, at, CASE WHEN status IN ('done', 'failed') THEN at END
FROM crowd
"""
ATTEMPTS = """
INSERT INTO processing_attempts (video_id, attempt, run_id, started_at, ended_at, pipeline_step, status, failure_cause)
SELECT video_id, 1, md5(video_id), at, at, CASE status WHEN 'done' THEN 'clips' ELSE 'raw_video' END, status,
       CASE status WHEN 'failed' THEN 'private_video' WHEN 'waiting' THEN 'connection_lost' END
FROM crowd WHERE status <> 'queued'
"""
SUBMISSIONS = """
INSERT INTO submissions (token_hash, video_id, created_at)
SELECT encode(sha256(('token-' || n)::bytea), 'hex'), video_id, at FROM crowd
"""
# One host is left alone, as on most days.
BREAKER = """
INSERT INTO breakers (name, state, cause, details, failures, trips, opened_at, probe_at)
VALUES ('host:media-7.example.org', 'open', 'source_rate_limited', '', 1, 1, now(), now() + interval '1 hour')
"""


@dataclass(frozen=True)
class Mix:
    """So many videos in each state; the rest is done."""

    queued: int = 0
    waiting: int = 0
    failed: int = 0

    @property
    def first_done(self) -> int:
        """Number of the first video that is done; from there on all are."""
        return self.queued + self.waiting + self.failed + 1


def fill(database: Database, size: int, mix: Mix) -> None:
    """Make so many videos, numbered from 1, each with its row, its history and a submission."""
    database.migrate()
    counts = {"size": size, "hosts": HOSTS, "queued": mix.queued, "waiting": mix.waiting, "failed": mix.failed}
    with database.writing() as connection:
        connection.execute(text(CROWD), counts)
        for statement in (VIDEOS, QUEUE, ATTEMPTS, SUBMISSIONS, BREAKER):
            connection.execute(text(statement))
    with database.reading() as connection:  # as the server itself does it now and then
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def address_of(number: int) -> str:
    """The address of a video."""
    return f"https://media-{number % HOSTS}.example.org/talk-{number}.mp4"


def token_of(number: int) -> str:
    """The token of its submission."""
    return f"token-{number}"


def store_clips(settings: Settings, numbers: Iterable[int]) -> None:
    """Put into the store what the last stage made of these videos."""
    store = make_store(settings)
    media = ObjectRef(key="media/a.mp4", sha256="0" * 64, size_bytes=1, media_type="video/mp4")
    for number in numbers:
        video_id = web_video_id(address_of(number))
        clips = tuple(
            Clip(
                clip_id=clip_id(video_id, rank), rank=rank, title="A moment", reason="It stands on its own.", score=0.5,
                start_s=60.0 * rank, end_s=60.0 * rank + 30, duration_s=30, audio_video_offset_s=0, width=1280,
                height=720, files=dict.fromkeys(Role, media),
            )
            for rank in range(1, CLIPS_OF_A_VIDEO + 1)
        )  # fmt: skip
        made = Clips(video_id=video_id, outcome=Outcome.CLIPS, outcome_reason="so it is", clips=clips)
        sealed = made.seal(ENGINE, run_id="bench", code_version="1", inputs=(), wall_s=1, created_at=datetime.now(UTC))
        write_document(store, sealed)
        point_current(store, sealed)


def forget_newer(database: Database, since: datetime) -> None:
    """Take out what was submitted since, so that the next measurement finds as many videos as the last."""
    with database.writing() as connection:
        for table in (submissions, video_processing_queue, videos):
            connection.execute(delete(table).where(table.c.created_at >= since))
