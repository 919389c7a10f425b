"""Claims about the queue's rules: what follows for a video from a failure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.failures import (
    Failure,
    FailureClass,
    PoisonFailure,
    PoisonInputError,
    RunNotLaunchedError,
    WorkerLostError,
    leaves,
)
from madvision_assets.domain.queue import MAX_RETRY_AFTER_S, QueueStatus, RetryRules, Verdict, is_legal_move, judge
from madvision_assets.domain.stages import PipelineStep, overall_progress, resource_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = RetryRules()
# Those of the class that say nothing more of their own.
OF_CLASS = {
    each: [leaf for leaf in leaves() if leaf.failure_class is each and leaf.is_counted and leaf is not WorkerLostError]
    for each in FailureClass
}
spreads = st.floats(0, 1)
retries = st.integers(0, RULES.max_retries - 1)


def verdict_on(
    failure: Failure,
    *,
    retry: int = 0,
    lost_workers: int = 0,
    spread: float = 0.5,
    blocked_until: datetime | None = None,
    rules: RetryRules = RULES,
    lost_launches: int = 0,
    alone_lost: int = 0,
) -> Verdict:
    return judge(
        failure,
        retry=retry,
        lost_workers=lost_workers,
        now=NOW,
        spread=spread,
        rules=rules,
        blocked_until=blocked_until,
        lost_launches=lost_launches,
        alone_lost=alone_lost,
    )


def pause_s(verdict: Verdict) -> float:
    return (verdict.next_attempt_at - NOW).total_seconds()


@pytest.mark.parametrize("leaf", OF_CLASS[FailureClass.PERMANENT], ids=lambda leaf: leaf.code)
def test_a_permanent_failure_ends_it_at_once(leaf: type[Failure]) -> None:
    blocked = verdict_on(leaf(), blocked_until=NOW + timedelta(hours=1))

    assert verdict_on(leaf()).status is blocked.status is QueueStatus.FAILED


@pytest.mark.parametrize("leaf", OF_CLASS[FailureClass.TRANSIENT], ids=lambda leaf: leaf.code)
@given(retry=retries, spread=spreads)
def test_a_transient_failure_waits_and_uses_a_retry(leaf: type[Failure], retry: int, spread: float) -> None:
    verdict = verdict_on(leaf(), retry=retry, spread=spread)

    assert (verdict.status, verdict.retry) == (QueueStatus.WAITING, retry + 1)
    assert verdict.next_attempt_at > NOW


@pytest.mark.parametrize("leaf", OF_CLASS[FailureClass.TRANSIENT], ids=lambda leaf: leaf.code)
def test_retries_run_out(leaf: type[Failure]) -> None:
    verdict = verdict_on(leaf("why"), retry=RULES.max_retries)

    assert (verdict.status, verdict.retry) == (QueueStatus.FAILED, RULES.max_retries)
    assert verdict.failure.code == leaf.code
    assert verdict_on(leaf(), rules=RetryRules(max_retries=0)).status is QueueStatus.FAILED


@pytest.mark.parametrize("failure_class", [FailureClass.SOURCE, FailureClass.OPERATOR])
@given(retry=st.integers(0, 100), blocked=st.booleans())
def test_what_is_not_the_videos_fault_uses_no_retry(failure_class: FailureClass, retry: int, *, blocked: bool) -> None:
    blocked = blocked or failure_class is FailureClass.SOURCE  # whose word no breaker takes is held against the video
    for leaf in OF_CLASS[failure_class]:
        verdict = verdict_on(leaf(), retry=retry, blocked_until=NOW + timedelta(hours=1) if blocked else None)

        assert (verdict.status, verdict.retry) == (QueueStatus.WAITING, retry)


@pytest.mark.parametrize("leaf", OF_CLASS[FailureClass.OPERATOR], ids=lambda leaf: leaf.code)
def test_what_somebody_has_to_mend_is_tried_seldom(leaf: type[Failure]) -> None:
    assert pause_s(verdict_on(leaf())) == RULES.cap_s


@given(retry=st.integers(0, 100), ahead_s=st.floats(0, 86_400))
def test_behind_an_open_breaker_no_retry_is_used_and_the_probe_is_waited_for(retry: int, ahead_s: float) -> None:
    probe_at = NOW + timedelta(seconds=ahead_s)
    for leaf in OF_CLASS[FailureClass.TRANSIENT]:
        verdict = verdict_on(leaf(), retry=retry, blocked_until=probe_at)

        assert (verdict.status, verdict.retry) == (QueueStatus.WAITING, retry)
        assert verdict.next_attempt_at == probe_at


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in leaves() if leaf.failure_class not in {FailureClass.PERMANENT, FailureClass.POISON}]
)
@given(asked_s=st.floats(0, MAX_RETRY_AFTER_S), blocked=st.booleans())
def test_who_asks_us_to_wait_is_not_asked_earlier(leaf: type[Failure], asked_s: float, *, blocked: bool) -> None:
    failure = leaf(retry_after_s=asked_s)

    verdict = verdict_on(failure, blocked_until=NOW + timedelta(seconds=60) if blocked else None)

    assert verdict.next_attempt_at >= NOW + timedelta(seconds=asked_s)


def test_nobody_keeps_us_waiting_for_longer_than_a_day() -> None:
    for leaf in OF_CLASS[FailureClass.SOURCE]:
        assert pause_s(verdict_on(leaf(retry_after_s=1e18))) == MAX_RETRY_AFTER_S


@given(nth=st.integers(0, 1000), spread=spreads)
def test_a_pause_lies_between_half_and_all_of_one_that_doubles_up_to_a_cap(nth: int, spread: float) -> None:
    whole_s = min(RULES.cap_s, RULES.base_s * 2**nth)

    assert whole_s / 2 <= RULES.pause_s(nth, spread) <= whole_s
    assert RULES.pause_s(nth, 0) == whole_s / 2
    assert RULES.pause_s(nth, 1) == whole_s


@given(retry=st.integers(0, RULES.max_retries - 2))
def test_each_retry_waits_as_long_as_the_one_before_or_longer(retry: int) -> None:
    (leaf, *_) = OF_CLASS[FailureClass.TRANSIENT]
    pauses = [pause_s(verdict_on(leaf(), retry=n, spread=1)) for n in (retry, retry + 1)]

    assert pauses[1] == min(RULES.cap_s, 2 * pauses[0])
    assert pause_s(verdict_on(leaf(), retry=0, spread=1)) == RULES.base_s


def test_the_third_worker_lost_on_a_step_parks_the_video_with_the_evidence() -> None:
    lost = 0
    for nth in (1, 2):
        verdict = verdict_on(WorkerLostError("killed"), retry=5, lost_workers=lost)
        assert (verdict.status, verdict.retry, verdict.lost_workers) == (QueueStatus.WAITING, 5, nth)
        lost = verdict.lost_workers

    last = verdict_on(WorkerLostError("exit code 137"), retry=5, lost_workers=lost)

    assert (last.status, last.lost_workers) == (QueueStatus.PARKED, 3)
    assert isinstance(last.failure, PoisonInputError)
    assert "exit code 137" in last.failure.details


def test_a_worker_may_be_lost_though_the_retries_are_used_up() -> None:
    assert verdict_on(WorkerLostError(), retry=RULES.max_retries).status is QueueStatus.WAITING


@given(
    retry=st.integers(0, 20),
    lost_workers=st.integers(0, 20),
    launches=st.integers(0, 10**6),
    alone=st.integers(0, RULES.max_lost_launches - 1),
    spread=spreads,
)
def test_a_launch_that_came_to_nothing_is_not_held_against_the_video(
    retry: int, lost_workers: int, launches: int, alone: int, spread: float
) -> None:
    verdict = verdict_on(
        RunNotLaunchedError(),
        retry=retry,
        lost_workers=lost_workers,
        lost_launches=launches,
        alone_lost=alone,
        spread=spread,
    )

    assert (verdict.status, verdict.retry, verdict.lost_workers) == (QueueStatus.WAITING, retry, lost_workers)
    whole_s = min(RULES.launch_cap_s, RULES.base_s / 6 * 2.0 ** min(launches, 100))
    assert whole_s / 2 - 1e-6 <= pause_s(verdict) <= whole_s


def test_a_video_whose_launches_alone_come_to_nothing_is_parked() -> None:
    verdict = verdict_on(RunNotLaunchedError("exit code 137"), lost_launches=20, alone_lost=RULES.max_lost_launches)

    assert (verdict.status, verdict.lost_workers) == (QueueStatus.PARKED, 0)
    assert isinstance(verdict.failure, PoisonInputError)
    assert "exit code 137" in verdict.failure.details


def test_a_poisonous_input_is_parked() -> None:
    for leaf in PoisonFailure.__subclasses__():
        assert verdict_on(leaf()).status is QueueStatus.PARKED


@given(
    leaf=st.sampled_from(leaves()),
    retry=st.integers(0, 20),
    lost_workers=st.integers(0, 5),
    spread=spreads,
    asked_s=st.none() | st.floats(0, allow_nan=False, allow_infinity=False),
    blocked=st.booleans(),
)
def test_every_verdict_is_a_legal_end_of_a_turn_and_never_in_the_past(
    leaf: type[Failure],
    retry: int,
    lost_workers: int,
    spread: float,
    asked_s: float | None,
    *,
    blocked: bool,
) -> None:
    verdict = verdict_on(
        leaf(retry_after_s=asked_s),
        retry=retry,
        lost_workers=lost_workers,
        spread=spread,
        blocked_until=NOW if blocked else None,
    )

    assert verdict.status is not QueueStatus.RUNNING
    assert is_legal_move(QueueStatus.RUNNING, verdict.status)
    assert NOW <= verdict.next_attempt_at <= NOW + timedelta(seconds=MAX_RETRY_AFTER_S)
    assert verdict.retry >= retry
    assert verdict.lost_workers >= lost_workers


def test_out_of_every_state_a_video_can_be_run_again_and_only_running_ends_badly() -> None:
    for status in QueueStatus:
        assert is_legal_move(status, QueueStatus.RUNNING)
        assert is_legal_move(status, status)
        if status is not QueueStatus.RUNNING:
            ends = {QueueStatus.WAITING, QueueStatus.FAILED, QueueStatus.PARKED} - {status}
            assert not any(is_legal_move(status, end) for end in ends)


def test_a_step_is_guarded_by_what_it_shares_with_others() -> None:
    assert [resource_of(step, "youtube") for step in PipelineStep] == [
        "host:youtube",
        "speech",
        "analyst",
        "analyst",
        None,
    ]
    assert resource_of(PipelineStep.RAW_VIDEO, "") is None


@given(fractions=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
def test_progress_grows_from_nothing_to_all_within_and_over_the_steps(fractions: list[float]) -> None:
    for step in PipelineStep:
        low, high = (overall_progress(step, fraction) for fraction in fractions)
        assert low <= high
        if step.next:
            assert overall_progress(step, 1) == overall_progress(step.next, 0)
    assert overall_progress(PipelineStep.RAW_VIDEO, 0) == 0
    assert overall_progress(PipelineStep.CLIPS, 1) == 1


@pytest.mark.parametrize("fraction", [float("nan"), float("inf"), float("-inf"), -1.0, 2.0])
def test_progress_stays_within_0_and_1_whatever_is_reported(fraction: float) -> None:
    for step in PipelineStep:
        assert 0 <= overall_progress(step, fraction) <= 1
