"""Where a video stands, as its submitter sees it."""

import re
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from urllib.parse import urlsplit

from madvision_assets.domain.clips import Clip, Clips
from madvision_assets.domain.failures import Failure, FailureClass, Resource, leaf_of
from madvision_assets.domain.queue import PipelineStep, QueueStatus
from madvision_assets.domain.video import DEFAULT_PORTS
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import ClipView, StepView, VideoStatus
from madvision_assets.intake.services import Services
from madvision_assets.tools.database.rows import QueueRow, TrackedVideo
from madvision_assets.tools.store.documents import read_current

STORE_LIMIT_S = 5.0
CLIPS_AWAY = "The clips are made, but the store that holds them cannot be reached just now. Look again in a minute."
# An absolute path that does not belong to an address.
_PATH = re.compile(r"(?<![\w/:.~-])/(?:[^\s/:'\"]+/)+[^\s:'\",)]*")
# Threads that a store which never answers may hold; the route itself goes on without clips.
_STORE_READERS = ThreadPoolExecutor(8, thread_name_prefix="clips")


def status_of(services: Services, token: str, base_url: str) -> VideoStatus:
    """The video of a token, with links to its clips.

    Args:
        services: of the intake.
        token: as the submitter was given it.
        base_url: what links begin with, without a slash at its end.

    Raises:
        ProblemError: ``unknown_token``.
        Failure: the database is away. A store that is away only leaves the clips out, and says so in the message.
    """
    tracked = require_tracked(services, token)
    row = tracked.row
    message, clips = row.message, []
    if row.outcome is not None:
        try:
            made = _STORE_READERS.submit(read_current, services.store, Clips, row.video_id).result(STORE_LIMIT_S)
            clips = [clip_view(clip, f"{base_url}/video/{token}/clips") for clip in made.clips]
        except (Failure, TooLate):
            message = CLIPS_AWAY
    waits = row.status is QueueStatus.WAITING
    return VideoStatus.model_validate(
        {
            **row.model_dump(),
            "url": _shown_address(tracked),
            "message": message,
            "next_attempt_at": row.next_attempt_at if waits else None,
            "failure_details": told(row),
            "failure_class": leaf_of(row.failure_cause).failure_class if row.failure_cause else None,
            "steps": [_step_view(step, row) for step in PipelineStep],
            "clips": clips,
            "options": tracked.options,
        }
    )


def require_tracked(services: Services, token: str) -> TrackedVideo:
    """The video of a token.

    Raises:
        ProblemError: ``unknown_token``.
    """
    tracked = services.submissions.find(token)
    if tracked is None:
        raise ProblemError("unknown_token", "No submission has this token. Check that it was copied whole.")
    return tracked


def clip_view(clip: Clip, base_url: str) -> ClipView:
    """A clip with its links, which begin with ``base_url``."""
    base = f"{base_url}/{clip.clip_id}"
    return ClipView(
        url=f"{base}.mp4",
        captions_url=f"{base}.srt",
        subtitles_url=f"{base}.vtt",
        thumbnail_url=f"{base}.jpg",
        **clip.model_dump(include=set(ClipView.model_fields)),
    )


def told(row: QueueRow) -> str | None:
    """What happened to a video and what to do, for a person outside: nothing of ours is named in it."""
    if row.failure_cause is None:
        return None
    leaf = leaf_of(row.failure_cause)
    ours = leaf.failure_class is FailureClass.OPERATOR or leaf.resource in {Resource.STORE, Resource.WORKER}
    details = "" if ours else _PATH.sub("…", row.failure_details or "")
    return f"{leaf.sentence} ({details})" if details else leaf.sentence


def _shown_address(tracked: TrackedVideo) -> str:
    """The address; of a local file the name alone."""
    parts = urlsplit(tracked.address)
    return tracked.address if parts.scheme in DEFAULT_PORTS else parts.path.rpartition("/")[2]


def _step_view(step: PipelineStep, row: QueueRow) -> StepView:
    if row.status is QueueStatus.DONE or step not in row.pipeline_step.onwards():
        return StepView(step=step, status="done", progress=1.0)
    if step is not row.pipeline_step or row.status is QueueStatus.QUEUED:
        return StepView(step=step, status="pending", progress=0.0)
    if row.status is QueueStatus.RUNNING:
        return StepView(step=step, status="running", progress=row.step_progress)
    if row.status is QueueStatus.WAITING:
        return StepView(step=step, status="waiting", progress=row.step_progress)
    return StepView(step=step, status="failed", progress=row.step_progress)
