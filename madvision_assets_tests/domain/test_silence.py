"""Claims about silences: only the long ones are left out, with air around what is said."""

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from madvision_assets.domain.silence import parts, within


def test_a_silence_of_two_minutes_is_left_out_and_one_of_twenty_seconds_is_not() -> None:
    assert parts((0.0, 600.0), [(5.0, 100.0), (120.0, 300.0), (420.0, 590.0)]) == [(0.0, 301.0), (419.0, 600.0)]


def test_silence_at_either_end_is_left_out_too() -> None:
    assert parts((100.0, 600.0), [(200.0, 250.0)]) == [(199.0, 251.0)]
    assert parts((100.0, 600.0), [(0.0, 90.0), (610.0, 700.0)]) == []


def test_what_lies_in_a_part_is_told_on_its_own_clock() -> None:
    assert within((10.0, 20.0), [(0.0, 5.0), (8.0, 12.0), (15.0, 30.0)]) == [(0.0, 2.0), (5.0, 10.0)]


@given(st.lists(st.tuples(st.floats(0.5, 200), st.floats(0.1, 200)), max_size=9))
def test_all_sound_is_in_one_part(steps: list[tuple[float, float]]) -> None:
    at_s, audible = 0.0, []
    for gap_s, length_s in steps:
        audible.append((at_s + gap_s, at_s + gap_s + length_s))
        at_s = audible[-1][1]

    found = parts((0.0, at_s + 50.0), audible)

    assert all(any(start_s <= a and b <= end_s for start_s, end_s in found) for a, b in audible)
    assert all(a < b for a, b in found)
    assert sorted(found) == found
    assert all(before[1] <= after[0] for before, after in pairwise(found))
