"""Cuts a clip to the frame, and inspects what came of it.

Where its frames can be copied, only its ends are coded anew (``smart``); else all of it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from madvision_assets.domain.cutting import CutPlan, why_not_copied
from madvision_assets.domain.failures import BadClipError, CorruptMediaError, Failure, MediaToolError, TooCostlyError
from madvision_assets.domain.tracks import Tracks
from madvision_assets.domain.video import MediaInfo
from madvision_assets.tools.media import colour
from madvision_assets.tools.media.apart import result_of
from madvision_assets.tools.media.audio import ON_TIME
from madvision_assets.tools.media.ffmpeg import BUDGET_FLOOR_S, Progress, full_disk, run, source, target
from madvision_assets.tools.media.probe import tracks_of

AUDIO_RATE_HZ = 48_000
FADE_S = 0.005
MAX_DURATION_ERROR_S = 0.1
MAX_AUDIO_VIDEO_OFFSET_S = 0.05
# What a clip may take: its seconds, and those before them that are decoded, for each million pixels.
BUDGET_S_PER_MEDIA_S = 10.0

ENCODING: dict[str, str | int | float | bool | None] = {
    "vcodec": "libx264", "preset": "veryfast", "crf": 20, "pix_fmt": "yuv420p",
    "acodec": "aac", "audio_bitrate": "160k", "ar": AUDIO_RATE_HZ, "ac": 2,
    "format": "mp4",
    # Signed offsets: the first frame is shown at 0, whether a player knows edit lists or not.
    "movflags": "+faststart+negative_cts_offsets",
    # Nothing of the source's titles, places, devices or chapters goes into a clip.
    "map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "flags": "+bitexact",
}  # fmt: skip


@dataclass(frozen=True)
class ClipInspection:
    """What was found in a clip by decoding all of it.

    Attributes:
        duration_s: from the first to the end of the last frame.
        audio_video_offset_s: start of the audio less start of the video.
        width: pixels.
        height: pixels.
        size_bytes: of the file.
        frames: how many decoded.
    """

    duration_s: float
    audio_video_offset_s: float
    width: int
    height: int
    size_bytes: int
    frames: int


@dataclass(frozen=True)
class Made:
    """How a clip was made.

    Attributes:
        seen: what was found in it.
        copied_frames: how many of its frames are the source's own bytes.
        reason: why all of it was coded anew; empty where it was not.
        psnr_db: how near to the source the frames at its seams and edges are; None where all was coded anew.
    """

    seen: ClipInspection
    copied_frames: int = 0
    reason: str = ""
    psnr_db: float | None = None


def make_clip(
    path: Path,
    plan: CutPlan,
    out: Path,
    info: MediaInfo,
    *,
    more: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> Made:
    """Writes the planned clip, by copying where that is exact, and inspects it.

    Args:
        path: as for ``cut_clip``; where it has holes, what ``key_frames`` names for the plan is there.
        plan: from ``plan_cut``.
        out: the file to write.
        info: what ``probe`` says of the source.
        more: is called before all is coded anew, which reads more of the source.
        progress: is told the share done.

    Raises:
        BadClipError: it did not come out as planned, even coded anew.
        Failure: what ``cut_clip`` raises.
    """
    reason = why_not_copied(plan, info)
    if reason is None:
        found = _smart(path, plan, out, info)
        if "doubt" not in found:
            copied, psnr_db = found.pop("copied"), found.pop("psnr_db")
            seen = ClipInspection(**found, size_bytes=out.stat().st_size)
            return Made(seen, copied_frames=copied, psnr_db=psnr_db)
        reason = found["doubt"]
    more()
    cut_clip(path, plan, out, info.tracks, progress=progress)
    return Made(inspect_clip(out, plan), reason=reason)


def _smart(path: Path, plan: CutPlan, out: Path, info: MediaInfo) -> dict[str, Any]:
    """What ``smart.cut`` says; whatever goes wrong with the media is a doubt.

    Raises:
        DiskFullError: no room for the clip.
    """
    tracks = tracks_of(path, info.tracks)
    try:
        with out.open("w+b") as file:
            return result_of(  # type: ignore[no-any-return]
                "smart", path, beside=file, tracks=(tracks.video, tracks.audio), start_s=plan.start_s + tracks.zero_s,
                frames=plan.frames, fps=plan.fps.as_integer_ratio(), size_px=(plan.width, plan.height),
            )  # fmt: skip
    except (CorruptMediaError, TooCostlyError, MediaToolError) as failure:
        if full := full_disk(out.parent):
            raise full from failure
        return {"doubt": f"copying failed: {failure.code}"}


def cut_clip(
    path: Path,
    plan: CutPlan,
    out: Path,
    tracks: Tracks | None = None,
    *,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Writes the planned clip as an MP4 (H.264, AAC) that begins on the exact frame; audio and video start at 0.

    Args:
        path: the source, an MP4 with an index and sound of one format throughout, as ``to_mp4`` gives.
        plan: from ``plan_cut``.
        out: the file to write.
        tracks: those to cut, as ``probe`` chose them; None to look again.
        timeout_s: wall-clock limit, seconds; by default by what of the source is decoded.
        progress: is told the share done.

    Raises:
        Failure: what ``ffmpeg.run`` and ``container.opened`` raise; NoAudioTrackError without sound is left to
            ``probe``.
    """
    tracks = tracks_of(path, tracks)
    audio_index = tracks.video if tracks.audio is None else tracks.audio
    # Without -noaccurate_seek ffmpeg drops what lies before the seek point: with slides, the picture to be shown.
    seek_s = plan.start_s - plan.preroll_s
    seek = {"ss": f"{seek_s:.6f}", "noaccurate_seek": None} if seek_s > 0 else {}
    # By default a picture that changes its size restarts all filters, which moves the sound by seconds.
    media = source(path, **{"reinit_filter:v": 0}, **seek)
    streams = [_picture(media[str(tracks.video)], plan, tracks), _sound(media[str(audio_index)], plan)]
    run(
        target(streams, out, **ENCODING),
        timeout_s=timeout_s or budget_s(plan), what="cutting a clip", progress=progress, duration_s=plan.duration_s,
    )  # fmt: skip


def budget_s(plan: CutPlan) -> float:
    """Wall-clock seconds that each piece of work on a clip may take: by its length and its pixels."""
    megapixels = max(1.0, plan.width * plan.height / 1e6)
    return BUDGET_FLOOR_S + BUDGET_S_PER_MEDIA_S * (plan.duration_s + plan.preroll_s) * megapixels


def _picture(stream: Any, plan: CutPlan, tracks: Tracks) -> Any:
    rate = f"{plan.fps.numerator}/{plan.fps.denominator}"
    stream = colour.deinterlaced(stream, tracks)
    # Time 0 is the clip's start, on which the frame grid lies. The last picture is shown for ever, also where the clip
    # begins after it; only then is it told where the clip starts: fps reckons the end of all without its start_time.
    stream = stream.filter("setpts", f"PTS-{plan.preroll_s:.6f}/TB")
    stream = stream.filter("fps", fps=rate, round="near", eof_action="pass")
    stream = stream.filter("tpad", stop=-1, stop_mode="clone").filter("fps", fps=rate, start_time=0)
    stream = stream.filter("trim", end_frame=plan.frames).filter("setpts", "PTS-STARTPTS")
    size = plan.width, plan.height
    return colour.to_sdr(stream, tracks.colour, *size, size).filter("setsar", 1)


def _sound(stream: Any, plan: CutPlan) -> Any:
    samples = round(plan.duration_s * AUDIO_RATE_HZ)
    stream = stream.filter("asetpts", f"PTS-{plan.preroll_s:.6f}/TB")
    # Drops what lies before the start, pads what starts late, fills holes.
    stream = stream.filter("aresample", AUDIO_RATE_HZ, **ON_TIME)
    stream = stream.filter("apad").filter("atrim", end_sample=samples).filter("asetpts", "PTS-STARTPTS")
    stream = stream.filter("afade", type="in", duration=FADE_S)
    return stream.filter("afade", type="out", duration=FADE_S, start_time=max(0.0, plan.duration_s - FADE_S))


def inspect_clip(path: Path, plan: CutPlan) -> ClipInspection:
    """Decodes every frame of a clip and compares it with its plan.

    Raises:
        BadClipError: it has no sound, does not decode, or differs from its plan in length, size or start.
    """
    try:
        found = ClipInspection(**result_of("inspect", path), size_bytes=path.stat().st_size)
    except (Failure, OSError) as error:
        raise BadClipError(str(error)) from error
    wrong = _differences(found, plan)
    if wrong:
        raise BadClipError("; ".join(wrong))
    return found


def _differences(found: ClipInspection, plan: CutPlan) -> list[str]:
    claims = {
        f"it lasts {found.duration_s:.3f} s instead of {plan.duration_s:.3f} s": abs(found.duration_s - plan.duration_s)
        <= MAX_DURATION_ERROR_S,
        f"it has {found.frames} frames instead of {plan.frames}": abs(found.frames - plan.frames) <= 1,
        f"its sound starts {found.audio_video_offset_s:+.3f} s beside its picture": abs(found.audio_video_offset_s)
        <= MAX_AUDIO_VIDEO_OFFSET_S,
        f"it is {found.width}x{found.height} instead of {plan.width}x{plan.height}": (found.width, found.height)
        == (plan.width, plan.height),
    }
    return [claim for claim, holds in claims.items() if not holds]
