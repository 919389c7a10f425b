"""Claims about whose turn it is."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.queue import MAX_PRIORITY
from madvision_assets.domain.urgency import Ageing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
priorities = st.integers(-MAX_PRIORITY, MAX_PRIORITY)
ages = st.integers(0, 10**6)
steps = st.integers(1, 10**6)


@given(priorities, ages, priorities, ages, steps, ages)
def test_of_two_that_are_due_the_same_one_always_comes_first(
    one: int, its_age_s: int, other: int, other_age_s: int, step_s: int, later_s: int
) -> None:
    ageing = Ageing(step_s)

    def first(now: datetime) -> bool:
        turns = [
            ageing.turn(priority, NOON - timedelta(seconds=age_s), now)
            for priority, age_s in ((one, its_age_s), (other, other_age_s))
        ]
        return turns[0] < turns[1]

    assert first(NOON) == first(NOON + timedelta(seconds=later_s))
    assert first(NOON) == (its_age_s + one * step_s > other_age_s + other * step_s)


@given(priorities, priorities, ages, ages)
def test_without_ageing_time_counts_among_equals_only(one: int, other: int, its_age_s: int, other_age_s: int) -> None:
    turns = [
        Ageing(0).turn(priority, NOON - timedelta(seconds=age_s), NOON)
        for priority, age_s in ((one, its_age_s), (other, other_age_s))
    ]

    assert (turns[0] < turns[1]) == (one > other or (one == other and its_age_s > other_age_s))


@given(priorities, st.integers(-(10**9), 10**9), st.sampled_from([0, 60, 3600]))
def test_urgency_never_falls_below_the_priority_and_never_passes_the_highest(
    priority: int, age_s: int, step_s: int
) -> None:
    urgency = Ageing(step_s).urgency(priority, NOON - timedelta(seconds=age_s), NOON)

    assert priority <= urgency <= MAX_PRIORITY
    if age_s <= 0 or not step_s:
        assert urgency == priority


def test_what_a_clock_that_went_back_has_dated_ahead_is_due_just_now() -> None:
    assert Ageing(60).turn(1, NOON + timedelta(days=1), NOON) == Ageing(60).turn(1, NOON, NOON)
