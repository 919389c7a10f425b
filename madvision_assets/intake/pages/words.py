"""The pages' words: what each state of a video is called, and what follows from it for its submitter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from madvision_assets.domain.clips import Outcome, Role
from madvision_assets.domain.edit_list import EditForm
from madvision_assets.domain.failures import FailureClass
from madvision_assets.domain.languages import NAMES
from madvision_assets.domain.next_steps import NextStep
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.sidecars import Sidecar
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.schemas import ClipView, VideoStatus

LONGEST_SHOWN_CHARS = 80

STEP_NAMES: Mapping[PipelineStep, str] = {step: step.stage.title for step in PipelineStep}
FORM_NAMES: Mapping[str, str] = {
    "txt": "text",
    "srt": "subtitles (SRT)",
    "vtt": "subtitles (WebVTT)",
    "json": "words with times (JSON)",
}
EDIT_NAMES: Mapping[str, str] = {form.value: form.program for form in EditForm}
_FILE_NAMES: Mapping[str, str] = {
    Role.SOURCE: "Clip (MP4)",
    Role.CAPTIONS: "Captions (SRT)",
    Role.THUMBNAIL: "Picture (JPEG)",
    Sidecar.SUBTITLES: "Captions (WebVTT)",
    Sidecar.STYLED: "Captions, word by word (ASS)",
    Sidecar.WORDS: "Words with times (JSON)",
    Sidecar.FACTS: "Facts (JSON)",
}
STEP_STATES: Mapping[str, str] = {
    "pending": "to come",
    "running": "under way",
    "waiting": "waiting",
    "done": "done",
    "failed": "failed",
}
_ENDED_WITHOUT: Mapping[Outcome, str] = {
    Outcome.NO_SPEECH: "Nothing is said in this video",
    Outcome.NOTHING_INSIGHTFUL: "No moment stood out",
    Outcome.TOO_SHORT: "The video is too short for clips",
}
# What can be done then; the options are those of the form.
_WITHOUT_CLIPS: Mapping[Outcome, str] = {
    Outcome.NO_SPEECH: (
        "If somebody does talk in it, name the language that is spoken under “More”, or send a version that is clearer."
    ),
    Outcome.NOTHING_INSIGHTFUL: (
        "Other moments may be found with a topic, with shorter or longer clips, or with a part of the video alone: "
        "all of these are under “More”."
    ),
    Outcome.TOO_SHORT: "Allow shorter clips under “More”, or submit a longer video.",
}
FROM_BEFORE = "The clips below are those from before."
_WITH_TRANSCRIPT = "The transcript is yours to take all the same: it is below."
_IN_SHORT: Mapping[QueueStatus, str] = {
    QueueStatus.QUEUED: "In the queue",
    QueueStatus.WAITING: "Waiting",
    QueueStatus.PARKED: "Set aside",
    QueueStatus.FAILED: "This did not work",
}

# What helps, what the button says, and whether the form is to have the address in it.
_HELP: Mapping[NextStep, tuple[str, str, bool]] = {
    NextStep.CORRECT_ADDRESS: ("Another try will not help as it is.", "Correct the address", True),
    NextStep.GIVE_ACCESS: (
        "Once the video can be seen without logging in, and from anywhere, submit it again.",
        "Submit it again",
        True,
    ),
    NextStep.GIVE_ANOTHER_FILE: ("Another try will not help as it is.", "Submit another video", False),
    NextStep.SUBMIT_AGAIN: ("", "Submit it again", True),
    NextStep.WAIT: ("It was tried several times; later it may work.", "Submit it again", True),
    NextStep.ASK_OPERATOR: ("Whoever runs this system can tell more, by the address of this page.", "", True),
}


class Tone(StrEnum):
    """How a state is coloured."""

    CALM = "calm"
    PAUSE = "pause"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class Told:
    """What a page says of a video.

    Attributes:
        title: for the browser's tab; begins with the state.
        headline: the state, in a few words.
        detail: what it means for the submitter.
        tone: its colour.
        reason: why it waits or ended; empty while all is well.
        technical: what was special to the case; shown to who asks for it.
        next_attempt_at: when a waiting video is tried again.
        advice: what the submitter can do about it.
        action: what the button says that leads to the form; empty for no button.
        keeps_address: whether the form is to have this address in it.
        message: what is being done right now.
    """

    title: str
    headline: str
    detail: str
    tone: Tone = Tone.CALM
    reason: str = ""
    technical: str = ""
    next_attempt_at: datetime | None = None
    advice: str = ""
    action: str = ""
    keeps_address: bool = True
    message: str = ""


def tell(status: VideoStatus) -> Told:
    """Put a video's state into words."""
    told = _tell(status)
    is_from_before = bool(status.clips) and status.status is not QueueStatus.DONE
    return replace(told, detail=f"{told.detail} {FROM_BEFORE}") if is_from_before else told


def _tell(status: VideoStatus) -> Told:
    match status.status:
        case QueueStatus.QUEUED:
            return Told("In the queue", "In the queue", "It starts as soon as there is room for it.")
        case QueueStatus.RUNNING:
            doing = status.pipeline_step.stage.doing
            detail = "This page follows by itself. You may close it and come back at any time."
            return Told(f"{percent(status.progress)} {doing}", doing, detail, message=status.message)
        case QueueStatus.WAITING:
            return _tell_waiting(status)
        case QueueStatus.DONE:
            return _tell_done(status)
        case QueueStatus.PARKED:
            detail = "It was set aside for a person to look into, and is not tried again by itself."
            return _with_reason(Told("Set aside", "Set aside", detail, Tone.BAD), status)
        case QueueStatus.FAILED:
            told = Told("Did not work", "This did not work", "It is not tried again by itself.", Tone.BAD)
            advice, action, keeps_address = _HELP[status.next_step or NextStep.ASK_OPERATOR]
            return replace(_with_reason(told, status), advice=advice, action=action, keeps_address=keeps_address)


def in_short(status: QueueStatus, step: PipelineStep, outcome: Outcome | None, clips: int) -> str:
    """A video's state in a few words, as a list has it."""
    if status is QueueStatus.RUNNING:
        return step.stage.doing
    if status is not QueueStatus.DONE:
        return _IN_SHORT[status]
    if outcome is not None and outcome in _ENDED_WITHOUT:
        return _ENDED_WITHOUT[outcome]
    return _ready(clips) if clips else "The clips are cut"


def _ready(clips: int) -> str:
    return "One clip is ready" if clips == 1 else f"{clips} clips are ready"


def shortened(address: str) -> str:
    """The address with its middle left out where it is long; both ends tell what it is."""
    if len(address) <= LONGEST_SHOWN_CHARS:
        return address
    return f"{address[: LONGEST_SHOWN_CHARS // 2]}…{address[-LONGEST_SHOWN_CHARS // 4 :]}"


def file_name(role: str) -> str:
    """What a file of a clip is called; one that this version has no name for by its role."""
    return _FILE_NAMES.get(role) or role.replace("_", " ").capitalize()


def shapes_of(clip: ClipView) -> list[tuple[str, str]]:
    """What the pictures beside the source's own shape are called, and where each is."""
    pictures = ((role, url) for role, url in clip.files.items() if role != Role.SOURCE and url.endswith(".mp4"))
    return [(file_name(role), url) for role, url in pictures]


def clock(seconds: float) -> str:
    """A time in a video: ``m:ss`` or ``h:mm:ss``."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def facts(status: VideoStatus) -> str:
    """What is known of a video besides its title, on one line; empty before anything is."""
    told = (
        status.uploader,
        length(status.duration_s) if status.duration_s is not None else None,
        NAMES.get(status.language, status.language).title() if status.language else None,
        status.kind,
        status.host,
    )
    return " \u00b7 ".join(filter(None, told))


def length(seconds: float) -> str:
    """How long a clip is: ``45 s`` or ``1 min 5 s``."""
    minutes, rest_s = divmod(round(seconds), 60)
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def utc(moment: datetime) -> str:
    """A point in time for readers whose browser does not turn it into their own."""
    return f"{moment.astimezone(UTC):%H:%M UTC, %-d %B %Y}"


def percent(fraction: float) -> str:
    """A fraction as a whole percentage, never rounded up to the end."""
    return f"{int(fraction * 100)}%"


def _tell_waiting(status: VideoStatus) -> Told:
    detail = "It goes on by itself at the step that it has reached; nothing is done twice."
    if status.failure_class == FailureClass.OPERATOR:
        detail = "Whoever runs this system has to mend something; then it goes on by itself."
    told = Told("Waiting", "Waiting", detail, Tone.PAUSE, "It is tried again soon.")
    return replace(_with_reason(told, status), next_attempt_at=status.next_attempt_at)


def _with_reason(told: Told, status: VideoStatus) -> Told:
    """The same, with what happened, as far as that is known."""
    return replace(told, reason=status.failure_sentence or told.reason, technical=status.failure_technical or "")


def _tell_done(status: VideoStatus) -> Told:
    outcome = Outcome(status.outcome or Outcome.CLIPS)
    if outcome is not Outcome.CLIPS:
        headline = _ENDED_WITHOUT[outcome]
        told = Told(headline, headline, status.outcome_reason or "There is nothing to cut.")
        advice = f"{_WITHOUT_CLIPS[outcome]} {_WITH_TRANSCRIPT if status.transcript_urls else ''}".strip()
        from_file = status.host is None
        action = "Send it again otherwise" if from_file else "Submit it again otherwise"
        return replace(told, advice=advice, action=action, keeps_address=not from_file)
    if not status.clips:  # the store is away for the moment
        return Told("Done", "The clips are cut", status.message or "They cannot be listed at the moment.", Tone.GOOD)
    headline = _ready(len(status.clips))
    lost = "".join(f" No clip of “{each.title}”: {each.sentence}" for each in status.failed_clips)
    lost += "".join(_without(each.title, each.failed) for each in status.clips)
    return Told(headline, headline, f"Best first. Watch them here, or take them with you.{lost}", Tone.GOOD)


def _without(title: str, failed: Mapping[str, str]) -> str:
    """The pictures that a clip lacks, those of one cause together."""
    by_cause: dict[str, list[str]] = {}
    for role, sentence in failed.items():
        by_cause.setdefault(sentence, []).append(file_name(role).lower())
    return "".join(f" “{title}” is without {', '.join(names)}: {why}" for why, names in by_cause.items())


def size(size_bytes: int) -> str:
    """A size in the unit that suits it, such as ``21.5 GB``."""
    for unit, unit_bytes in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.3g} {unit}"
    return f"{size_bytes} bytes"
