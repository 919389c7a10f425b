"""A video's page for operators, with the internal key: where links from Dagster's UI lead.

It shows one video, by its ID, with its tries and clips, and changes nothing: a submitter's token opens the public page,
and is kept as a hash, so nobody could link that one.
"""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request, Response

from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failure_records import failure_of
from madvision_assets.domain.failures import Failure, MissingInputError, UnknownVideoError, WithdrawnError
from madvision_assets.domain.operator_pages import clip_files, run_page
from madvision_assets.domain.provenance import is_video_id
from madvision_assets.domain.summaries import About
from madvision_assets.domain.video import Video
from madvision_assets.intake.clips import clip_file
from madvision_assets.intake.internal import require_operator
from madvision_assets.intake.pages.render import page
from madvision_assets.intake.pages.routes import PageRoute, media_origin
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import ClipView
from madvision_assets.intake.services import Services, services_of
from madvision_assets.intake.status import clip_view
from madvision_assets.tools.database.operations import Attempt, Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.store.documents import read_current

router = APIRouter(
    prefix="/internal/video", include_in_schema=False, route_class=PageRoute, dependencies=[Depends(require_operator)]
)


@dataclass(frozen=True)
class Tried:
    """One try at a video, and the run that made it, where Dagster's UI shows one."""

    attempt: Attempt
    why: str
    run_url: str | None


@router.api_route("/{video_id}", methods=["GET", "HEAD"])
def show_video(request: Request, video_id: str) -> Response:
    """Where a video stands, what was tried, and its clips."""
    services = services_of(request)
    video = _known(services, video_id)
    row = Queue(services.database).get(video_id)
    clips, without = _clips(services, video_id, row)
    return page(
        "operator.html",
        media_origin=media_origin(services) if clips else "",
        video_id=video_id,
        address=public_address(video.address),
        about=_about(services, video_id),
        row=row,
        why=_why(row.failure_cause, row.failure_details) if row else "",
        tried=_tried(services, video_id),
        clips=clips,
        without=without,
    )


@router.api_route("/{video_id}/clips/{name}", methods=["GET", "HEAD"])
def read_clip(request: Request, video_id: str, name: str, *, download: bool = False) -> Response:
    """A file of a clip, as the public route has it."""
    services = services_of(request)
    _known(services, video_id)
    row = Queue(services.database).get(video_id)
    if row is not None and row.is_withdrawn:
        raise ProblemError("unknown_clip", WithdrawnError.sentence)
    return clip_file(request, video_id, name, download=download)


def _known(services: Services, video_id: str) -> Video:
    """The video.

    Raises:
        UnknownVideoError: there is none.
    """
    if not is_video_id(video_id):
        raise UnknownVideoError(repr(video_id[:100]))
    return services.database.get_video(video_id)


def _clips(services: Services, video_id: str, row: QueueRow | None) -> tuple[list[ClipView], str]:
    """The clips, and why there are none; what its submitters deleted is shown to nobody, also while it is there."""
    if row is not None and row.is_withdrawn:
        return [], WithdrawnError.sentence
    try:
        made = read_current(services.store, Clips, video_id)
    except MissingInputError:
        return [], "There are none yet."
    except Failure as failure:  # the rest of the page counts all the same
        return [], str(failure)
    base = clip_files("", video_id)
    return [clip_view(clip, base) for clip in made.clips], f"{made.outcome}: {made.outcome_reason}"


def _about(services: Services, video_id: str) -> About:
    from madvision_assets.tools.database.newest import about_videos

    return about_videos(services.database, [video_id]).get(video_id, About())


def _tried(services: Services, video_id: str) -> list[Tried]:
    """Every try, the newest first."""
    ui = services.settings.dagster_url
    history = reversed(Operations(services.database).history(video_id))
    return [Tried(each, _why(each.failure_cause, each.failure_details), run_page(ui, each.run_id)) for each in history]


def _why(cause: str | None, details: str | None) -> str:
    failure = failure_of(cause, details)
    return f"{cause}: {failure}" if failure else ""
