"""Claims about the plan of a cut."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.cutting import clip_fps, plan_cut, why_not_copied
from madvision_assets.domain.video import MediaInfo


def media(fps: float = 25.0, gap_s: float | None = None, **other: float) -> MediaInfo:
    fields: dict[str, object] = {
        "container": "mp4", "duration_s": 100.0, "advertised_duration_s": 100.0, "width": 1280, "height": 720,
        "fps": fps, "max_frame_gap_s": gap_s if gap_s is not None else (1 / fps if fps > 0 else 0.0),
        "video_codec": "h264", "audio_codec": "aac",
    }  # fmt: skip
    return MediaInfo.model_validate(fields | other)


def test_a_plan_is_widened_to_whole_frames_and_never_narrowed() -> None:
    plan = plan_cut(10.01, 20.01, media())

    assert plan.start_s == pytest.approx(10.0)
    assert plan.frames == 251
    assert plan.end_s == pytest.approx(20.04)


def test_times_on_the_frame_grid_stay_as_they_are() -> None:
    for frame in range(0, 2000, 7):
        plan = plan_cut(frame / 25, (frame + 50) / 25, media())
        assert plan.start_s == pytest.approx(frame / 25, abs=1e-9)
        assert plan.frames == 50


def test_a_plan_stays_inside_the_media() -> None:
    plan = plan_cut(-3.0, 500.0, media())

    assert plan.start_s == 0
    assert plan.end_s == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("fps", "gap_s", "reason"),
    [(25.0, 0.1, "the frame rate varies"), (1.0, 1.0, "the frame rate is another"), (120.0, 1 / 120, "is another")],
)
def test_what_is_said_of_the_frame_rate_is_so(fps: float, gap_s: float, reason: str) -> None:
    info = media(fps, gap_s)
    assert reason in (why_not_copied(plan_cut(1.0, 9.0, info), info) or "")


@pytest.mark.parametrize(("start_s", "end_s"), [(100.0, 120.0), (5.0, 5.0), (6.0, 5.0), (-2.0, 0.0), (math.nan, 5.0)])
def test_a_candidate_without_media_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        plan_cut(start_s, end_s, media())


@pytest.mark.parametrize(
    ("measured", "gap_s", "planned"),
    [
        (25.0, 0.04, Fraction(25)),
        (23.976024, 0.0417, Fraction(24000, 1001)),
        (29.97003, 0.0334, Fraction(30000, 1001)),
        (30.0, 0.0334, Fraction(30)),
        (59.94006, 0.0167, Fraction(60000, 1001)),
        (24.98, 0.08, Fraction(25)),  # a few dropped frames
        (119.88, 0.0083, Fraction(60000, 1001)),  # too fast: every other frame
        (240.0, 1 / 240, Fraction(60)),
        (12.0, 1 / 12, Fraction(24)),  # too slow: each frame twice
        (0.5, 2.0, Fraction(20)),
        (17.3, 0.4, Fraction(30)),  # variable
        (41.0, 0.4, Fraction(60)),
        (1000.0, 0.9, Fraction(60)),  # a time base taken for a rate
        (0.0, 0.0, Fraction(30)),  # one frame
    ],
)
def test_a_clip_has_a_sane_constant_rate(measured: float, gap_s: float, planned: Fraction) -> None:
    assert clip_fps(media(measured, gap_s)) == planned


def test_sides_are_even_and_never_zero() -> None:
    plan = plan_cut(0, 1, media(width=319, height=1))

    assert (plan.width, plan.height) == (318, 2)


def test_the_preroll_covers_slides_but_not_the_whole_video() -> None:
    assert plan_cut(50, 60, media(0.5, 2.0)).preroll_s == 8.0
    assert plan_cut(3, 60, media(0.5, 2.0)).preroll_s == 3.0
    assert plan_cut(90, 95, media(25.0, 80.0)).preroll_s == 20.0


def test_the_frame_grid_begins_where_the_picture_does() -> None:
    plan = plan_cut(10.0, 12.0, media(video_start_s=0.023))

    assert plan.start_s == pytest.approx(9.983)


@given(
    st.floats(0, 99), st.floats(0.05, 60), st.floats(0.1, 2000), st.floats(0, 200), st.floats(0, 3),
    st.integers(1, 9000), st.integers(1, 9000),
)  # fmt: skip
def test_any_media_gives_a_plan_that_covers_the_candidate(
    start_s: float, length_s: float, fps: float, gap_s: float, video_start_s: float, width: int, height: int
) -> None:
    info = media(fps, gap_s, video_start_s=video_start_s, width=width, height=height)
    plan = plan_cut(start_s, start_s + length_s, info)

    frame_s = float(1 / plan.fps)
    assert 20 <= plan.fps <= 60
    assert plan.fps.denominator <= 1001
    assert 0 <= plan.start_s <= start_s + frame_s
    assert plan.end_s >= min(start_s + length_s, info.duration_s) - 0.02 * frame_s
    assert plan.duration_s <= length_s + 2.1 * frame_s
    assert 0 <= plan.preroll_s <= min(plan.start_s, 20)
    assert plan.width % 2 == plan.height % 2 == 0
