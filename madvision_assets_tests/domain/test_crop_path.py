"""Claims about the crop path: inside its tube, still where it can be, never faster than a bound."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.crop_path import MAX_STEP, crop_path, place_at, taut_string

CROP, FPS = 202, 25.0
TUBES = st.lists(st.tuples(st.floats(0, 400), st.floats(0, 80)), min_size=1, max_size=60)


@given(TUBES)
def test_the_string_stays_inside_its_tube(tube: list[tuple[float, float]]) -> None:
    low = [least for least, _ in tube]
    high = [least + width for least, width in tube]
    times = [3 * index for index in range(len(tube))]
    for least, value, most in zip(low, taut_string(times, low, high), high, strict=True):
        assert least - 1e-6 <= value <= most + 1e-6


@given(TUBES)
def test_no_other_path_through_the_tube_travels_less(tube: list[tuple[float, float]]) -> None:
    low = [least for least, _ in tube]
    high = [least + width for least, width in tube]
    string = taut_string(range(len(tube)), low, high)
    travelled = sum(abs(b - a) for a, b in pairwise(string))
    # The lazy path, which moves only when it is pushed, travels least where it begins best: a bound from above.
    lazy = min(_pushed(low, high, start) for start in (low[0], high[0], string[0]))
    assert travelled <= lazy + 1e-6


def _pushed(low: list[float], high: list[float], at: float) -> float:
    travelled = 0.0
    for least, most in zip(low, high, strict=True):
        to = min(max(at, least), most)
        travelled, at = travelled + abs(to - at), to
    return travelled


def test_where_one_place_will_do_for_all_it_stands_still() -> None:
    frames = list(range(0, 250, 6))
    low = [100 + (frame * 7) % 30 for frame in frames]
    assert len(crop_path(frames, low, [each + 40 for each in low], (0, 250), CROP, FPS)) == 1


@given(TUBES)
def test_no_step_is_larger_than_its_bound(tube: list[tuple[float, float]]) -> None:
    frames = [6 * index for index in range(len(tube))]
    low = [least for least, _ in tube]
    end = frames[-1] + 6
    knots = crop_path(frames, low, [least + width for least, width in tube], (0, end), CROP, FPS)
    places = [place_at(knots, frame) for frame in range(end)]
    assert max((abs(b - a) for a, b in pairwise(places)), default=0) <= MAX_STEP * CROP


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300)), min_size=1, max_size=20, unique_by=lambda k: k[0]))
def test_between_knots_is_a_line_and_outside_it_stands(knots: list[tuple[int, int]]) -> None:
    path = tuple(sorted(knots))
    assert all(place_at(path, frame) == place for frame, place in path)
    assert place_at(path, path[-1][0] + 50) == path[-1][1]


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_it_follows_what_moves_steadily_without_lagging_behind(speed: float) -> None:
    frames = list(range(0, 200, 5))
    low = [speed * frame for frame in frames]
    knots = crop_path(frames, low, [each + 30 for each in low], (0, 200), CROP, FPS)
    inside = [speed * frame - 1 <= place_at(knots, frame) <= speed * frame + 31 for frame in range(196)]
    assert sum(inside) >= 0.98 * len(inside)
