"""Changing the clips afterwards, for whoever has the token: what can be changed, and the changes."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from madvision_assets.domain.clip_edits import ENGINE, MOST_EDITS, EditRefusedError
from madvision_assets.domain.clips import ClipCandidate, clip_id
from madvision_assets.domain.failures import MissingInputError, UnknownVideoError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.wanted_edits import Edit
from madvision_assets.intake.limits import client_of
from madvision_assets.intake.problems import FieldError, ProblemError, documented
from madvision_assets.intake.public import BODY_PROBLEMS, COMMON_PROBLEMS
from madvision_assets.intake.services import Services, base_url_of, services_of
from madvision_assets.intake.status import NO_SUBMISSION, require_tracked
from madvision_assets.intake.submitting import admitted
from madvision_assets.intake.tokens import Token
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import TrackedVideo
from madvision_assets.work.editing import WORDS, Editable, Editing
from madvision_assets.work.replacing import BusyError, OutdatedError, require_idle

PATIENCE_S = 5.0  # somebody waits for the answer
WHO = "whoever has the token"
PROBLEMS = (
    "missing_token",
    "unknown_token",
    "clips_of_another",
    "no_moments",
    *COMMON_PROBLEMS,
)
OF_THE_STORE = {
    "newer_document": "503",
    "store_unavailable": "503",
    "database_unavailable": "503",
    "unreadable_document": "500",
}

router = APIRouter(prefix="/public", tags=["clips"])


class EditableClip(BaseModel):
    """A clip as it can be changed."""

    clip: Annotated[int, Field(description="Its number, as it is shown; edits name it.")]
    clip_id: str
    title: str
    reason: str
    start_s: float
    end_s: float


class EditableWord(BaseModel):
    """A word; edits name it by its place in the list, from 0."""

    text: str
    start_s: float
    end_s: float
    segment: Annotated[int, Field(description="Number of the sentence that it belongs to.")]


class ChosenPictures(BaseModel):
    """What is made of the clips' pictures."""

    renditions: Annotated[list[Shape], Field(description="Shapes besides the source's own, which is always there.")]
    captions: Annotated[
        CaptionStyle | None, Field(description="Burnt into these shapes, else the source's own; null for none.")
    ]


class EditableClips(ChosenPictures):
    """What can be changed of a video's clips."""

    video_id: str
    version: Annotated[str, Field(description="Edits name it, so that nobody changes what he has not seen.")]
    busy: Annotated[bool, Field(description="Whether the video is being processed: changes are refused meanwhile.")]
    duration_s: float
    language: str
    clips: list[EditableClip]
    words: list[EditableWord]


class EditRequest(BaseModel):
    """Changes: all are made, or none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[
        str, Field(max_length=100, description="Of the clips as they were when they were looked at.")
    ]  # fmt: skip
    edits: Annotated[
        list[Edit],
        Field(
            min_length=1,
            max_length=MOST_EDITS,
            examples=[[{"change": "trim", "clip": 2, "start_s": 62.5}, {"change": "drop", "clip": 3}]],
        ),
    ]
    dry_run: Annotated[bool, Field(description="Change nothing, and say what would come of it.")] = False


class EditAccepted(ChosenPictures):
    """The clips as they are to be."""

    video_id: str
    version: Annotated[str, Field(description="The new one; of a dry run the old one.")]
    clips: list[EditableClip]
    to_render: Annotated[list[int], Field(description="Numbers of the clips whose pictures are made; others stay.")]
    new_renditions: Annotated[
        list[str], Field(description="Pictures that are made of every clip, by role; the others of a clip stay.")
    ]
    dropped_renditions: Annotated[list[str], Field(description="Pictures that are not delivered any more, by role.")]
    status_url: str


@router.get(
    "/video/clips",
    responses=documented(*PROBLEMS, "invalid_request", **OF_THE_STORE),
)
def read_editable(request: Request, token: Token) -> EditableClips:
    """What can be changed of a video's clips: they themselves, and every word with its times."""
    return editable_of(services_of(request), token)


@router.patch(
    "/video/clips",
    status_code=202,
    responses=documented(
        *PROBLEMS, *BODY_PROBLEMS, "quota_spent", "edit_refused", "edit_outdated", "video_busy", **OF_THE_STORE
    ),
)  # fmt: skip
def edit_clips(request: Request, token: Token, asked: EditRequest) -> EditAccepted:
    """Trim, retitle, drop and add clips, and choose their shapes and captions. Points are snapped to words.

    Clips do not overlap. The pictures that change are rendered, and no other. All edits are made, or none.
    """
    services = services_of(request)
    row = _require_own(services, token).row
    video_id = row.video_id
    if not asked.dry_run:
        admitted(services, client_of(request.scope))
    editing = Editing(services.store, services.database, Queue(services.database), PATIENCE_S)
    try:
        if not asked.dry_run:
            require_idle(row, ENGINE, WORDS)  # before the store is read
        made = editing.make(video_id, asked.edits, version=asked.version, who=WHO, only_try=asked.dry_run)
    except EditRefusedError as refused:
        pointer = "/edits" if refused.number is None else f"/edits/{refused.number}"
        detail = str(refused)
        raise ProblemError("edit_refused", detail, errors=[FieldError(detail=detail, pointer=pointer)]) from refused
    except OutdatedError as outdated:
        raise ProblemError("edit_outdated", str(outdated)) from outdated
    except BusyError as busy:
        detail = "The video is being processed just now. Make the changes when that has ended."
        raise ProblemError("video_busy", detail) from busy
    except MissingInputError as missing:
        raise _no_moments() from missing
    except UnknownVideoError as deleted:
        raise ProblemError("unknown_token", NO_SUBMISSION) from deleted
    provenance = made.clips.provenance
    return EditAccepted(
        video_id=video_id,
        version=provenance.data_version if provenance else asked.version,
        clips=[_view(video_id, each) for each in made.clips.candidates],
        to_render=list(made.to_render),
        new_renditions=list(made.pictures.beyond(made.before)),
        dropped_renditions=list(made.pictures.without(made.before)),
        **dict(made.pictures),
        status_url=f"{base_url_of(request)}/public/video/status",
    )


def editable_of(services: Services, token: str) -> EditableClips:
    """What can be changed of the clips of a token's video.

    Raises:
        ProblemError: ``unknown_token``, ``clips_of_another`` or ``no_moments``.
        Failure: the store is away, or a document cannot be read here.
    """
    tracked = _require_own(services, token)
    video_id = tracked.row.video_id
    try:
        found = Editable.read(services.store, video_id)
    except MissingInputError as error:
        raise _no_moments() from error
    return EditableClips(
        video_id=video_id,
        version=found.version,
        busy=tracked.row.status is QueueStatus.RUNNING,
        duration_s=found.duration_s,
        language=found.said.language,
        clips=[_view(video_id, each) for each in found.chosen.candidates],
        words=[EditableWord(**word._asdict()) for word in found.words],
        **dict(found.pictures),
    )


def _view(video_id: str, candidate: ClipCandidate) -> EditableClip:
    told = candidate.model_dump(include={"title", "reason", "start_s", "end_s"})
    return EditableClip(clip=candidate.rank, clip_id=clip_id(video_id, candidate.rank), **told)


def _require_own(services: Services, token: str) -> TrackedVideo:
    """The video of a token that is its first; any other one is maybe a stranger's."""
    tracked = require_tracked(services, token)
    if not services.submissions.is_of_the_first(token):
        raise ProblemError(
            "clips_of_another",
            "This video was submitted before, and its clips are changed by the token of that first submission alone. "
            "Use that, or submit it with other options, such as another number of clips: it is not downloaded again, "
            "and has clips of your own, which you can change.",
        )
    return tracked


def _no_moments() -> ProblemError:
    return ProblemError("no_moments", "No moments are chosen of it yet. Look again when its clips are made.")
