"""Claims about how long a video is said to take."""

import pytest

from madvision_assets.domain.estimates import ENOUGH, Measured, Span, in_words, measured_of, wait_left, work_left
from madvision_assets.domain.stages import FIRST_STEP, LAST_STEP, PipelineStep

RATE_S = 6.0  # of each step, for a minute of video


def measured(videos: int = ENOUGH, minutes: float = 10.0) -> Measured:
    """So many videos of that length, each step of which took six seconds a minute."""
    return measured_of(
        (f"web-{n}", step, RATE_S * minutes, 60 * minutes) for n in range(videos) for step in PipelineStep
    )


def test_what_is_left_goes_by_the_length_of_the_video_and_the_steps_that_are_left() -> None:
    whole = work_left(measured(), FIRST_STEP, 0.0, 1200)
    half_of_the_last = work_left(measured(), LAST_STEP, 0.5, 1200)

    assert whole == Span(low_s=5 * 20 * RATE_S, high_s=5 * 20 * RATE_S)
    assert half_of_the_last == Span(low_s=10 * RATE_S, high_s=10 * RATE_S)


def test_a_video_of_unknown_length_takes_as_long_as_others_did_and_once_begun_nothing_is_said() -> None:
    assert work_left(measured(), FIRST_STEP, 0.0, None) == Span(low_s=5 * 60, high_s=5 * 60)
    assert work_left(measured(), FIRST_STEP, 0.1, None) is None


def test_of_too_few_nothing_is_said() -> None:
    few = measured(ENOUGH - 1)

    assert work_left(few, FIRST_STEP, 0.0, 60) is None
    assert work_left(few, FIRST_STEP, 0.0, None) is None
    assert wait_left(few, 1, 4) is None
    assert work_left(Measured(), LAST_STEP, 0.0, 60) is None


def test_a_wait_is_shared_by_those_at_work_and_without_any_nothing_is_said() -> None:
    assert wait_left(measured(), 8, 4) == Span(low_s=2 * 5 * 60, high_s=2 * 5 * 60)
    assert wait_left(measured(), 8, 0) is None


def test_the_middle_half_of_what_was_measured_is_the_range() -> None:
    told = [(f"web-{n}", LAST_STEP, float(n), 60.0) for n in range(1, 102)]

    assert work_left(measured_of(told), LAST_STEP, 0.0, 60) == Span(low_s=26, high_s=76)


def test_the_newest_of_a_video_counts_and_one_of_unknown_length_has_no_rate() -> None:
    found = measured_of([("a", LAST_STEP, 1.0, 60.0), ("a", LAST_STEP, 9.0, 60.0), ("b", LAST_STEP, 5.0, None)])

    assert found.rates[LAST_STEP] == (1.0,)
    assert found.totals == ()


@pytest.mark.parametrize(
    ("low_s", "high_s", "told"),
    [
        (1, 20, "less than a minute"),
        (60, 60, "about 1 minute"),
        (240, 540, "about 4 to 9 minutes"),
        (3600, 10_000, "about 60 minutes to 3 hours"),
        (7200, 7300, "about 2 hours"),
        (60, 7300, "about 1 minute to 2 hours"),
    ],
)
def test_a_range_is_never_more_exact_than_minutes(low_s: float, high_s: float, told: str) -> None:
    assert in_words(Span(low_s=low_s, high_s=high_s)) == told
