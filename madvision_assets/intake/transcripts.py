"""What is said in a video, for whoever has the token: subtitles, text, words."""

from fastapi import APIRouter, Request, Response

from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import services_of
from madvision_assets.intake.status import require_tracked
from madvision_assets.tools.store.documents import read_current

router = APIRouter(tags=["clips"])


@router.get(
    "/video/{token}/transcript.{form}",
    response_class=Response,
    responses={
        200: {
            "description": "The transcript",
            "content": {each.media_type.partition(";")[0]: {"schema": {"type": "string"}} for each in Form},
        },
        **documented(
            "unknown_token",
            "no_transcript",
            "invalid_request",
            *COMMON_PROBLEMS,
            newer_document="503",
            store_unavailable="503",
            unreadable_document="500",
        ),
    },
)
def read_transcript(request: Request, token: str, form: Form) -> Response:
    """What is said: ``srt`` and ``vtt`` (subtitles), ``txt`` (paragraphs), ``json`` (words with their times)."""
    services = services_of(request)
    video_id = require_tracked(services, token).row.video_id
    try:
        transcript = read_current(services.store, Transcript, video_id)
    except MissingInputError as error:
        raise ProblemError("no_transcript", "Nothing is transcribed of it yet. Look again later.") from error
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'inline; filename="transcript.{form}"',
        "Content-Language": transcript.language,
    }
    return Response(rendered(transcript, form), headers=headers, media_type=form.media_type)
