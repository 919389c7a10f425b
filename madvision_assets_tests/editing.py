"""A video's documents as editors take them: clips cut by the real plan out of a source of any frame rate."""

import hashlib
from fractions import Fraction
from typing import Any, TypeVar

from madvision_assets.domain.clips import (
    Clip,
    ClipCandidate,
    ClipCandidates,
    Clips,
    Moment,
    Outcome,
    RejectedMoment,
    RejectionRule,
    clip_id,
)
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.cutting import CutPlan, plan_cut
from madvision_assets.domain.documents import Document, ObjectRef
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import MediaInfo, RawVideo, SourceMetadata
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.builders import transcript_of
from madvision_assets_tests.stores import sealed

D = TypeVar("D", bound=Document)

VIDEO_ID = "web-0123456789abcdef"
# Begin and end of what is taken, seconds, best first: one begins at 0, two touch, one is at the end.
MOMENTS = ((3599.4, 3642.02), (0.0, 10.0), (61.337, 100.001), (100.001, 131.9), (7150.5, 7200.0))
TITLES = ("Größe & <Maß>", "The first one", 'A "quoted" one', "What touches it", "結論 — the end")
LENGTH_S = 7200.0
REJECTED = (700.25, 733.5)


def info(fps: Fraction, **other: object) -> MediaInfo:
    """A source of two hours with two channels of sound."""
    usual = {
        "container": "mp4", "duration_s": LENGTH_S, "advertised_duration_s": LENGTH_S, "width": 1920, "height": 1080,
        "fps": float(fps), "max_frame_gap_s": float(1 / fps), "video_codec": "h264", "audio_codec": "aac",
        "audio_rate_hz": 48_000, "audio_channels": 2,
    }  # fmt: skip
    return MediaInfo.model_validate({**usual, **other})


def plans(source: MediaInfo) -> list[CutPlan]:
    """How the moments are cut."""
    return [plan_cut(*moment, source) for moment in MOMENTS]


def clips(source: MediaInfo) -> Clips:
    """The clips that the plans make."""
    made = tuple(
        Clip(
            clip_id=clip_id(VIDEO_ID, rank), rank=rank, title=title, reason=f"Reason {rank}.", score=1 - rank / 10,
            start_s=plan.start_s, end_s=plan.end_s, duration_s=plan.duration_s, audio_video_offset_s=0.0,
            width=source.width, height=source.height, files={},
        )
        for rank, (plan, title) in enumerate(zip(plans(source), TITLES, strict=True), 1)
    )  # fmt: skip
    return Clips(video_id=VIDEO_ID, outcome=Outcome.CLIPS, outcome_reason="found", clips=made)


def said() -> Transcript:
    """A sentence at each moment, and one where a moment was not taken; its segments are in order of time."""
    spoken = [(*moment, title) for moment, title in zip(MOMENTS, TITLES, strict=True)] + [(*REJECTED, "Not so good.")]
    return transcript_of([(text, begin, end) for begin, end, text in sorted(spoken)], video_id=VIDEO_ID)


def candidates() -> ClipCandidates:
    """Those that were taken, one that was not, and one that points at nothing that is said."""
    segments = {segment.text: segment.id for segment in said().segments}

    def moment(segment: int, title: str) -> Moment:
        return Moment(first_segment=segment, last_segment=segment, title=title, reason="It rambles.", score=0.3)

    return ClipCandidates(
        video_id=VIDEO_ID,
        outcome=Outcome.CLIPS,
        outcome_reason="found",
        candidates=tuple(
            ClipCandidate(
                rank=rank, start_s=begin, end_s=end, title=title, reason=f"Reason {rank}.", quote=title, score=0.5,
                first_segment=segments[title], last_segment=segments[title],
            )
            for rank, ((begin, end), title) in enumerate(zip(MOMENTS, TITLES, strict=True), 1)
        ),
        rejected=(
            RejectedMoment(moment=moment(segments["Not so good."], "Weak one"), rule=RejectionRule.WEAK),
            RejectedMoment(moment=moment(999, "Nowhere"), rule=RejectionRule.UNKNOWN_SEGMENT),
        ),
    )  # fmt: skip


FILM = bytes(range(256)) * 4000
SRT = "1\n00:00:00,000 --> 00:00:01,500\nBread & <butter>\n\n"
STILL = b"\xff\xd8\xff\xe0 a picture"
# What a source says of itself, and of whoever shared it; none of it may travel.
SECRET_ADDRESS = (
    "https://user:pass-word-1@media.example.org/talk.mp4?token=s3cr3tT0k3nV4lu3&X-Amz-Signature=abcdef0123456789abcdef"
)
SOURCE_WORDS = (
    "s3cr3tT0k3nV4lu3",
    "abcdef0123456789abcdef",
    "pass-word-1",
    "Uploader Name",
    "52.5200",
    "A Source Title",
)


def published(store: ObjectStore, video_id: str, *, address: str = SECRET_ADDRESS) -> Clips:
    """Every document of a video in the store, with two files of a newer rendition; gives the clips."""
    ref: Any = {"sha256": "0" * 64, "size_bytes": 1}
    raw = RawVideo(
        video_id=video_id, address=address, info=info(Fraction(30000, 1001)),
        media=ObjectRef(key=f"media/{video_id}/a.mp4", media_type="video/mp4", **ref),
        audio=ObjectRef(key=f"media/{video_id}/a.flac", media_type="audio/flac", **ref),
        source=SourceMetadata(
            extractor="generic", title="A Source Title", uploader="Uploader Name", webpage_url=address,
            description="Shot at 52.5200, 13.4050",
        ),
    )  # fmt: skip
    kept: list[Document] = []

    def keep(document: D, *inputs: Document, **recipe: Any) -> D:
        kept.append(made := sealed(document, *inputs, **recipe))
        return made

    raw = keep(raw, engine="yt-dlp")
    heard = keep(said().model_copy(update={"video_id": video_id}), raw, engine="openai-whisper", model="tiny.en@abc")
    kind = ContentType(video_id=video_id, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason="it says so")
    kind = keep(kind, raw, heard)
    chosen = keep(candidates().model_copy(update={"video_id": video_id}), raw, heard, kind, prompt_version="7")
    made = clips(raw.info)
    each = tuple(_with_files(store, clip, video_id) for clip in made.clips)
    made = keep(made.model_copy(update={"video_id": video_id, "clips": each}), raw, heard, chosen, engine="ffmpeg")
    for document in kept:
        write_document(store, document)
        point_current(store, document)
    return made


def _with_files(store: ObjectStore, clip: Clip, video_id: str) -> Clip:
    """A clip with its files in the store, one of them of a rendition that this version has no name for."""

    def put(data: bytes, extension: str, media_type: str) -> ObjectRef:
        digest = hashlib.sha256(data).hexdigest()
        store.put_bytes(f"media/{video_id}/{digest}.{extension}", data, media_type=media_type)
        key = f"media/{video_id}/{digest}.{extension}"
        return ObjectRef(key=key, sha256=digest, size_bytes=len(data), media_type=media_type)

    of_rank = str(clip.rank).encode()
    files = {
        "source": put(FILM + of_rank, "mp4", "video/mp4"),
        "captions": put(SRT.encode() + of_rank, "srt", "application/x-subrip"),
        "thumbnail": put(STILL + of_rank, "jpg", "image/jpeg"),
        "tall_captions": put(b"tall" + FILM + of_rank, "mp4", "video/mp4"),
    }
    return clip.model_copy(update={"clip_id": clip_id(video_id, clip.rank), "files": files})
