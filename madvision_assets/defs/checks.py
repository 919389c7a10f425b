"""Checks of what a stage made, at its end; blocking where the next stage would waste money on a bad input.

They are plain functions, declared to Dagster as part of their asset: no steps, and on Kubernetes no pods, of their own.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from itertools import pairwise
from typing import ParamSpec

import dagster as dg

from madvision_assets.defs.dagster_inside import named_result
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.clips import ClipCandidate, ClipCandidates, Clips
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media import probe
from madvision_assets.tools.store.objects import ObjectStore

# Checks by partition are a preview in Dagster 1.13; our tests hold the one version that is pinned.
warnings.filterwarnings("ignore", message="Specifying a partitions_def", category=dg.PreviewWarning)

DURATION_SLACK_S = 1.0
DURATION_SLACK_SHARE = 0.02
MIN_COVERED_SHARE = 0.5  # music and noise are audible too, hence a warning only
AIR_S = 0.5  # more than the lead and the tail of any clip
CLIP_DURATION_SLACK_S = 0.1
CLIP_OFFSET_SLACK_S = 0.05

P = ParamSpec("P")
Check = Callable[P, dg.AssetCheckResult]

SPECS: Mapping[PipelineStep, list[dg.AssetCheckSpec]] = {step: [] for step in PipelineStep}


def check_of(step: PipelineStep, *, blocking: bool = False) -> Callable[[Check[P]], Check[P]]:
    """Make a function a check of a stage: its asset declares it, and its results have its name."""

    def declare(check: Check[P]) -> Check[P]:
        name, about = check.__name__, check.__doc__
        spec = dg.AssetCheckSpec(name, asset=step.value, description=about, blocking=blocking, partitions_def=videos)
        SPECS[step].append(spec)

        @wraps(check)
        def named(*documents: P.args, **options: P.kwargs) -> dg.AssetCheckResult:
            return named_result(check(*documents, **options), name)

        return named

    return declare


def left_out(step: PipelineStep) -> Iterator[dg.Output[None]]:
    """What a stage yields that made nothing to be checked: the ends of its checks, without a result of any."""
    for spec in SPECS[step]:
        yield dg.Output(None, output_name=spec.get_python_identifier())


def refusal(step: PipelineStep, results: Sequence[dg.AssetCheckResult]) -> str | None:
    """What the blocking checks have against the document; None where all passed."""
    blocking = {spec.name for spec in SPECS[step] if spec.blocking}
    failed = (r for r in results if r.check_name in blocking and not r.passed)
    return "; ".join(f"{step}/{r.check_name}: {r.description}" for r in failed) or None


@check_of(PipelineStep.RAW_VIDEO, blocking=True)
def media_decodes(raw_video: RawVideo, store: ObjectStore) -> dg.AssetCheckResult:
    """The stored media opens, decodes at several points, and lasts as long as its header says."""
    with store.open(raw_video.media.key) as media:  # a failure has a leaf of its own, and is the stage's
        decoded = probe.verify_decodes(media, raw_video.info.tracks)
    info = raw_video.info
    advertised_s = info.advertised_duration_s or info.duration_s
    missing_s = advertised_s - info.duration_s
    return dg.AssetCheckResult(
        passed=missing_s <= max(DURATION_SLACK_S, DURATION_SLACK_SHARE * advertised_s),
        description=f"{info.duration_s:.2f} s are there of {advertised_s:.2f} s advertised.",
        metadata={"video_frames_decoded": decoded.video_frames, "audio_decoded_s": round(decoded.audio_s, 2)},
    )


@check_of(PipelineStep.TRANSCRIPT)
def transcript_covers_speech(transcript: Transcript) -> dg.AssetCheckResult:
    """Most of the audible seconds lie in a segment; less means music, noise, or missed speech."""
    share = transcript.covered_s / transcript.audible_s if transcript.audible_s else 1.0
    return dg.AssetCheckResult(
        passed=share >= MIN_COVERED_SHARE,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{share:.0%} of {transcript.audible_s:.1f} audible seconds are in the transcript.",
        metadata={"share": round(share, 4)},
    )


@check_of(PipelineStep.TRANSCRIPT, blocking=True)
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


@check_of(PipelineStep.CLIP_CANDIDATES, blocking=True)
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


@check_of(PipelineStep.CLIPS)
def clips_match_plan(clip_candidates: ClipCandidates, clips: Clips) -> dg.AssetCheckResult:
    """Every candidate has its clip, as long as planned, with picture and sound starting together, or says why not."""
    told = {clip.rank for clip in clips.clips} | {failed.rank for failed in clips.failed}
    problems = [f"candidate {c.rank} has no clip" for c in clip_candidates.candidates if c.rank not in told]
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
    without = f"; {len(clips.failed)} failed" if clips.failed else ""
    pictures = sum(len(clip.failed) for clip in clips.clips)
    without += f"; {pictures} pictures that were asked for failed" if pictures else ""
    return _verdict(problems, f"{len(clips.clips)} clips as planned ({clips.outcome.value}){without}.")


def _holds(transcript: Transcript, candidate: ClipCandidate) -> bool:
    """Whether a candidate's times begin and end in the segments that it names, but for the air around them."""
    first, last = transcript.segments[candidate.first_segment], transcript.segments[candidate.last_segment]
    return (
        first.start_s - AIR_S <= candidate.start_s < first.end_s
        and last.start_s < candidate.end_s <= last.end_s + AIR_S
    )


def _verdict(problems: list[str], fine: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not problems, description="; ".join(problems[:10]) or fine)
