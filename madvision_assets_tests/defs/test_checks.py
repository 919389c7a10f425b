"""Claims about the checks: each passes on what is right and fails on what it is there for."""

from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.defs import checks
from madvision_assets.domain.clips import Clip, ClipCandidate, ClipCandidates, Clips, Outcome, Role
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failures import CorruptMediaError, MissingInputError
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import MediaInfo, RawVideo, SourceMetadata
from madvision_assets.tools.media.probe import probe
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests import footage

VIDEO_ID = "file-0123456789abcdef"
NOTHING = ObjectRef(key="media/x/y.mp4", sha256="0", size_bytes=1, media_type="video/mp4")


def passed(result: dg.AssetCheckResult) -> bool:
    assert result.description
    return result.passed


def talk(*spans: tuple[float, float], audible_s: float = 20, covered_s: float = 20) -> Transcript:
    segments = tuple(Segment(id=n, start_s=a, end_s=b, text="Words.") for n, (a, b) in enumerate(spans))
    return Transcript(
        video_id=VIDEO_ID, language="en", duration_s=60, audible_s=audible_s, covered_s=covered_s, segments=segments
    )


def candidates(*spans: tuple[float, float, int, int]) -> ClipCandidates:
    chosen = tuple(
        ClipCandidate(
            rank=n, start_s=a, end_s=b, first_segment=first, last_segment=last, title="t", reason="r", quote="", score=1
        )
        for n, (a, b, first, last) in enumerate(spans, 1)
    )
    return ClipCandidates(video_id=VIDEO_ID, outcome=Outcome.CLIPS, outcome_reason="some", candidates=chosen)


def clips(*made: tuple[int, float, float]) -> Clips:
    """Clips of the candidate from 10 to 20 s: rank, measured duration, measured offset of the sound."""
    return Clips(
        video_id=VIDEO_ID,
        outcome=Outcome.CLIPS,
        outcome_reason="some",
        clips=tuple(
            Clip(
                clip_id=f"{VIDEO_ID}.{rank:02d}", rank=rank, title="t", reason="r", score=1, start_s=10, end_s=20,
                duration_s=duration_s, audio_video_offset_s=offset_s, width=2, height=2,
                files=dict.fromkeys(Role, NOTHING),
            )
            for rank, duration_s, offset_s in made
        ),
    )  # fmt: skip


def raw_video(info: MediaInfo, media: ObjectRef = NOTHING) -> RawVideo:
    return RawVideo(
        video_id=VIDEO_ID,
        address="file:///talk.mp4",
        media=media,
        audio=NOTHING,
        info=info,
        source=SourceMetadata(extractor="file"),
    )


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage.talking(tmp_path_factory.mktemp("media") / "talk.mp4")


def test_media_that_decodes_and_lasts_as_advertised_passes_and_less_fails(media: Path) -> None:
    store = ObjectStore.from_url("memory://")
    info = probe(media)
    stored = store.store_media(media, VIDEO_ID, "mp4", "video/mp4")

    assert passed(checks.media_decodes(raw_video(info, stored), store))
    longer = info.model_copy(update={"advertised_duration_s": info.duration_s + 5})
    assert not passed(checks.media_decodes(raw_video(longer, stored), store))


def test_media_that_do_not_decode_say_why_themselves(media: Path) -> None:
    store = ObjectStore.from_url("memory://")
    stored = store.store_media(media, VIDEO_ID, "mp4", "video/mp4")
    store.put_bytes(stored.key, media.read_bytes()[:2000])
    with pytest.raises(CorruptMediaError):
        checks.media_decodes(raw_video(probe(media), stored), store)


def test_what_the_store_does_to_media_says_nothing_of_them(media: Path) -> None:
    with pytest.raises(MissingInputError):
        checks.media_decodes(raw_video(probe(media)), ObjectStore.from_url("memory://"))


def test_a_transcript_that_leaves_most_sound_out_is_warned_of() -> None:
    assert passed(checks.transcript_covers_speech(talk(audible_s=20, covered_s=18)))
    assert passed(checks.transcript_covers_speech(talk(audible_s=0, covered_s=0)))
    missed = checks.transcript_covers_speech(talk(audible_s=20, covered_s=2))
    assert not passed(missed)
    assert missed.severity is dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize(
    ("transcript", "fine"),
    [
        (talk((0, 2), (2, 4)), True),
        (talk(), True),
        (talk((0, 2), (1, 4)), False),
        (talk((0, 2), (90, 91)), False),
        (talk((2, 2)), False),
    ],
)
def test_segments_are_in_order_and_inside_the_video(media: Path, transcript: Transcript, *, fine: bool) -> None:
    info = probe(media).model_copy(update={"duration_s": 60.0})

    assert passed(checks.transcript_in_order(raw_video(info), transcript)) is fine


@pytest.mark.parametrize(
    ("chosen", "fine"),
    [
        (candidates((9.8, 20.2, 0, 0), (20.2, 30.3, 1, 1)), True),
        (candidates(), True),
        (candidates((9.8, 21, 0, 0), (20.5, 30.3, 1, 1)), False),
        (candidates((9.8, 20.2, 0, 7)), False),
        (candidates((2.0, 20.2, 0, 0)), False),
        (candidates((9.8, 45.0, 0, 1)), False),
    ],
)
def test_candidates_lie_in_the_transcript_and_do_not_overlap(chosen: ClipCandidates, *, fine: bool) -> None:
    assert passed(checks.candidates_fit_transcript(talk((10, 20), (20.5, 30)), chosen)) is fine


@pytest.mark.parametrize(
    ("made", "fine"),
    [
        (clips((1, 10.02, 0.0)), True),
        (clips(), False),
        (clips((1, 9.5, 0.0)), False),
        (clips((1, 10.0, 0.2)), False),
    ],
)
def test_every_candidate_has_a_clip_as_planned(made: Clips, *, fine: bool) -> None:
    assert passed(checks.clips_match_plan(candidates((10, 20, 0, 0)), made)) is fine
