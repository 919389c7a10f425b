"""The videos of some tokens as a list: what each is called and where it stands, in two statements however many."""

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from madvision_assets.domain.clips import Outcome, Role
from madvision_assets.domain.documents import Json
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import LAST_STEP, PipelineStep
from madvision_assets.domain.summaries import TOLD_BY, about
from madvision_assets.intake.pages.words import in_short
from madvision_assets.intake.problems import documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import Services, base_url_of, services_of
from madvision_assets.intake.status import host_of, shown_address
from madvision_assets.intake.tokens import Tokens
from madvision_assets.tools.database.newest import newest_summaries
from madvision_assets.tools.database.rows import TrackedVideo

router = APIRouter(prefix="/public", tags=["public"])


class ListedVideo(BaseModel):
    """A video in a list; its status tells more."""

    token: str
    video_id: str
    url: str
    title: Annotated[str | None, Field(description="As its site or its file has it; null before it is known.")]
    duration_s: Annotated[float | None, Field(description="Of the video; null before it is downloaded.")]
    language: Annotated[str | None, Field(description="Of the transcript, ISO 639-1; null before it is heard.")]
    kind: Annotated[str | None, Field(description="Of the content, such as `interview`; null before it is known.")]
    host: Annotated[str | None, Field(description="Where it comes from: a site or a host; null for a file.")]
    status: QueueStatus
    in_short: Annotated[str, Field(description="The state in a few words, for a person.")]
    pipeline_step: PipelineStep
    progress: Annotated[float, Field(description="Of the whole, 0 to 1.")]
    outcome: Outcome | None
    clips: Annotated[int, Field(description="How many there are.")]
    thumbnail_url: Annotated[str | None, Field(description="Of the best clip, JPEG.")]
    page_url: str
    created_at: AwareDatetime
    finished_at: AwareDatetime | None


class VideoList(BaseModel):
    """The videos of the tokens that were given, in their order."""

    videos: list[ListedVideo]
    unknown: Annotated[list[str], Field(description="Tokens that no submission has: they were deleted, or never were.")]


@router.get(
    "/videos",
    responses=documented("missing_token", "invalid_request", *COMMON_PROBLEMS, database_unavailable="503"),
)
def list_videos(
    request: Request,
    tokens: Tokens,
    status: Annotated[list[QueueStatus] | None, Query(description="Only those in one of these states.")] = None,
    host: Annotated[str | None, Query(description="Only those that come from there.")] = None,
    title: Annotated[str | None, Query(description="Only those whose title has each of these words in it.")] = None,
) -> VideoList:
    """The videos of up to 100 tokens. Tokens that are unknown are told, and fail none of the others."""
    services = services_of(request)
    tracked = services.submissions.find_all(tokens)
    told = _summaries(services, {each.row.video_id for each in tracked.values()})
    base_url = base_url_of(request)
    listed = [_listed(token, each, told.get(each.row.video_id, {}), base_url) for token, each in tracked.items()]
    fitting = [
        each
        for each in listed
        if (not status or each.status in status)
        and (not host or (each.host or "").casefold() == host.casefold())
        and all(word in (each.title or "").casefold() for word in (title or "").casefold().split())
    ]
    return VideoList(videos=fitting, unknown=[token for token in tokens if token not in tracked])


def _summaries(services: Services, video_ids: Collection[str]) -> Mapping[str, Mapping[str, Json | None]]:
    return newest_summaries(services.database, video_ids, [*TOLD_BY, LAST_STEP]) if video_ids else {}


def _listed(token: str, tracked: TrackedVideo, told: Mapping[str, Json | None], base_url: str) -> ListedVideo:
    row, known = tracked.row, about(told)
    page_url = f"{base_url}/video/{token}"
    made = (told.get(LAST_STEP) or {}).get("clips") or [] if row.outcome is Outcome.CLIPS else []
    best = f"{page_url}/clips/{made[0]['clip_id']}.{Role.THUMBNAIL.suffix}" if made else None
    return ListedVideo.model_validate(
        {
            **row.model_dump(include=set(ListedVideo.model_fields)),
            **known.model_dump(exclude={"title", "uploader"}),
            "token": token,
            "url": shown_address(tracked),
            "title": known.title or None,
            "host": host_of(row),
            "in_short": in_short(row.status, row.pipeline_step, row.outcome, len(made)),
            "clips": len(made),
            "thumbnail_url": best,
            "page_url": page_url,
        }
    )
