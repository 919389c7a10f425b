"""The exact plan of a clip's file: on which frame it begins, how many frames it has, at what size and rate."""

import math
from dataclasses import dataclass
from fractions import Fraction

from madvision_assets.domain.video import MediaInfo

MAX_FPS = 60
MIN_FPS = 20  # slower sources repeat frames, so that a clip can begin and end near its words
FALLBACK_FPS = Fraction(30)
STANDARD_FPS = tuple(Fraction(rate) for rate in (24, 25, 30, 48, 50, 60)) + tuple(
    Fraction(rate * 1000, 1001) for rate in (24, 30, 60)
)
# A source counts as having a standard rate when its mean is this near: dropped frames lower the mean a little.
STANDARD_TOLERANCE = 0.005
STEADY_GAP_FRAMES = 1.5
EXACT_TOLERANCE = 0.00025  # a quarter of what parts n from n/1.001
MAX_DENOMINATOR = 1001
EPSILON_FRAMES = 0.01  # times are floats; a start on the grid must not fall to the frame before

MIN_PREROLL_S = 0.5
MAX_PREROLL_S = 20.0
PREROLL_GAPS = 4  # a codec may hold back a few frames, and with slides each of them is seconds long
MIN_SIDE_PX = 2
COPIED_CODECS = ("h264", "hevc")


@dataclass(frozen=True)
class CutPlan:
    """What to cut. Times are seconds from the start of the video; the interval is half-open.

    Attributes:
        start_s: time of the first frame, on the source's frame grid.
        frames: how many frames the clip has.
        fps: constant frame rate of the clip.
        preroll_s: decoding begins so much before ``start_s``, so that the picture shown at the start is at hand.
        width: of the clip, square pixels, even.
        height: likewise.
    """

    start_s: float
    frames: int
    fps: Fraction
    preroll_s: float
    width: int
    height: int

    @property
    def duration_s(self) -> float:
        """Exact length of the clip."""
        return float(self.frames / self.fps)

    @property
    def end_s(self) -> float:
        """Exact end in the source."""
        return self.start_s + self.duration_s


def plan_cut(candidate_start_s: float, candidate_end_s: float, info: MediaInfo) -> CutPlan:
    """The plan for a candidate, clamped into the media and widened to whole frames.

    Raises:
        ValueError: nothing of the candidate lies inside the media.
    """
    start_s, end_s = max(0.0, candidate_start_s), min(candidate_end_s, info.duration_s)
    if not (candidate_end_s > candidate_start_s and end_s > start_s):  # in this form, NaN is refused too
        asked = f"{candidate_start_s:.3f} to {candidate_end_s:.3f} s"
        raise ValueError(f"{asked} lies outside the video of {info.duration_s:.3f} s")
    fps = clip_fps(info)
    origin_s = info.video_start_s % float(1 / fps)  # of the frame grid
    first = max(0, math.floor((start_s - origin_s) * fps + EPSILON_FRAMES))
    last = max(first + 1, math.ceil((end_s - origin_s) * fps - EPSILON_FRAMES))
    aligned_s = float(first / fps) + origin_s
    gap_s = info.max_frame_gap_s if math.isfinite(info.max_frame_gap_s) else 0.0
    preroll_s = min(aligned_s, MAX_PREROLL_S, max(MIN_PREROLL_S, PREROLL_GAPS * gap_s))
    if aligned_s < info.video_start_s:
        preroll_s = aligned_s  # a seek goes to a picture: where none is shown yet, it would skip the sound before it
    return CutPlan(aligned_s, last - first, fps, preroll_s, _even(info.width), _even(info.height))


def why_not_copied(plan: CutPlan, info: MediaInfo) -> str | None:
    """Why the frames of a clip cannot be copied as they are coded; None where they perhaps can.

    What only the packets tell (their times, their kinds) is seen when it is cut.
    """
    tracks = info.tracks
    colour = tracks.colour if tracks is not None else None
    reasons = {
        f"{info.video_codec} is not copied": info.video_codec not in COPIED_CODECS,
        "the picture is turned": info.rotation_deg != 0,
        "the frame rate varies": info.max_frame_gap_s * info.fps > STEADY_GAP_FRAMES,
        "the frame rate is another": abs(float(plan.fps) / info.fps - 1) > STANDARD_TOLERANCE if info.fps > 0 else True,
        "the size is odd": (plan.width, plan.height) != (info.width, info.height),
        "the picture is interlaced": tracks is not None and tracks.interlaced,
        "the colours are HDR": colour is not None and colour.is_hdr,
        "the range of the colours is full": colour is not None and colour.full_range,
        "the file's tracks are not known": tracks is None or tracks.video is None or tracks.audio is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def clip_fps(info: MediaInfo) -> Fraction:
    """Frame rate of a clip: the source's own where it is steady and sane, else a standard one; 20 to 60."""
    if not 0 < info.fps < math.inf:
        return FALLBACK_FPS
    near = min(STANDARD_FPS, key=lambda rate: abs(float(rate) - info.fps))
    if abs(float(near) / info.fps - 1) <= STANDARD_TOLERANCE:
        return near
    if info.max_frame_gap_s * info.fps > STEADY_GAP_FRAMES:
        return FALLBACK_FPS if info.fps <= FALLBACK_FPS else Fraction(MAX_FPS)
    return _rational(_within_limits(info.fps))


def _rational(fps: float) -> Fraction:
    """The exact rate meant by a measured one: n or n/1.001 where that is near, else a small fraction."""
    whole = Fraction(round(fps))
    for rate in (whole, whole * 1000 / MAX_DENOMINATOR):
        if abs(float(rate) / fps - 1) < EXACT_TOLERANCE:
            return rate
    return Fraction(fps).limit_denominator(MAX_DENOMINATOR)


def _within_limits(fps: float) -> float:
    """Whole multiples and divisions keep the source's frames on the clip's grid."""
    if fps > MAX_FPS:
        return fps / math.ceil(fps / MAX_FPS)
    return fps * math.ceil(MIN_FPS / fps) if fps < MIN_FPS else fps


def _even(side_px: int) -> int:
    return max(MIN_SIDE_PX, side_px - side_px % 2)
