"""Claims about the breakers' state machine."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.breakers import (
    FORGOTTEN_AFTER_S,
    PROBE_LEASE_S,
    Breaker,
    BreakerRules,
    BreakerState,
    breaker_name,
)
from madvision_assets.domain.failures import (
    AnalystRateLimitedError,
    AnalystUnavailableError,
    ApiKeyInvalidError,
    BotCheckError,
    ConnectionLostError,
    Failure,
    FailureClass,
    Resource,
    UnexpectedError,
    leaves,
)
from madvision_assets.domain.queue import MAX_RETRY_AFTER_S
from madvision_assets.domain.stages import PipelineStep, resource_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = BreakerRules()
HOST, ANALYST = "host:example.org", "analyst"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def failed(breaker: Breaker, failure: Failure, video_id: str = "a", now: datetime = NOW) -> Breaker:
    return breaker.after_failure(failure, video_id, now, RULES)


def opened(failure: Failure | None = None, name: str = ANALYST) -> Breaker:
    return failed(Breaker(name=name), failure or ApiKeyInvalidError("revoked"))


def pause_s(breaker: Breaker, now: datetime = NOW) -> float:
    assert breaker.probe_at is not None
    return (breaker.probe_at - now).total_seconds()


@pytest.mark.parametrize(("name", "threshold"), [(HOST, RULES.host_failures), (ANALYST, RULES.failures)])
def test_it_opens_after_so_many_transient_failures_in_a_row(name: str, threshold: int) -> None:
    breaker = Breaker(name=name)
    for nth in range(1, threshold):
        breaker = failed(breaker, ConnectionLostError(), f"v{nth}")
        assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, nth)

    breaker = failed(breaker, ConnectionLostError("reset"), "last")

    assert breaker.state is BreakerState.OPEN
    assert (breaker.cause, breaker.details) == ("connection_lost", "reset")
    assert pause_s(breaker) == RULES.pause_s


def test_one_video_alone_opens_nothing_however_often_it_fails() -> None:
    breaker = Breaker(name=ANALYST)
    for _ in range(10):
        breaker = breaker.after_failure(AnalystUnavailableError(), "bad", NOW, RULES, alone=True)
        assert breaker.state is BreakerState.CLOSED

    assert failed(breaker, AnalystUnavailableError(), "another").state is BreakerState.OPEN


def test_a_success_starts_the_count_again() -> None:
    breaker = failed(failed(Breaker(name=ANALYST), AnalystUnavailableError()), AnalystUnavailableError())

    assert failed(breaker.after_success("b"), AnalystUnavailableError()).state is BreakerState.CLOSED
    assert failed(breaker, AnalystUnavailableError()).state is BreakerState.OPEN


@pytest.mark.parametrize("leaf", [leaf for leaf in leaves() if leaf.resource], ids=lambda leaf: leaf.code)
def test_one_failure_is_enough_where_a_host_turns_us_away_or_somebody_must_act(leaf: type[Failure]) -> None:
    grave = leaf.failure_class in {FailureClass.SOURCE, FailureClass.OPERATOR}

    assert (opened(leaf()).state is BreakerState.OPEN) == grave


@given(asked_s=st.floats(0.001, MAX_RETRY_AFTER_S))
def test_who_asks_us_to_wait_is_taken_at_his_word(asked_s: float) -> None:
    breaker = opened(AnalystRateLimitedError(retry_after_s=asked_s))

    assert breaker.state is BreakerState.OPEN
    assert pause_s(breaker) == pytest.approx(asked_s, abs=1e-6)


@given(asked_s=st.floats(0.001, MAX_RETRY_AFTER_S))
def test_whose_word_was_not_enough_is_left_alone_for_longer(asked_s: float) -> None:
    breaker = opened(AnalystRateLimitedError(retry_after_s=asked_s)).probed_by("a", NOW)

    again = failed(breaker, AnalystRateLimitedError(retry_after_s=asked_s))

    assert pause_s(again) == pytest.approx(max(asked_s, 2 * RULES.pause_s), abs=1e-6)


def test_nobody_keeps_it_open_for_longer_than_a_day_by_a_word() -> None:
    assert pause_s(opened(AnalystRateLimitedError(retry_after_s=1e18))) == MAX_RETRY_AFTER_S


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_cap() -> None:
    breaker, pauses = opened(), []
    for nth in range(40):
        pauses.append(pause_s(breaker))
        breaker = failed(breaker.probed_by(f"v{nth}", NOW), ApiKeyInvalidError(), f"v{nth}")

    assert pauses[:4] == [60, 120, 240, 480]
    assert pauses[-1] == max(pauses) == RULES.cap_s
    assert breaker.state is BreakerState.OPEN
    assert breaker.probe_video_id is None


def test_a_probe_that_succeeds_closes_it_with_nothing_held_against_it() -> None:
    assert opened().probed_by("a", NOW).after_success("a") == Breaker(name=ANALYST)


def test_what_was_under_way_before_it_opened_changes_nothing_however_it_ends() -> None:
    for breaker in (opened(), opened().probed_by("prober", NOW)):
        assert breaker.after_success("late") == breaker
        assert failed(breaker, AnalystUnavailableError(), "late") == breaker
        assert failed(breaker, ApiKeyInvalidError(), "late") == breaker


def test_but_who_asks_a_late_one_to_wait_is_heard() -> None:
    breaker = failed(opened(), AnalystRateLimitedError(retry_after_s=5000), "late")

    assert pause_s(breaker) == 5000
    assert breaker.trips == 1


def test_nobody_is_let_in_before_the_probe_is_due_and_then_one_at_a_time() -> None:
    breaker = opened()
    assert not breaker.admits("a", later(RULES.pause_s - 1))
    due = later(RULES.pause_s)
    assert breaker.admits("a", due)
    assert breaker.admits("b", due)

    probed = breaker.probed_by("a", due)

    assert probed.state is BreakerState.HALF_OPEN
    assert probed.admits("a", due)
    assert not probed.admits("b", due)
    assert not probed.may_probe(due)


def test_a_probe_that_is_not_heard_of_any_more_makes_way_for_another() -> None:
    probed = opened().probed_by("a", later(100))

    assert not probed.admits("b", later(100 + PROBE_LEASE_S - 1))
    assert probed.admits("b", later(100 + PROBE_LEASE_S))
    assert probed.unprobed().admits("b", later(100))
    again = probed.probed_by("b", later(100 + PROBE_LEASE_S))
    assert failed(again, ApiKeyInvalidError(), "a") == again
    assert again.after_success("a") == again


def test_a_clock_that_goes_back_keeps_it_no_longer_open() -> None:
    for probed in (opened(), opened().probed_by("a", later(60))):
        days_ago = later(-2 * 86_400)

        assert probed.admits("b", days_ago)
        assert probed.may_probe(days_ago)


def test_what_a_clock_that_is_ahead_has_opened_is_left_alone_all_the_same() -> None:
    assert not opened().may_probe(later(-90))


def test_what_no_video_needed_for_long_is_forgotten() -> None:
    breaker = opened()

    assert not breaker.is_forgotten(later(RULES.pause_s + FORGOTTEN_AFTER_S - 1))
    assert breaker.is_forgotten(later(RULES.pause_s + FORGOTTEN_AFTER_S))
    assert not Breaker(name=ANALYST).is_forgotten(later(10 * FORGOTTEN_AFTER_S))


def test_it_tells_whom_it_refuses_why_it_is_open() -> None:
    refusal = opened(BotCheckError("captcha"), HOST).refusal()

    assert isinstance(refusal, BotCheckError)
    assert refusal.details == "captcha"
    assert isinstance(Breaker(name=HOST, state=BreakerState.OPEN, cause="of old").refusal(), UnexpectedError)


def test_closed_it_admits_everybody() -> None:
    assert Breaker(name=HOST).admits("a", NOW)
    assert not Breaker(name=HOST).may_probe(NOW)


def test_failures_and_steps_name_the_same_breakers() -> None:
    assert breaker_name(Resource.HOST, "youtube") == resource_of(PipelineStep.RAW_VIDEO, "youtube")
    assert breaker_name(Resource.HOST, "") is resource_of(PipelineStep.RAW_VIDEO, "") is None
    assert breaker_name(Resource.SPEECH, "youtube") == resource_of(PipelineStep.TRANSCRIPT, "youtube")
    assert breaker_name(None, "youtube") is None


actions = st.lists(
    st.tuples(
        st.sampled_from(["fail", "succeed", "probe"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([leaf for leaf in leaves() if leaf.resource is Resource.ANALYST]),
        st.integers(0, 2000),
    ),
    max_size=40,
)


@given(actions)
def test_whatever_happens_it_is_closed_or_will_be_probed_by_one(
    steps: list[tuple[str, str, type[Failure], int]],
) -> None:
    breaker, now = Breaker(name=ANALYST), NOW
    for action, video_id, leaf, passed_s in steps:
        now += timedelta(seconds=passed_s)
        if action == "fail":
            breaker = failed(breaker, leaf(), video_id, now)
        elif action == "succeed":
            breaker = breaker.after_success(video_id)
        elif breaker.may_probe(now):
            breaker = breaker.probed_by(video_id, now)

        probing = breaker.probe_video_id is not None
        assert probing == (breaker.state is BreakerState.HALF_OPEN) == (breaker.probe_expires_at is not None)
        if breaker.state is BreakerState.CLOSED:
            assert breaker.failures < RULES.failures
        else:
            assert breaker.admits("d", now + timedelta(seconds=max(RULES.cap_s, PROBE_LEASE_S)))
        assert sum(breaker.admits(each, now) for each in "abc") in {0, 1, 3}
