"""Claims about time code: it is what another library counts."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentimelineio.opentime import RationalTime

from madvision_assets.domain.timecode import FrameRate

DROPPING = (Fraction(30000, 1001), Fraction(60000, 1001))
RATES = (*DROPPING, Fraction(24000, 1001), *map(Fraction, (24, 25, 30, 48, 50, 60)))


@given(rate=st.sampled_from(RATES), frame=st.integers(0, 24 * 3600 * 60 - 1))
def test_it_is_what_another_library_counts(rate: Fraction, frame: int) -> None:
    other = RationalTime(frame, float(rate)).to_timecode(float(rate), drop_frame=rate in DROPPING)

    assert FrameRate(rate).timecode(frame) == other or other.startswith("24:")  # a day later we begin anew


@pytest.mark.parametrize(
    ("rate", "frame", "told"),
    [
        (DROPPING[0], 1799, "00:00:59;29"),
        (DROPPING[0], 1800, "00:01:00;02"),
        (DROPPING[0], 17982, "00:10:00;00"),
        (DROPPING[1], 3600, "00:01:00;04"),
        (Fraction(24000, 1001), 24 * 3600, "01:00:00:00"),
        (Fraction(25), 25 * 3600 * 24, "00:00:00:00"),
    ],
)
def test_numbers_are_dropped_but_in_each_tenth_minute(rate: Fraction, frame: int, told: str) -> None:
    assert FrameRate(rate).timecode(frame) == told


def test_a_rate_that_has_no_time_code_of_its_own_counts_as_the_nearest() -> None:
    odd = FrameRate(Fraction(2997, 125))

    assert (odd.nominal, odd.is_ntsc, odd.drops_frames) == (24, False, False)
    assert odd.seconds(2997) == 125
