"""Stores to test with: the three backends under one name each, and documents to put into them."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.clips import (
    Clip,
    ClipCandidate,
    ClipCandidates,
    Clips,
    Moment,
    Outcome,
    RejectedMoment,
    RejectionRule,
    Role,
)
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.documents import Document, ObjectRef
from madvision_assets.domain.provenance import InputRef, Recipe
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import MediaInfo, RawVideo, SourceMetadata
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.real_servers import S3Server

BACKENDS = ("memory", "folder", "s3")
BUCKET = "contract"
VIDEO_ID = "web-0123456789abcdef"
D = TypeVar("D", bound=Document)
MADE_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def make_store(backend: str, request: pytest.FixtureRequest, folder: Path) -> ObjectStore:
    """A new and empty store; the S3 server is only started for the one that needs it."""
    if backend == "memory":
        return ObjectStore.from_url("memory://")
    if backend == "folder":
        return ObjectStore.from_url((folder / "store").as_uri())
    return s3_store(request.getfixturevalue("s3_server"))


def s3_store(server: S3Server, *, bucket: str = BUCKET, **settings: str) -> ObjectStore:
    """A store under a prefix of its own; ``settings`` replace those of ``AwsAccess``."""
    server.create_bucket(BUCKET)
    return ObjectStore.from_url(f"s3://{bucket}/{secrets.token_hex(4)}", s3=s3_settings(server, **settings))


def s3_settings(server: S3Server, **settings: str) -> AwsAccess:
    """How to reach the server."""
    right: dict[str, Any] = {
        "endpoint_url": server.endpoint_url,
        "region": server.region,
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }
    return AwsAccess(**{**right, **settings})


def object_ref(name: str, media_type: str = "video/mp4") -> ObjectRef:
    """A reference to an object that is not there."""
    return ObjectRef(key=f"media/{VIDEO_ID}/{name}", sha256="0" * 64, size_bytes=1, media_type=media_type)


def sealed(document: D, *inputs: Document, run_id: str = "run-1", **recipe: Any) -> D:
    """The document with a provenance block."""
    return document.seal(
        Recipe(**{"engine": "test", "engine_version": "1.0", **recipe}),
        run_id=run_id,
        code_version="3",
        inputs=tuple(
            InputRef(asset=i.asset, uri=f"memory://{i.key}", data_version=i.origin.data_version) for i in inputs
        ),
        wall_s=2.5,
        created_at=MADE_AT,
    )


def raw_video() -> RawVideo:
    """Stage one."""
    info = MediaInfo(
        container="mp4", duration_s=60, advertised_duration_s=60, width=16, height=16, fps=25, max_frame_gap_s=0.04,
        video_codec="h264", audio_codec="aac",
    )  # fmt: skip
    source = SourceMetadata(extractor="generic")
    references = {"media": object_ref("a.mp4"), "audio": object_ref("a.flac", "audio/flac")}
    return sealed(RawVideo(video_id=VIDEO_ID, address="http://x/", info=info, source=source, **references))


def transcript(raw: RawVideo, *texts: str, **recipe: Any) -> Transcript:
    """Stage two: one segment of ten seconds per text."""
    segments = tuple(Segment(id=n, start_s=n * 10, end_s=n * 10 + 10, text=text) for n, text in enumerate(texts))
    made = Transcript(video_id=VIDEO_ID, language="en", duration_s=60, audible_s=60, covered_s=60, segments=segments)
    return sealed(made, raw, **{"engine": "openai-whisper", "model": "turbo", **recipe})


def content_type(raw: RawVideo, spoken: Transcript, *, reason: str = "it says so", **recipe: Any) -> ContentType:
    """Stage three."""
    made = ContentType(video_id=VIDEO_ID, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason=reason)
    return sealed(made, raw, spoken, **recipe)


def clip_candidates(raw: RawVideo, spoken: Transcript, kind: ContentType, **recipe: Any) -> ClipCandidates:
    """Stage four: one candidate, of segments 1 and 2."""
    chosen = ClipCandidate(
        rank=1, start_s=10, end_s=30, title='A [bold] "claim"', reason="it stands alone", quote="", score=0.9,
        first_segment=1, last_segment=2,
    )  # fmt: skip
    made = ClipCandidates(video_id=VIDEO_ID, outcome=Outcome.CLIPS, outcome_reason="found", candidates=(chosen,))
    return sealed(
        made, raw, spoken, kind, **{"prompt_version": "7", "prompt_hash": "ab" * 32, "cost_usd": 0.25, **recipe}
    )


def clips(raw: RawVideo, spoken: Transcript, candidates: ClipCandidates, **recipe: Any) -> Clips:
    """Stage five: the clip of that candidate."""
    chosen = candidates.candidates[0]
    cut = Clip(
        clip_id=f"{VIDEO_ID}.01", rank=1, title=chosen.title, reason=chosen.reason, score=chosen.score,
        start_s=10, end_s=30, duration_s=20, audio_video_offset_s=0, width=16, height=16,
        files={role: object_ref(f"c.{role.suffix}", role.media_type) for role in Role},
    )  # fmt: skip
    made = Clips(video_id=VIDEO_ID, outcome=Outcome.CLIPS, outcome_reason="found", clips=(cut,))
    return sealed(made, raw, spoken, candidates, **recipe)


def rejected() -> tuple[RejectedMoment, ...]:
    """Moments that were not taken: two for want of a score, one for its quote."""
    rules = (RejectionRule.WEAK, RejectionRule.WEAK, RejectionRule.QUOTE_NOT_FOUND)
    return tuple(
        RejectedMoment(
            moment=Moment(first_segment=0, last_segment=0, title=f"No. {number}", reason="so", score=0.1), rule=rule
        )
        for number, rule in enumerate(rules)
    )
