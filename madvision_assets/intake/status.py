"""Where a video stands, as its submitter sees it."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any
from urllib.parse import unquote, urlsplit

from madvision_assets.domain.addresses import DEFAULT_PORTS
from madvision_assets.domain.clips import Clip, Clips, FailedClip, Outcome, Role
from madvision_assets.domain.edit_list import EditForm
from madvision_assets.domain.failure_records import failure_of, from_text, public_details, public_sentence
from madvision_assets.domain.failures import (
    Failure,
    MissingInputError,
    NewerDocumentError,
    UnreadableDocumentError,
)
from madvision_assets.domain.next_steps import next_step
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.sidecars import Sidecar, suffix_of
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.summaries import TOLD_BY, about
from madvision_assets.domain.transcript_forms import Form
from madvision_assets.domain.video import UPLOAD
from madvision_assets.intake.considered import STEP as CHOICE
from madvision_assets.intake.considered import considered, criteria_of
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import ClipView, FailedClipView, StepView, VideoStatus
from madvision_assets.intake.services import Services, tell_operators
from madvision_assets.tools.database.rows import QueueRow, TrackedVideo
from madvision_assets.tools.store.documents import read_current

STORE_LIMIT_S = 5.0
CLIPS_AWAY = "The clips are made, but the store that holds them cannot be reached just now. Look again in a minute."
CLIPS_UNREADABLE = (
    "The clips are made, but their list cannot be read by this version of the system. Whoever runs it has been told; "
    "nothing is lost."
)
CLIPS_GONE = "The clips were made, but their list is not in the store any more. Submit the video again."
NO_SUBMISSION = "No submission has this token. Check that it was copied whole; one that was deleted is gone for good."
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
        Failure: the database is away. A store that is away, or holds clips of another version of this program, only
            leaves them out, and the message says which.
    """
    tracked = require_tracked(services, token)
    row, page_url = tracked.row, f"{base_url}/video/{token}"
    told = _about(services, row)
    made = _made(services, row, page_url)
    estimate = services.estimates.of(row, told["duration_s"])
    return VideoStatus.model_validate(
        {
            **row.model_dump(),
            "url": shown_address(tracked),
            **told,
            "queue_place": estimate.queue_place,
            "remaining_s": estimate.remaining_s,
            "estimate": estimate.in_words,
            "next_attempt_at": row.next_attempt_at if row.status is QueueStatus.WAITING else None,
            **_failure(row),
            "steps": [_step_view(step, row) for step in PipelineStep],
            **_transcript(services, row, page_url, told["kind"]),
            **_package(page_url, has_clips=bool(made["clips"])),
            **made,
            "may_edit": _may_edit(services, row, token),
            "options": tracked.options,
        }
    )


def _may_edit(services: Services, row: QueueRow, token: str) -> bool:
    is_made = row.status is QueueStatus.DONE and row.outcome is not Outcome.NO_SPEECH
    return is_made and services.submissions.is_of_the_first(token)


def _made(services: Services, row: QueueRow, page_url: str) -> dict[str, Any]:
    """The clips, and the message, which says so where they cannot be told."""
    nothing: dict[str, Any] = {"message": row.message, "clips": [], "failed_clips": [], "provisional": None}
    if row.outcome is None:
        return nothing
    try:
        made = _STORE_READERS.submit(read_current, services.store, Clips, row.video_id).result(STORE_LIMIT_S)
    except MissingInputError:
        return nothing | {"message": CLIPS_GONE}
    except (NewerDocumentError, UnreadableDocumentError) as unreadable:
        tell_operators(unreadable)
        return nothing | {"message": CLIPS_UNREADABLE}
    except (Failure, TooLate):
        return nothing | {"message": CLIPS_AWAY}
    return {
        "message": row.message,
        "clips": [clip_view(clip, f"{page_url}/clips") for clip in made.clips],
        "failed_clips": [_failed_view(each) for each in made.failed],
        "provisional": made.provisional,
    }


def _failure(row: QueueRow) -> dict[str, Any]:
    """Why it waits or ended, and what can be done about it."""
    failure = failure_of(row.failure_cause, row.failure_details)
    return {
        "failure_details": public_sentence(failure) if failure else None,
        "failure_class": failure.failure_class if failure else None,
        "failure_sentence": failure.sentence if failure else None,
        "failure_technical": (public_details(failure) or None) if failure else None,
        "next_step": next_step(failure) if failure else None,
    }


def _about(services: Services, row: QueueRow) -> dict[str, Any]:
    """What the video is called, what it is, and which moments of it were considered."""
    from madvision_assets.tools.database.newest import newest_summaries

    asked = [*TOLD_BY, CHOICE] if row.outcome is not None else TOLD_BY
    found = newest_summaries(services.database, [row.video_id], asked).get(row.video_id, {})
    told = about(found)
    names = {"title": told.title or None, "uploader": told.uploader or None, "host": host_of(row)}
    return {**told.model_dump(), **names, "considered": considered(found.get(CHOICE))}


def host_of(row: QueueRow) -> str | None:
    """Where a video comes from; None for a file."""
    return None if row.source.startswith(f"{UPLOAD}://") else row.source or None


def _failed_view(failed: FailedClip) -> FailedClipView:
    failure = failure_of(failed.cause, failed.details)
    return FailedClipView(rank=failed.rank, title=failed.title, sentence=public_sentence(failure) if failure else "")


def require_tracked(services: Services, token: str) -> TrackedVideo:
    """The video of a token.

    Raises:
        ProblemError: ``unknown_token``.
    """
    tracked = services.submissions.find(token)
    if tracked is None:
        raise ProblemError("unknown_token", NO_SUBMISSION)
    return tracked


def clip_view(clip: Clip, base_url: str) -> ClipView:
    """A clip with its links, which begin with ``base_url``."""
    base = f"{base_url}/{clip.clip_id}"
    links = {role: f"{base}.{suffix_of(role, file.key)}" for role, file in clip.files.items()}
    links |= {each.value: f"{base}.{each.suffix}" for each in Sidecar if each.needs is None or each.needs in links}
    return ClipView(
        url=links.get(Role.SOURCE),
        captions_url=links.get(Role.CAPTIONS),
        subtitles_url=links.get(Sidecar.SUBTITLES),
        thumbnail_url=links.get(Role.THUMBNAIL),
        files=links,
        failed={role: public_sentence(from_text(why)) for role, why in clip.failed.items()},
        **clip.model_dump(include=set(ClipView.model_fields) - {"files", "failed"}),
    )


def _package(base_url: str, *, has_clips: bool) -> dict[str, object]:
    """Links to everything in one, and to the edit in each form."""
    if not has_clips:
        return {"package_url": None, "timeline_urls": {}}
    return {
        "package_url": f"{base_url}/package.zip",
        "timeline_urls": {form.value: f"{base_url}/timeline.{form}" for form in EditForm},
    }


def _transcript(services: Services, row: QueueRow, base_url: str, kind: str | None) -> dict[str, object]:
    """Who heard it, links to what is said by form, and what was looked for in it; nothing before."""
    is_first = row.outcome is None and row.status is not QueueStatus.DONE
    if is_first and PipelineStep.TRANSCRIPT in row.pipeline_step.onwards():
        return {"transcript_model": None, "transcript_urls": {}}
    from madvision_assets.tools.database.newest import newest_makers

    made_by = newest_makers(services.database, row.video_id, (PipelineStep.TRANSCRIPT, CHOICE))
    heard_by, _ = made_by.get(PipelineStep.TRANSCRIPT, (None, None))
    _, chosen_by = made_by.get(CHOICE, (None, None))
    return {
        "criteria": criteria_of(kind, chosen_by),
        "transcript_model": heard_by,
        "transcript_urls": {form.value: f"{base_url}/transcript.{form}" for form in Form},
    }


def shown_address(tracked: TrackedVideo) -> str:
    """The address; of a file the name alone."""
    parts = urlsplit(tracked.address)
    return tracked.address if parts.scheme in DEFAULT_PORTS else unquote(parts.path.rpartition("/")[2]) or "a file"


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
