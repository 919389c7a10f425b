"""What people look at in the Dagster UI: the metadata of each materialisation."""

import base64
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import dagster as dg

from madvision_assets.defs.links import Links
from madvision_assets.defs.runtime.failing import EndedError, told_metadata
from madvision_assets.defs.tables import CANDIDATES, CLIPS, FAILED, NOT_TAKEN, PREVIEW, table
from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.clips import ClipCandidates, Clips, Role
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.failure_records import from_text
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Stretch, Transcript
from madvision_assets.domain.video import MediaInfo, RawVideo
from madvision_assets.domain.wording import timecode
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.captions import CAPTIONS_PASSED_OVER
from madvision_assets.work.ingest import overstated_s

LISTED_STRETCHES = 30
SHOWN_SEGMENTS = 15  # each some 200 bytes in Dagster's database, twice
MIB = 1024**2
HOUR_S = 3600

Metadata = dict[str, Any]


def raw_video(video: RawVideo) -> Metadata:
    """Title, length, size and shape of a download."""
    info = video.info
    more = {"tracks": tracks} if (tracks := _tracks(info)) else {}
    if told_s := overstated_s(info, video.source):
        more["overstated"] = f"{timecode(told_s)} by the source; the file came twice as it is, and is taken so"
    return {
        "title": video.source.title or "(untitled)",
        "address": public_address(video.address),
        "duration": timecode(info.duration_s),
        "duration_s": info.duration_s,
        "size_mib": round(video.media.size_bytes / MIB, 2),
        "audio_mib": round(video.audio.size_bytes / MIB, 2),
        "picture": f"{info.width}x{info.height}, {info.fps:.2f} frames/s, {info.video_codec}",
        "sound": f"{info.audio_codec}, {info.audio_rate_hz} Hz, {info.audio_channels} channels",
        "language": video.source.language or "(not given)",
    } | more


def _tracks(info: MediaInfo) -> str:
    """What there was to choose from, where there was."""
    tracks = info.tracks
    if tracks is None:
        return ""
    told = [f"picture: 1 of {tracks.video_count}"] if tracks.video_count > 1 else []
    told += [f"sound: 1 of {tracks.audio_count}"] if tracks.audio_count > 1 else []
    told += [f"heard: channel {tracks.channel + 1}, since the sum cancels"] if tracks.channel is not None else []
    return "; ".join(told)


def transcript(
    heard: Transcript, usage: Mapping[str, int] | None = None, parameters: Mapping[str, object] | None = None
) -> Metadata:
    """Length, languages, the first part of what is said, what was left out or is in doubt, and what hearing it took.

    Args:
        heard: the transcript.
        usage: of its recipe, with the milliseconds that engine, loading and GPU took.
        parameters: likewise, where captions that are preferred were passed over with why.
    """
    first = [(s.id, round(s.start_s, 3), round(s.end_s, 3), s.text) for s in heard.segments[:SHOWN_SEGMENTS]]
    return {
        "language": heard.language,
        "languages": ", ".join(f"{each} {seconds:.0f} s" for each, seconds in heard.languages.items()),
        "skipped_s": round(sum(each.end_s - each.start_s for each in heard.skipped), 3),
        "skipped": _listed(heard.skipped),
        "doubtful_s": round(sum(each.end_s - each.start_s for each in heard.doubtful), 3),
        "doubtful": _listed(heard.doubtful),
        **_reference(heard),
        **{name: str(why) for name, why in (parameters or {}).items() if name == CAPTIONS_PASSED_OVER},
        **_work(usage or {}, heard.audible_s),
        "segments": len(heard.segments),
        "words": len(heard.words),
        **_certainty(heard),
        "no_speech": heard.no_speech,
        "audible_s": heard.audible_s,
        "covered_s": heard.covered_s,
        "duration_s": heard.duration_s,
        "first_segments": table(PREVIEW, first),
    }


def _certainty(heard: Transcript) -> Metadata:
    """How sure the engine was of its words, on average, where it tells."""
    told = [word.probability for word in heard.words if word.probability is not None]
    return {"words_probability": round(fmean(told), 4)} if told else {}


def _listed(stretches: Sequence[Stretch]) -> str:
    """From when to when, the first of them."""
    shown = ", ".join(f"{timecode(s.start_s)} to {timecode(s.end_s)}" for s in stretches[:LISTED_STRETCHES])
    more = len(stretches) - LISTED_STRETCHES
    return shown + (f" and {more} more" if more > 0 else "")


def _reference(heard: Transcript) -> Metadata:
    """How it differs from the publisher's captions, where there are any."""
    if heard.reference is None:
        return {}
    return {
        "captions_words": heard.reference.words,
        "captions_language": heard.reference.language or "(not told)",
        "word_error_rate_against_captions": heard.reference.word_error_rate,
    }


def _work(usage: Mapping[str, int], audible_s: float) -> Metadata:
    """Seconds of engine, loading, GPU and idling, those that are known; and the first by the hour of sound."""
    seconds = {name.removesuffix("ms") + "s": ms / 1000 for name, ms in usage.items() if name.endswith("_ms")}
    if audible_s and "engine_s" in seconds:
        seconds["engine_s_per_audio_hour"] = round(3600 * seconds["engine_s"] / audible_s, 1)
    if audible_s and "gpu_s" in seconds:
        seconds["gpu_s_per_audio_hour"] = round(3600 * seconds["gpu_s"] / audible_s, 1)
    return dict(seconds)


def content_type(verdict: ContentType) -> Metadata:
    """The kind, and why."""
    return {
        "kind": verdict.kind.value,
        "confidence": verdict.confidence.value,
        "reason": verdict.reason,
        "topics": ", ".join(verdict.topics) or "(none)",
        "provisional": verdict.provisional,
    }


def clip_candidates(chosen: ClipCandidates) -> Metadata:
    """The table of candidates, and the table of what was not taken."""
    taken = [
        (
            *(c.rank, round(c.start_s, 3), round(c.end_s, 3), round(c.duration_s, 3), c.score, c.title, c.reason),
            *(c.quote, c.words, _judged(c.criteria)),
        )
        for c in chosen.candidates
    ]
    left = [
        (
            *(r.rule.value, r.moment.first_segment, r.moment.last_segment, r.moment.score, r.moment.title, r.details),
            *(r.start_s, r.end_s, r.words, _judged(r.moment.criteria)),
        )
        for r in chosen.rejected
    ]
    return {
        "outcome": chosen.outcome.value,
        "outcome_reason": chosen.outcome_reason,
        "provisional": chosen.provisional,
        "chosen": len(chosen.candidates),
        "rejected": len(chosen.rejected),
        "candidates": table(CANDIDATES, taken),
        "not_taken": table(NOT_TAKEN, left),
    }


def clips(
    made: Clips, store: ObjectStore, video_s: float, contact_sheet: bytes | None, links: Links | None = None
) -> Metadata:
    """The table of clips with their files, links to play them, and their thumbnails on one sheet.

    Args:
        made: the clips.
        store: that has their files.
        video_s: length of the video, seconds.
        contact_sheet: JPEG.
        links: of the installation.
    """
    rows = [
        (
            *(c.clip_id, c.rank, c.title, round(c.start_s, 3), round(c.end_s, 3), round(c.duration_s, 3), c.score),
            f"{c.method.value if c.method else ''} {c.method_reason}".strip(),
        )
        for c in made.clips
    ]
    files = {c.clip_id: [store.uri(file.key) for file in c.files.values()] for c in made.clips}
    total_s = sum(c.duration_s for c in made.clips)
    metadata: Metadata = {
        "outcome": made.outcome.value,
        "outcome_reason": made.outcome_reason,
        "clips": len(made.clips),
        "clips_per_hour": round(len(made.clips) / max(video_s, 1) * HOUR_S, 2),
        "total_s": round(total_s, 2),
        "size_mib": round(sum(file.size_bytes for c in made.clips if (file := c.file(Role.SOURCE))) / MIB, 2),
        "table": table(CLIPS, rows),
        "files": dg.MetadataValue.json(files),
        **(links or Links()).clips(made),
    }
    lost = [(each.rank, each.title, each.cause, each.details) for each in made.failed]
    lost += [
        (clip.rank, f"{clip.title}: {role}", failure.code, failure.details)
        for clip in made.clips
        for role, why in clip.failed.items()
        for failure in [from_text(why)]
    ]
    if lost:
        metadata["failed"] = table(FAILED, lost)
    if contact_sheet:
        picture = base64.b64encode(contact_sheet).decode()
        metadata["contact_sheet"] = dg.MetadataValue.md(f"![thumbnails](data:image/jpeg;base64,{picture})")
    return metadata


def ended(context: dg.AssetExecutionContext, step: PipelineStep, end: EndedError, links: Links) -> dg.AssetObservation:
    """Why a stage made nothing where nobody has anything to mend, for the log of the run and the page of the asset."""
    context.log.warning("%s (%s)", end, end.failure.code)
    outcome = {"outcome": end.outcome.value} if end.outcome else {}
    return dg.AssetObservation(
        asset_key=step.value,
        partition=context.partition_key,
        description=str(end),
        metadata={**told_metadata(end.failure, step), **outcome, **links.video(context.partition_key)},
    )


def _judged(criteria: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {worth:g}" for name, worth in criteria.items())
