"""Checks of what the stages made; blocking where the next stage would waste money on a bad input."""

import warnings
from itertools import pairwise

import dagster as dg

from madvision_assets.defs import assets
from madvision_assets.defs.partitions import videos
from madvision_assets.defs.workbench import Workbench
from madvision_assets.domain.clips import ClipCandidate, ClipCandidates, Clips
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media import probe

# Checks by partition are a preview in Dagster 1.13; our tests hold the one version that is pinned.
warnings.filterwarnings("ignore", message="Specifying a partitions_def", category=dg.PreviewWarning)

DURATION_SLACK_S = 1.0
DURATION_SLACK_SHARE = 0.02
MIN_COVERED_SHARE = 0.5  # music and noise are audible too, hence a warning only
AIR_S = 0.5  # more than the lead and the tail of any clip
CLIP_DURATION_SLACK_S = 0.1
CLIP_OFFSET_SLACK_S = 0.05


@dg.asset_check(asset=assets.raw_video, partitions_def=videos, blocking=True)
def media_decodes(raw_video: RawVideo, bench: dg.ResourceParam[Workbench]) -> dg.AssetCheckResult:
    """The stored media opens, decodes at several points, and lasts as long as its header says."""
    try:
        with bench.store.open(raw_video.media.key) as media:
            decoded = probe.verify_decodes(media)
    except Failure as failure:
        return dg.AssetCheckResult(passed=False, description=str(failure), metadata={"cause": failure.code})
    info = raw_video.info
    advertised_s = info.advertised_duration_s or info.duration_s
    missing_s = advertised_s - info.duration_s
    return dg.AssetCheckResult(
        passed=missing_s <= max(DURATION_SLACK_S, DURATION_SLACK_SHARE * advertised_s),
        description=f"{info.duration_s:.2f} s are there of {advertised_s:.2f} s advertised.",
        metadata={"video_frames_decoded": decoded.video_frames, "audio_decoded_s": round(decoded.audio_s, 2)},
    )


@dg.asset_check(asset=assets.transcript, partitions_def=videos)
def transcript_covers_speech(transcript: Transcript) -> dg.AssetCheckResult:
    """Most of the audible seconds lie in a segment; less means music, noise, or missed speech."""
    share = transcript.covered_s / transcript.audible_s if transcript.audible_s else 1.0
    return dg.AssetCheckResult(
        passed=share >= MIN_COVERED_SHARE,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{share:.0%} of {transcript.audible_s:.1f} audible seconds are in the transcript.",
        metadata={"share": round(share, 4)},
    )


@dg.asset_check(
    asset=assets.transcript,
    partitions_def=videos,
    blocking=True,
    additional_ins={"raw_video": dg.AssetIn("raw_video")},
)
def transcript_in_order(raw_video: RawVideo, transcript: Transcript) -> dg.AssetCheckResult:
    """Segments are in time order, do not overlap, and lie inside the video."""
    end_s = max(raw_video.info.duration_s, transcript.duration_s) + DURATION_SLACK_S
    problems = [
        f"segment {b.id} starts before {a.id} ends" for a, b in pairwise(transcript.segments) if b.start_s < a.end_s
    ]
    problems += [
        f"segment {s.id} is outside the video" for s in transcript.segments if not 0 <= s.start_s < s.end_s <= end_s
    ]
    return _verdict(problems, f"{len(transcript.segments)} segments in order.")


@dg.asset_check(
    asset=assets.clip_candidates,
    partitions_def=videos,
    blocking=True,
    additional_ins={"transcript": dg.AssetIn("transcript")},
)
def candidates_fit_transcript(transcript: Transcript, clip_candidates: ClipCandidates) -> dg.AssetCheckResult:
    """Candidates lie inside the transcript and do not overlap."""
    by_time = sorted(clip_candidates.candidates, key=lambda c: c.start_s)
    problems = [f"candidates {a.rank} and {b.rank} overlap" for a, b in pairwise(by_time) if b.start_s < a.end_s]
    count = len(transcript.segments)
    problems += [
        f"candidate {c.rank} is outside the transcript"
        for c in by_time
        if not (0 <= c.first_segment <= c.last_segment < count and _holds(transcript, c))
    ]
    return _verdict(problems, f"{len(by_time)} candidates fit.")


@dg.asset_check(
    asset=assets.clips,
    partitions_def=videos,
    additional_ins={"clip_candidates": dg.AssetIn("clip_candidates")},
)
def clips_match_plan(clip_candidates: ClipCandidates, clips: Clips) -> dg.AssetCheckResult:
    """Every candidate has its clip, as long as planned, with picture and sound starting together."""
    problems = [
        f"candidate {c.rank} has no clip"
        for c in clip_candidates.candidates
        if c.rank not in {k.rank for k in clips.clips}
    ]
    problems += [
        f"clip {c.rank} lasts {c.duration_s:.2f} s, planned were {c.end_s - c.start_s:.2f} s"
        for c in clips.clips
        if abs(c.duration_s - (c.end_s - c.start_s)) > CLIP_DURATION_SLACK_S
    ]
    problems += [
        f"clip {c.rank}: sound starts {c.audio_video_offset_s:+.3f} s off"
        for c in clips.clips
        if abs(c.audio_video_offset_s) > CLIP_OFFSET_SLACK_S
    ]
    return _verdict(problems, f"{len(clips.clips)} clips as planned ({clips.outcome.value}).")


def _holds(transcript: Transcript, candidate: ClipCandidate) -> bool:
    """Whether a candidate's times begin and end in the segments that it names, but for the air around them."""
    first, last = transcript.segments[candidate.first_segment], transcript.segments[candidate.last_segment]
    return (
        first.start_s - AIR_S <= candidate.start_s < first.end_s
        and last.start_s < candidate.end_s <= last.end_s + AIR_S
    )


def _verdict(problems: list[str], fine: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not problems, description="; ".join(problems[:10]) or fine)


CHECKS = (media_decodes, transcript_covers_speech, transcript_in_order, candidates_fit_transcript, clips_match_plan)
