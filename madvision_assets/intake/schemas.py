"""What the API takes and gives. Times are seconds from the start of the video; points in time carry their zone."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from madvision_assets.domain.addresses import MAX_ADDRESS_CHARS
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.estimates import Span
from madvision_assets.domain.failures import FailureClass
from madvision_assets.domain.next_steps import NextStep
from madvision_assets.domain.provenance import VIDEO_ID_PATTERN
from madvision_assets.domain.queue import MAX_PRIORITY, QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options

MAX_BATCH = 1000
EXAMPLE_URL = "https://www.youtube.com/watch?v=aqz-KE-bpKQ"


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is as whole as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Priority = Annotated[
    int,
    Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="A higher one is done earlier; 0 is usual."),
    BeforeValidator(_whole),
]
PublicPriority = Annotated[
    int,
    Field(ge=-MAX_PRIORITY, le=0, description="0 is usual; a lower one is done later."),
    BeforeValidator(_whole),
]
Address = Annotated[
    str, Field(min_length=1, max_length=MAX_ADDRESS_CHARS, json_schema_extra={"format": "uri"}, examples=[EXAMPLE_URL])
]


class _Asked(BaseModel):
    """What a client sends: no unknown names, and no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ClipOptions(Options):
    """What is asked of the clips (lengths are seconds), and of what is written down."""

    model_config = ConfigDict(strict=True)

    @field_validator("max_clips", mode="before")
    @classmethod
    def _whole_number(cls, value: Any) -> Any:
        return _whole(value)

    @model_validator(mode="after")
    def _shortest_first(self) -> Self:
        if self.min_clip_s > self.max_clip_s:
            raise ValueError("min_clip_s must not be more than max_clip_s")
        return self


class _OfVideo(_Asked):
    """What may be asked of a video, however it comes."""

    priority: PublicPriority = 0
    callback_url: Annotated[
        Address | None, Field(description="Told by POST when processing ends, signed with the callback's secret.")
    ] = None
    options: Annotated[
        ClipOptions | None, Field(description="Each way to hear and cut a video is one of its own, with its own clips.")
    ] = None


class SubmissionRequest(_OfVideo):
    """One video to process."""

    url: Annotated[Address, Field(description="Address of a page or file that plays a video; http or https.")]


class UploadRequest(_OfVideo):
    """A file to process, which is sent."""

    name: str = ""


class BatchRequest(_Asked):
    """Many videos; each is taken or refused by itself."""

    videos: Annotated[
        list[Any],
        Field(
            min_length=1,
            max_length=MAX_BATCH,
            description="Each as for POST /public/video.",
            examples=[[{"url": EXAMPLE_URL}]],
        ),
    ]


class SubmissionAccepted(BaseModel):
    """The receipt of a submission. Keep the token: it is shown this once, and is all it takes to see the clips."""

    token: str
    video_id: str
    status: QueueStatus
    status_url: str
    page_url: str
    callback_secret: Annotated[
        str | None,
        Field(
            description="Key of the callbacks' signatures (Standard Webhooks, HMAC-SHA256); shown this once, and only "
            "with a callback."
        ),
    ] = None


class UploadStatus(BaseModel):
    """How much of a file has come."""

    offset_bytes: Annotated[int, Field(description="So many bytes have come, and are kept.")]
    size_bytes: int
    expires_at: Annotated[AwareDatetime, Field(description="Without a byte more it is given up then.")]
    submission: Annotated[SubmissionAccepted | None, Field(description="What the whole file became.")] = None


class ProcessingRequest(_Asked):
    """A video to process again, or for the first time."""

    video_id: Annotated[str, Field(pattern=VIDEO_ID_PATTERN, examples=["youtube-aqz-KE-bpKQ"])]
    from_step: Annotated[
        PipelineStep | None,
        Field(strict=False, description="This step and all later ones are done again; null goes on where it stopped."),
    ] = None
    priority: Priority | None = None


class ProcessingAccepted(BaseModel):
    """How the queue has the video now."""

    video_id: str
    status: QueueStatus
    pipeline_step: PipelineStep
    from_step: PipelineStep | None
    priority: int
    attempt: int


class StepView(BaseModel):
    """One of the steps."""

    step: PipelineStep
    status: Literal["done", "running", "waiting", "pending", "failed"]
    progress: Annotated[float, Field(description="Of this step, 0 to 1.")]


class ClipView(BaseModel):
    """A clip to watch and take."""

    clip_id: str
    rank: Annotated[int, Field(description="1 is the best.")]
    title: str
    reason: Annotated[str, Field(description="Why it stands on its own.")]
    score: Annotated[float, Field(description="0 to 1, comparable within one video.")]
    start_s: float
    end_s: float
    duration_s: Annotated[float, Field(description="Of the file, measured after cutting.")]
    width: int
    height: int
    url: Annotated[str | None, Field(description="MP4.")]
    captions_url: Annotated[str | None, Field(description="SubRip (SRT).")]
    subtitles_url: Annotated[str | None, Field(description="WebVTT, for a track element.")]
    thumbnail_url: Annotated[str | None, Field(description="JPEG.")]
    files: Annotated[dict[str, str], Field(description="Every file by its role, such as `source`, `words`.")]
    failed: Annotated[
        dict[str, str],
        Field(description="Pictures that were asked for and could not be made, by role: why, and what to do."),
    ] = {}


class FailedClipView(BaseModel):
    """A moment of which no clip came."""

    rank: int
    title: str
    sentence: Annotated[str, Field(description="What happened and what to do, for a person.")]


class ConsideredView(BaseModel):
    """A moment that was proposed and not taken."""

    title: str
    score: Annotated[float, Field(description="0 to 1, comparable within one video.")]
    rule: Annotated[str, Field(description="Code of the rule that rejected it, such as `overlaps_better`.")]
    sentence: Annotated[str, Field(description="The rule for a person.")]
    details: Annotated[str, Field(description="What was special to it.")]


class VideoStatus(BaseModel):
    """Where a video stands."""

    video_id: str
    url: str
    title: Annotated[str | None, Field(description="As its site or its file has it; null before it is known.")]
    uploader: Annotated[str | None, Field(description="Whose it is, as its site has it.")]
    duration_s: Annotated[float | None, Field(description="Of the video; null before it is downloaded.")]
    language: Annotated[str | None, Field(description="Of the transcript, ISO 639-1; null before it is heard.")]
    kind: Annotated[str | None, Field(description="Of the content, such as `interview`; null before it is known.")]
    host: Annotated[str | None, Field(description="Where it comes from: a site or a host; null for a file.")]
    status: QueueStatus
    pipeline_step: Annotated[PipelineStep, Field(description="The step under way, or the next one to be done.")]
    progress: Annotated[float, Field(description="Of the whole, 0 to 1.")]
    step_progress: Annotated[float, Field(description="Of the step, 0 to 1.")]
    message: Annotated[str, Field(description="What is being done, in a few words.")]
    queue_place: Annotated[
        int | None, Field(description="1 is next; null where it does not wait for its turn, or is beyond 1000.")
    ]
    remaining_s: Annotated[
        Span | None, Field(description="Until it is done, going by other videos; null where too little was measured.")
    ]
    estimate: Annotated[str, Field(description="Both for a person; empty where neither can be told.")]
    priority: int
    retry: Annotated[int, Field(description="Retries used up by failures of this video's own.")]
    attempt: Annotated[int, Field(description="Counts every start.")]
    next_attempt_at: Annotated[datetime | None, Field(description="When a waiting video is tried again.")]
    failure_cause: Annotated[str | None, Field(description="Stable code of the failure.")]
    failure_details: Annotated[str | None, Field(description="What happened and what to do, for a person.")]
    failure_class: FailureClass | None
    failure_sentence: Annotated[str | None, Field(description="Its first part, the same for each cause.")]
    failure_technical: Annotated[str | None, Field(description="The rest: what was special to this case.")]
    next_step: Annotated[NextStep | None, Field(description="What whoever submitted it can do about the failure.")]
    outcome: Annotated[
        Outcome | None,
        Field(description="How it ended; only `clips` comes with clips. While it is made again, as before."),
    ]
    outcome_reason: str | None
    provisional: Annotated[
        bool | None, Field(description="Whether rules chose, for want of a language model; null before it is known.")
    ]
    steps: list[StepView]
    transcript_model: Annotated[
        str | None, Field(description="Which model heard it, with a hash of its weights; null before it is heard.")
    ]
    transcript_urls: Annotated[
        dict[str, str],
        Field(description="What is said, by form: `txt`, `srt`, `vtt`, `json`; none before it is heard."),
    ]
    package_url: Annotated[str | None, Field(description="Every file of every clip, and the edits, as a ZIP.")]
    timeline_urls: Annotated[
        dict[str, str],
        Field(description="The clips as an edit of the source, by form: `otio`, `fcpxml`, `xml` (Premiere), `edl`."),
    ]
    clips: Annotated[list[ClipView], Field(description="Best first; while they are made again, those from before.")]
    failed_clips: Annotated[
        list[FailedClipView], Field(description="Moments of which no clip came; the others are in `clips`.")
    ] = []
    considered: Annotated[
        list[ConsideredView], Field(description="Moments that were proposed and not taken, best first; 50 at most.")
    ] = []
    may_edit: Annotated[
        bool, Field(description="Whether this token changes the clips now: that of the first submission, once done.")
    ] = False
    criteria: Annotated[
        str | None, Field(description="What a language model was told to look for in this kind; null where none was.")
    ] = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None
    options: Options
