"""What the lineage tells of a document's contents: the few facts that analysts ask of thousands of documents.

Each is a JSON object, kept with the row of the materialisation; the views (``docs/analysts.md``) are made of them.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import fmean
from typing import Any

from pydantic import ValidationError

from madvision_assets.domain.clips import ClipCandidates, Clips, Role
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document, Json
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo

TITLE_CHARS, REASON_CHARS = 200, 300
# A talk of ten hours has some hundreds; a hostile analyst might propose more.
MOST_MOMENTS = 1000


class About(Value):
    """What a video is called, and what it is; empty or None where that is not known yet.

    Attributes:
        title: as its site or its file has it, cleaned, on one line.
        uploader: likewise.
        duration_s: of the video, seconds.
        language: of the transcript, ISO 639-1.
        kind: of the content.
    """

    title: str = ""
    uploader: str = ""
    duration_s: float | None = None
    language: str | None = None
    kind: str | None = None


class ShownClip(Value):
    """A clip, as far as its summary tells; times in seconds from the start of the video."""

    clip_id: str
    rank: int
    title: str = ""
    start_s: float
    end_s: float


# The stages that tell it; each field stands in one of their summaries, and in no other's but what is heard of it again.
TOLD_BY: Mapping[str, tuple[str, ...]] = {
    "raw_video": ("title", "uploader", "duration_s"),
    "transcript": ("language",),
    "content_type": ("kind",),
}


def about(summaries: Mapping[str, Json | None]) -> About:
    """What the newest summaries of a video's stages, by stage, say of it; another version's may lack anything."""
    told = {name: (summaries.get(step) or {}).get(name) for step, names in TOLD_BY.items() for name in names}
    return About.model_validate({name: value for name, value in told.items() if value is not None})


def shown_clips(summary: Json | None) -> tuple[ShownClip, ...]:
    """The clips that a summary of ``clips`` tells of, best first; another version's may lack anything."""
    told = (summary or {}).get("clips")
    shown: list[ShownClip] = []
    for each in told if isinstance(told, list) else ():
        with suppress(ValidationError):
            shown.append(ShownClip.model_validate(each, extra="ignore"))
    return tuple(sorted(shown, key=lambda clip: clip.rank))


def summary_of(document: Document) -> Json | None:
    """The facts of a document; None of a kind that this version does not know.

    Lengths are in seconds, sizes in bytes; texts of strangers are cleaned and shortened.
    """
    summarise = _OF.get(type(document))
    return summarise(document) if summarise else None


def _raw_video(document: RawVideo) -> Json:
    return {
        "title": cleaned(document.source.title, TITLE_CHARS),
        "uploader": cleaned(document.source.uploader, TITLE_CHARS),
        "duration_s": document.info.duration_s,
        "width": document.info.width,
        "height": document.info.height,
        "size_bytes": document.media.size_bytes,
    }


def _transcript(document: Transcript) -> Json:
    probabilities = [word.probability for word in document.words if word.probability is not None]
    return {
        "language": document.language,
        "translated_from": document.translated_from,
        "duration_s": document.duration_s,
        "segments": len(document.segments),
        "words": len(document.words),
        "probability": round(fmean(probabilities), 4) if probabilities else None,
    }


def _content_type(document: ContentType) -> Json:
    return {
        "kind": document.kind.value,
        "confidence": document.confidence.value,
        "topics": [cleaned(topic, TITLE_CHARS) for topic in document.topics],
        "provisional": document.provisional,
    }


def _clip_candidates(document: ClipCandidates) -> Json:
    chosen = [
        {
            **_named(each.title, each.reason),
            "rank": each.rank,
            "rule": None,
            "score": each.score,
            "first_segment": each.first_segment,
            "last_segment": each.last_segment,
            "start_s": each.start_s,
            "end_s": each.end_s,
            "words": each.words,
            "quote": cleaned(each.quote, REASON_CHARS),
            "criteria": dict(each.criteria),
        }
        for each in document.candidates
    ]
    rejected = [
        {
            **_named(each.moment.title, each.details),
            "rank": None,
            "rule": each.rule.value,
            "score": each.moment.score,
            "first_segment": each.moment.first_segment,
            "last_segment": each.moment.last_segment,
            "start_s": each.start_s,
            "end_s": each.end_s,
            "words": each.words,
            "quote": cleaned(each.moment.quote, REASON_CHARS),
            "criteria": dict(each.moment.criteria),
        }
        for each in document.rejected
    ]
    return {
        "outcome": document.outcome.value,
        "provisional": document.provisional,
        "unread_windows": len(document.failed_windows),
        "moments": [*chosen, *rejected][:MOST_MOMENTS],
    }


def _clips(document: Clips) -> Json:
    clips = []
    for each in document.clips:
        source = each.file(Role.SOURCE)
        told = {
            **_named(each.title, each.reason),
            **each.model_dump(
                include={"clip_id", "rank", "score", "start_s", "end_s", "duration_s", "width", "height"}
            ),
            "size_bytes": source.size_bytes if source else None,
        }
        clips.append(told)
    return {"outcome": document.outcome.value, "provisional": document.provisional, "clips": clips}


def _named(title: str, reason: str) -> dict[str, str]:
    return {"title": cleaned(title, TITLE_CHARS), "reason": cleaned(reason, REASON_CHARS)}


_OF: Mapping[type[Document], Callable[[Any], Json]] = {
    RawVideo: _raw_video,
    Transcript: _transcript,
    ContentType: _content_type,
    ClipCandidates: _clip_candidates,
    Clips: _clips,
}
