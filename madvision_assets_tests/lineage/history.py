"""Two versions of two videos, interleaved, and one that failed: rows as runs write them, whose answers are known."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import insert, update

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.documents import Document
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.summaries import summary_of
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.running_code import Code
from madvision_assets.tools.database.statements import Told, insert_lineage
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import paid_calls, processing_attempts, submissions, video_processing_queue
from madvision_assets_tests import stores

D = TypeVar("D", bound=Document)
DAY = timedelta(days=1)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
OLD, NEW = Code("0.2.0", "a" * 40), Code("0.3.0", "b" * 40)
# Video, host, submitter, seconds from its submission to its clips.
DONE = (("web-a", "a.example", "key:ann", 600.0), ("web-b", "b.example", "key:bob", 1200.0))


def write_history(database: Database) -> None:
    """Both videos are made on the first day and, from the moments on, by a newer prompt and newer code a week later.

    Another week later one is cut again, and nothing is different.
    """
    for number, (video_id, host, submitter, lasts_s) in enumerate(DONE):
        _submit(database, video_id, host, submitter, START + number * timedelta(hours=1))
        _end(database, video_id, "done", START + number * timedelta(hours=1) + timedelta(seconds=lasts_s))
    for step in PipelineStep:  # stage by stage, so that one video's lies between the other's
        for number, (video_id, _, _, lasts_s) in enumerate(DONE):
            ends_at = START + number * timedelta(hours=1) + timedelta(seconds=lasts_s)
            _tell(database, video_id, step, ends_at - timedelta(seconds=4 - list(PipelineStep).index(step)), OLD, 1)
    for step in (PipelineStep.CLIP_CANDIDATES, PipelineStep.CLIPS):
        for video_id, *_ in reversed(DONE):
            _tell(database, video_id, step, START + 7 * DAY, NEW, 2)
    _tell(database, "web-a", PipelineStep.CLIPS, START + 14 * DAY, NEW, 2, "again")
    _submit(database, "web-c", "c.example", "key:ann", START)
    _end(database, "web-c", "failed", START + timedelta(seconds=30), cause="not_found")
    _pay(database)


def _submit(database: Database, video_id: str, host: str, submitter: str, at: datetime) -> None:
    video = Video(video_id=video_id, address=f"http://{host}/{video_id}.mp4")
    Submissions(database).add([NewSubmission(video, submitter=submitter)])
    with database.writing() as connection:
        mine = submissions.c.video_id == video_id
        connection.execute(update(submissions).where(mine).values(created_at=at))


def _end(database: Database, video_id: str, status: str, at: datetime, cause: str | None = None) -> None:
    queue = video_processing_queue
    told: dict[str, Any] = {"failure_cause": cause, "finished_at": at, "attempt": 1}
    mine = update(queue).where(queue.c.video_id == video_id)
    with database.writing() as connection:
        connection.execute(mine.values(status="running", attempt=1))
        connection.execute(mine.values(status=status, outcome=None if cause else "clips", **told))
        attempt = {"video_id": video_id, "attempt": 1, "run_id": f"run-{video_id}", "ended_at": at, "status": status}
        started_at, step = at - timedelta(seconds=25), "raw_video" if cause else "clips"
        row = insert(processing_attempts).values(**attempt, started_at=started_at, pipeline_step=step)
        connection.execute(row.values(failure_cause=cause))


def _tell(
    database: Database, video_id: str, step: PipelineStep, at: datetime, code: Code, version: int, run: str = "run"
) -> None:
    recipes: dict[PipelineStep, Recipe] = {
        PipelineStep.TRANSCRIPT: Recipe(engine="faster-whisper", model="tiny.en@sha256:0"),
        PipelineStep.CLIP_CANDIDATES: Recipe(
            engine="openai", model="gpt-4o", prompt_version=str(version), prompt_hash=f"{version}" * 64, cost_usd=0.25
        ),
    }
    recipe = recipes.get(step, Recipe(engine="test"))
    document = _documents(video_id, version)[step].seal(
        recipe, run_id=f"{run}-{video_id}-{version}", code_version=str(version), inputs=(), wall_s=2.5, created_at=at
    )
    told = Told(video_id, document.origin, f"memory://{document.key}", summary_of(document), code)
    with database.writing() as connection:
        connection.execute(insert_lineage(told, sqlite=database.is_sqlite))


def _documents(video_id: str, version: int) -> dict[PipelineStep, Document]:
    """What the stages say; the second version chooses a moment that it is surer of."""
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "zero", "one", "two", "three")
    kind = stores.content_type(raw, spoken)
    chosen = stores.clip_candidates(raw, spoken, kind)
    surer = chosen.candidates[0].model_copy(update={"score": 0.5 + 0.2 * version})
    chosen = chosen.model_copy(update={"candidates": (surer,), "rejected": stores.rejected()})
    cut = stores.clips(raw, spoken, chosen)
    made = (raw, spoken, kind, chosen, _of_video(cut, video_id))
    return dict(zip(PipelineStep, (_bare(each, video_id) for each in made), strict=True))


def _of_video(made: Clips, video_id: str) -> Clips:
    clip = made.clips[0].model_copy(update={"clip_id": f"{video_id}.01"})
    return made.model_copy(update={"clips": (clip,)})


def _bare(document: D, video_id: str) -> D:
    return document.model_copy(update={"video_id": video_id, "provenance": None})


def _pay(database: Database) -> None:
    """Four calls that gave moments, and one that failed and cost nothing."""
    made = [(video_id, week, 0.25, None) for week in (0, 1) for video_id, *_ in DONE]
    calls = [*made, ("web-b", 1, 0.0, "analyst_outage")]
    with database.writing() as connection:
        for video_id, week, usd, cause in calls:
            at = START + 7 * week * DAY
            spent = {"reserved_usd": 0.3, "cost_usd": usd, "doubtful_usd": 0.0}
            tokens = {"input_tokens": 1000, "cached_tokens": 0, "output_tokens": 100, "estimated": False}
            row = insert(paid_calls).values(video_id=video_id, step="clip_candidates", state="settled", cause=cause)
            row = row.values(model="gpt-4o", prompt_version=str(week + 1), **spent, **tokens)
            connection.execute(row.values(created_at=at, expires_at=at + DAY, settled_at=at))
