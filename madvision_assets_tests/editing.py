"""A video's documents as editors take them: clips cut by the real plan out of a source of any frame rate."""

from fractions import Fraction

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
from madvision_assets.domain.cutting import CutPlan, plan_cut
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import MediaInfo
from madvision_assets_tests.builders import transcript_of

VIDEO_ID = "web-0123456789abcdef"
# Begin and end of what is taken, seconds, best first: out of order, one that begins at 0, two that touch, one at the end.
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
