"""Clip candidates (the moments worth cutting) and clips (the files that came of them)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Self, overload

from pydantic import Field

from madvision_assets.domain.documents import Document, Json, ObjectRef, Upcaster
from madvision_assets.domain.framing import Framing
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.renditions import RENDITIONS


class Outcome(StrEnum):
    """How a finished video ended; only ``clips`` comes with clips."""

    CLIPS = "clips"
    NO_SPEECH = "no_speech"
    NOTHING_INSIGHTFUL = "nothing_insightful"
    TOO_SHORT = "too_short"


class RejectionRule(StrEnum):
    """Why a proposed moment was not taken."""

    MALFORMED = "malformed"
    NOT_TALK = "not_talk"
    UNKNOWN_SEGMENT = "unknown_segment"
    QUOTE_NOT_FOUND = "quote_not_found"
    QUOTE_TOO_SHORT = "quote_too_short"
    TOO_SHORT = "too_short"
    OVERLAPS_BETTER = "overlaps_better"
    OVER_LIMIT = "over_limit"
    WEAK = "weak"


def _is_empty(value: object) -> bool:
    return not value


def _is_unknown(value: object) -> bool:
    return value is None


# Fields that came later are left out where nothing is told: documents stay as they were, for versions before them too.
Words = Annotated[int | None, Field(ge=0, exclude_if=_is_unknown)]
Seconds = Annotated[float | None, Field(exclude_if=_is_unknown)]


class Moment(Value):
    """A stretch of whole segments that an analyst proposes; times are derived from it by code, never by a model.

    Attributes:
        first_segment: ID of the first segment, inclusive.
        last_segment: ID of the last segment, inclusive.
        title: for a person, at most about 80 characters.
        reason: why it stands on its own, a sentence.
        quote: words from it, verbatim.
        score: 0 to 1, comparable within one video.
        criteria: what each thing that the analyst judged came to, by its name. Of a language model the parts that add
            up to the score, before the moments of several windows were ranked; of rules the terms of the fitted model,
            in its unit. Empty where nobody told.
    """

    first_segment: int
    last_segment: int
    title: str
    reason: str
    quote: str = ""
    score: Annotated[float, Field(ge=0, le=1)]
    criteria: Annotated[Mapping[str, float], Field(exclude_if=_is_empty)] = {}


class ClipCandidate(Value):
    """A moment with the times at which it will be cut: half-open, seconds from the start of the video.

    Attributes:
        criteria: as of the moment.
        words: said in it; None where an older version chose it.
    """

    rank: Annotated[int, Field(ge=1)]
    start_s: Annotated[float, Field(ge=0)]
    end_s: float
    title: str
    reason: str
    quote: str
    score: Annotated[float, Field(ge=0, le=1)]
    first_segment: int
    last_segment: int
    criteria: Annotated[Mapping[str, float], Field(exclude_if=_is_empty)] = {}
    words: Words = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


class RejectedMoment(Value):
    """A moment that was not taken, with the rule that rejected it.

    Attributes:
        start_s: of its first segment, seconds from the start of the video; None where there is none of that number, and
            where an older version rejected it.
        end_s: of its last segment, likewise.
        words: said in these segments; likewise.
    """

    moment: Moment
    rule: RejectionRule
    details: str = ""
    start_s: Seconds = None
    end_s: Seconds = None
    words: Words = None


class FailedWindow(Value):
    """A stretch of the transcript that the analyst could not read, so that its moments are missing.

    Attributes:
        first_segment: ID of its first segment, inclusive.
        last_segment: ID of its last segment, inclusive.
        cause: code of the failure.
        details: what is special to it.
    """

    first_segment: int
    last_segment: int
    cause: str
    details: str = ""


class Change(StrEnum):
    """What a person does to the clips."""

    TRIM = "trim"
    RETITLE = "retitle"
    DROP = "drop"
    ADD = "add"


class MadeEdit(Value):
    """A change that a person made: what was proposed, and what the person made of it. A label for evaluation.

    Attributes:
        change: what was done.
        rank: of the clip.
        before: the moment as it was; None where it was added.
        after: as it is; None where it was dropped.
        version: of the document that it was made on.
        who: made it, as far as it is known.
    """

    change: Change
    rank: int
    before: ClipCandidate | None = None
    after: ClipCandidate | None = None
    version: str
    who: str = ""


class ClipCandidates(Document):
    """The chosen moments, best first, every moment that was proposed and not taken, and what could not be read.

    Attributes:
        edits: what people have changed since the moments were chosen, the first one first.
    """

    asset: ClassVar[str] = "clip_candidates"
    # Version 2 has more rules, and stretches that could not be read.
    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: lambda document: document}

    schema_version: int = 2

    outcome: Outcome
    outcome_reason: str
    candidates: tuple[ClipCandidate, ...] = ()
    rejected: tuple[RejectedMoment, ...] = ()
    failed_windows: tuple[FailedWindow, ...] = ()
    provisional: bool = False
    edits: Annotated[tuple[MadeEdit, ...], Field(exclude_if=_is_empty)] = ()


class Role(StrEnum):
    """What a file of a clip is for; a new rendition is a row here, and what makes it (``tools.media.outputs``).

    Attributes:
        suffix: of its name, after the clip's ID and a dot; its last part is the extension.
        media_type: MIME type.
    """

    suffix: str
    media_type: str

    @overload
    def __new__(cls, name: str) -> Self: ...
    @overload
    def __new__(cls, name: str, suffix: str, media_type: str) -> Self: ...
    def __new__(cls, name: str, suffix: str = "", media_type: str = "") -> Self:
        """A member; with its name alone, mypy takes it for a look-up."""
        member = str.__new__(cls, name)
        member._value_, member.suffix, member.media_type = name, suffix, media_type
        return member

    SOURCE = "source", "mp4", "video/mp4"
    CAPTIONS = "captions", "srt", "application/x-subrip"
    THUMBNAIL = "thumbnail", "jpg", "image/jpeg"
    SOURCE_CAPTIONS = "source_captions", "captions.mp4", "video/mp4"
    VERTICAL = "vertical", "vertical.mp4", "video/mp4"
    VERTICAL_CAPTIONS = "vertical_captions", "vertical.captions.mp4", "video/mp4"
    SQUARE = "square", "square.mp4", "video/mp4"
    SQUARE_CAPTIONS = "square_captions", "square.captions.mp4", "video/mp4"
    PORTRAIT = "portrait", "portrait.mp4", "video/mp4"
    PORTRAIT_CAPTIONS = "portrait_captions", "portrait.captions.mp4", "video/mp4"

    @property
    def is_rendition(self) -> bool:
        """Whether it is a picture that is made only where it is asked for."""
        return self.value in RENDITIONS


class Method(StrEnum):
    """How a clip's frames came about: the source's own but for its ends, or all coded anew."""

    COPIED = "copied"
    CODED_ANEW = "coded_anew"


class Clip(Value):
    """A clip that was cut, checked (decoded whole where it was coded anew, else compared with the source) and stored.

    Attributes:
        clip_id: ``<video_id>.<rank as two digits or more>``.
        start_s: start in the source video, seconds.
        end_s: end in the source video, seconds.
        duration_s: of the file, measured after cutting.
        audio_video_offset_s: start of the audio less start of the video, measured.
        files: what was made of it, by role: those of ``Role``, and, of a newer version, perhaps others.
        framings: which part of it each other shape shows, by the shape's name.
        failed: why a picture that was asked for is not there, by role: the failure's code and sentence.
        method: how its frames came about; None in documents that do not say.
        method_reason: why all of it was coded anew.
        copied_frames: how many of its frames are the source's own bytes.
    """

    clip_id: str
    rank: int
    title: str
    reason: str
    score: float
    start_s: float
    end_s: float
    duration_s: float
    audio_video_offset_s: float
    width: int
    height: int
    files: Mapping[str, ObjectRef]
    framings: Annotated[Mapping[str, Framing], Field(exclude_if=_is_empty)] = {}
    failed: Annotated[Mapping[str, str], Field(exclude_if=_is_empty)] = {}
    method: Method | None = None
    method_reason: str = ""
    copied_frames: int = 0

    def file(self, role: Role) -> ObjectRef | None:
        """The file of this role; None where none was made, as a newer version may have it."""
        return self.files.get(role)


class FailedClip(Value):
    """A moment of which no clip came, while others did.

    Attributes:
        rank: of its candidate.
        title: of its candidate.
        cause: code of the failure.
        details: what is special to it.
    """

    rank: int
    title: str
    cause: str
    details: str = ""


def _files_by_role(clips: Json) -> Json:
    """Version 1 had a field for each of the three files that there were."""
    fields = {"media": Role.SOURCE, "captions": Role.CAPTIONS, "thumbnail": Role.THUMBNAIL}
    for clip in clips["clips"]:
        clip["files"] = {role.value: clip.pop(field) for field, role in fields.items()}
    return clips


class Clips(Document):
    """Manifest of a video's clips, best first; without any, ``outcome`` says why.

    Attributes:
        provisional: True where rules stood in for a language model.
        failed: moments of which no clip came; without any clip, the whole fails.
    """

    asset: ClassVar[str] = "clips"
    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: _files_by_role}

    schema_version: int = 2

    outcome: Outcome
    outcome_reason: str
    clips: tuple[Clip, ...] = ()
    provisional: bool = False
    failed: tuple[FailedClip, ...] = ()


def clip_id(video_id: str, rank: int) -> str:
    """ID of a clip: its video's ID and its rank."""
    return f"{video_id}.{rank:02d}"
