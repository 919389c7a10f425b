"""What the API answers, as frozen values.

Names and meanings are those of its description, which tells more of each. Times in a video are seconds from its start;
points in time carry their zone. What a newer server says besides is passed over; what came later than the client has a
default, since an older server does not say it.
"""

from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

OVER = frozenset({"done", "failed", "parked"})


@dataclass(frozen=True)
class Receipt:
    """Of a submission. The token is shown this once, and is all it takes to see the video; so is the secret."""

    token: str
    video_id: str
    status: str
    status_url: str
    page_url: str
    callback_secret: str | None = None


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one part of a request: a JSON pointer into the body, or a parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


@dataclass(frozen=True)
class Problem:
    """Why something was refused, or failed: ``code`` is for programs, and ``detail`` for a person."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None


@dataclass(frozen=True)
class Span:
    """A range of time that something is expected to take."""

    low_s: float
    high_s: float


@dataclass(frozen=True)
class Step:
    """One of the steps; ``status`` is done, running, waiting, pending or failed."""

    step: str
    status: str
    progress: float


@dataclass(frozen=True)
class Clip:
    """A clip to watch and take; ``files`` are all its files, by role."""

    clip_id: str
    rank: int
    title: str
    reason: str
    score: float
    start_s: float
    end_s: float
    duration_s: float
    width: int
    height: int
    url: str | None
    captions_url: str | None
    subtitles_url: str | None
    thumbnail_url: str | None
    files: dict[str, str]
    failed: dict[str, str]


@dataclass(frozen=True)
class FailedClip:
    """A moment of which no clip came."""

    rank: int
    title: str
    sentence: str


@dataclass(frozen=True)
class Considered:
    """A moment that was proposed and not taken, and the rule that rejected it."""

    title: str
    score: float
    rule: str
    sentence: str
    details: str


@dataclass(frozen=True)
class VideoStatus:
    """Where a video stands, and its clips once they are made."""

    video_id: str
    url: str
    title: str | None
    uploader: str | None
    duration_s: float | None
    language: str | None
    kind: str | None
    host: str | None
    status: str
    pipeline_step: str
    progress: float
    step_progress: float
    message: str
    queue_place: int | None
    remaining_s: Span | None
    estimate: str
    priority: int
    retry: int
    attempt: int
    next_attempt_at: datetime | None
    failure_cause: str | None
    failure_details: str | None
    failure_class: str | None
    failure_sentence: str | None
    failure_technical: str | None
    next_step: str | None
    outcome: str | None
    outcome_reason: str | None
    provisional: bool | None
    steps: list[Step]
    transcript_model: str | None
    transcript_urls: dict[str, str]
    package_url: str | None
    timeline_urls: dict[str, str]
    clips: list[Clip]
    failed_clips: list[FailedClip]
    considered: list[Considered]
    may_edit: bool
    criteria: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    options: dict[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself; a video that waits is tried again."""
        return self.status in OVER

    @property
    def sentence(self) -> str:
        """How it ended, or why it waits, for a person; what is being done, where neither is to be told."""
        return self.failure_details or self.outcome_reason or self.message


@dataclass(frozen=True)
class ListedVideo:
    """A video in a list; its status tells more."""

    token: str
    video_id: str
    url: str
    title: str | None
    duration_s: float | None
    language: str | None
    kind: str | None
    host: str | None
    status: str
    in_short: str
    pipeline_step: str
    progress: float
    outcome: str | None
    clips: int
    thumbnail_url: str | None
    page_url: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class VideoList:
    """The videos of the tokens that were given, in their order, and the tokens that no submission has."""

    videos: list[ListedVideo]
    unknown: list[str]


@dataclass(frozen=True)
class ClipHit:
    """A clip in which a moment is shown."""

    clip_id: str
    title: str
    start_s: float
    end_s: float
    url: str


@dataclass(frozen=True)
class Moment:
    """A moment in which everything that was searched for is said."""

    video_id: str
    title: str | None
    start_s: float
    end_s: float
    text: str
    page_url: str
    clip: ClipHit | None


@dataclass(frozen=True)
class SearchResult:
    """What was found, newest videos first; ``next_before`` asks for more, and is None at the end."""

    moments: list[Moment]
    next_before: int | None


@dataclass(frozen=True)
class Deleted:
    """What became of a video whose submission is deleted; ``is_kept`` where somebody else submitted it too."""

    video_id: str
    is_kept: bool
    message: str


@dataclass(frozen=True)
class EditableClip:
    """A clip as it can be changed; edits name it by its number, ``clip``."""

    clip: int
    clip_id: str
    title: str
    reason: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class EditableWord:
    """A word; edits name it by its place in the list, from 0."""

    text: str
    start_s: float
    end_s: float
    segment: int


@dataclass(frozen=True)
class EditableClips:
    """What can be changed of a video's clips; edits name the version.

    ``renditions`` are their shapes besides the source's own, and ``captions`` the style of what is burnt in.
    """

    video_id: str
    version: str
    busy: bool
    duration_s: float
    language: str
    clips: list[EditableClip]
    words: list[EditableWord]
    renditions: list[str] = field(default_factory=list)
    captions: str | None = None


@dataclass(frozen=True)
class EditAccepted:
    """The clips as they are to be, and the numbers of those that are rendered.

    ``new_renditions`` are the pictures, by role, that are made of every clip; ``dropped_renditions`` are those that are
    not delivered any more.
    """

    video_id: str
    version: str
    clips: list[EditableClip]
    to_render: list[int]
    status_url: str
    renditions: list[str] = field(default_factory=list)
    captions: str | None = None
    new_renditions: list[str] = field(default_factory=list)
    dropped_renditions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class UploadStatus:
    """How much of a file has come, and what the whole file became."""

    offset_bytes: int
    size_bytes: int
    expires_at: datetime
    submission: Receipt | None = None


def read(kind: type[T], told: Any) -> T:
    """JSON as a value of this kind.

    Raises:
        ValueError: it has another form; says where.
    """
    value: T = _read(kind, told, kind.__name__)
    return value


def is_always_told(value: Field[Any]) -> bool:
    """Whether every server says it; what one may leave out has a default."""
    return value.default is MISSING and value.default_factory is MISSING


def _read(kind: Any, told: Any, place: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if told is None else _read(next(each for each in inner if each is not type(None)), told, place)
    if origin is list:
        return [_read(inner[0], each, f"{place}[{n}]") for n, each in enumerate(_checked(list, told, place))]
    if origin is dict:
        return dict(_checked(dict, told, place))
    if kind is datetime:
        return datetime.fromisoformat(_checked(str, told, place))
    if kind is float and isinstance(told, int):
        return float(told)
    return _dataclass(kind, told, place) if is_dataclass(kind) else _checked(kind, told, place)


def _dataclass(kind: Any, told: Any, place: str) -> Any:
    given, hints = _checked(dict, told, place), get_type_hints(kind)
    values = {}
    for each in fields(kind):
        if each.name in given:
            values[each.name] = _read(hints[each.name], given[each.name], f"{place}.{each.name}")
        elif is_always_told(each):
            raise ValueError(f"{place}.{each.name} is missing")
    return kind(**values)


def _checked(kind: type[T], told: Any, place: str) -> T:
    if not isinstance(told, kind):
        raise ValueError(f"{place} is {type(told).__name__}, and not {kind.__name__}")  # noqa: TRY004 - of the answer
    return told
