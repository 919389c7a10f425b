"""Search in what is said, for whoever has tokens: only in the videos of these."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from madvision_assets.domain.spoken import MAX_QUESTION_CHARS, BadQuestionError
from madvision_assets.intake.problems import FieldError, ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import base_url_of, services_of
from madvision_assets.intake.tokens import Tokens
from madvision_assets.work.searching import HIGHEST_ID, MAX_HITS, Found, FoundMoment, Search

router = APIRouter(prefix="/public", tags=["public"])


class ClipHit(BaseModel):
    """A clip in which the moment is shown."""

    clip_id: str
    title: str
    start_s: float
    end_s: float
    url: Annotated[str, Field(description="MP4.")]


class Hit(BaseModel):
    """A moment in which everything that was asked for is said."""

    video_id: str
    title: Annotated[str | None, Field(description="Of the video; null where nobody knows it.")]
    start_s: Annotated[float, Field(description="Of its first sentence, seconds from the start of the video.")]
    end_s: Annotated[float, Field(description="Of its last sentence.")]
    text: Annotated[str, Field(description="Its sentences, as plain text: escape it before it becomes HTML.")]
    page_url: str
    clip: ClipHit | None


class SearchResult(BaseModel):
    """What was found, newest videos first."""

    moments: list[Hit]
    next_before: Annotated[int | None, Field(description="Ask again with `before` for more; null at the end.")]


@router.get(
    "/search",
    responses=documented(
        "missing_token", "unknown_token", "invalid_request", *COMMON_PROBLEMS, database_unavailable="503"
    ),
)
def search(
    request: Request,
    tokens: Tokens,
    q: Annotated[str, Query(max_length=MAX_QUESTION_CHARS, description="Words, all of them; phrases in quotes.")],
    limit: Annotated[int, Query(ge=1, le=MAX_HITS)] = 20,
    before: Annotated[int | None, Query(ge=1, le=HIGHEST_ID)] = None,
) -> SearchResult:
    """Moments of one's own videos in which something is said, with the clip that has it. Unknown tokens are skipped."""
    services = services_of(request)
    mine = services.submissions.video_ids(tokens)
    if not mine:
        raise ProblemError("unknown_token", "No submission has one of these tokens. Check that they were copied whole.")
    by_video = {video_id: token for token, video_id in mine.items()}
    try:
        found = Search(services.database).find(q, limit, by_video, before)
    except BadQuestionError as error:
        raise _invalid("q", str(error)) from error
    return _result(found, by_video, base_url_of(request))


def _invalid(parameter: str, detail: str) -> ProblemError:
    return ProblemError("invalid_request", detail, errors=[FieldError(detail=detail, parameter=parameter)])


def _result(found: Found, by_video: dict[str, str], base_url: str) -> SearchResult:
    hits = [_hit(each, f"{base_url}/video/{by_video[each.video_id]}") for each in found.moments]
    return SearchResult(moments=hits, next_before=found.next_before)


def _hit(moment: FoundMoment, page_url: str) -> Hit:
    told = moment.model_dump(include={"video_id", "start_s", "end_s", "text"})
    clip = None
    if moment.clip is not None:
        url = f"{page_url}/clips/{moment.clip.clip_id}.mp4"
        clip = ClipHit(**moment.clip.model_dump(include={"clip_id", "title", "start_s", "end_s"}), url=url)
    return Hit(title=moment.title or None, page_url=page_url, clip=clip, **told)
