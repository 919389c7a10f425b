"""The queue: the states of a video, its legal moves, and what follows from a failure.

The table ``video_processing_queue`` holds one row per video and is the truth; the database refuses illegal moves too.

    queued ──> running ──> done
      │          │ ├─────> failed    (permanent, or out of retries)
      │          │ └─────> parked    (it kills its workers)
      └──> waiting <──┘              (comes back at next_attempt_at)

Out of ``done``, ``failed`` and ``parked`` a video is queued again by somebody, or run by hand.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from madvision_assets.domain.failures import (
    Failure,
    FailureClass,
    PoisonInputError,
    RunNotLaunchedError,
    WorkerLostError,
)

MAX_PRIORITY = 100
# Nobody who asks us to wait is heard for longer; the header may hold any number.
MAX_RETRY_AFTER_S = 86_400.0
# A person who keeps changes has the video for so long at most: longer than anybody waits for a store or a database
# that is away (``work/publish.py``).
PERSONS_LEASE_S = 1200.0


class QueueStatus(StrEnum):
    """Where a video stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    PARKED = "parked"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in {QueueStatus.DONE, QueueStatus.FAILED, QueueStatus.PARKED}


LEGAL_MOVES: dict[QueueStatus, frozenset[QueueStatus]] = {
    # Done at once: somebody ran its stages by hand before its turn came.
    QueueStatus.QUEUED: frozenset({QueueStatus.RUNNING, QueueStatus.DONE}),
    QueueStatus.WAITING: frozenset({QueueStatus.RUNNING, QueueStatus.QUEUED, QueueStatus.DONE}),
    QueueStatus.RUNNING: frozenset(QueueStatus) - {QueueStatus.RUNNING},
    QueueStatus.DONE: frozenset({QueueStatus.QUEUED, QueueStatus.RUNNING}),
    QueueStatus.FAILED: frozenset({QueueStatus.QUEUED, QueueStatus.RUNNING}),
    QueueStatus.PARKED: frozenset({QueueStatus.QUEUED, QueueStatus.RUNNING}),
}


def is_legal_move(old: QueueStatus, new: QueueStatus) -> bool:
    """Whether a video may go from one state to the other; staying is always legal."""
    return old is new or new in LEGAL_MOVES[old]


@dataclass(frozen=True)
class RetryRules:
    """When a video that failed is tried again.

    Attributes:
        base_s: the first pause, seconds; each later one is twice as long.
        cap_s: the longest pause that we choose ourselves, seconds.
        max_retries: tries after the first that a video may use up by transient failures of its own.
        max_lost_workers: so many workers lost with the video in hand, on one step, park it.
        max_lost_launches: likewise, so many launches in a row of which no worker took it in hand, while the workers of
            other videos did.
        launch_cap_s: the longest pause after a launch of which no worker came, seconds; the first is a sixth of
            ``base_s``.
    """

    base_s: float = 30.0
    cap_s: float = 3600.0
    max_retries: int = 8
    max_lost_workers: int = 3
    max_lost_launches: int = 10
    launch_cap_s: float = 300.0

    def pause_s(self, nth: int, spread: float) -> float:
        """The pause before the ``nth`` retry (from 0), seconds, with jitter: half of it to all of it.

        Args:
            nth: counts from 0.
            spread: a random number, 0 to 1.
        """
        return _doubled(self.base_s, nth, self.cap_s) * (0.5 + 0.5 * spread)

    def launch_pause_s(self, nth: int, spread: float) -> float:
        """Likewise, after the ``nth`` launch in a row of which no worker came."""
        return _doubled(self.base_s / 6, nth, self.launch_cap_s) * (0.5 + 0.5 * spread)


def _doubled(first_s: float, times: int, cap_s: float) -> float:
    return min(cap_s, first_s * 2.0 ** min(times, 32))  # the cap is reached long before


@dataclass(frozen=True)
class Verdict:
    """What follows for a video from a failure.

    Attributes:
        status: its next state.
        next_attempt_at: when it may be tried again.
        retry: retries used up.
        lost_workers: workers lost on this step.
        failure: the failure as it is to be told; a lost worker too many is a poisonous input.
    """

    status: QueueStatus
    next_attempt_at: datetime
    retry: int
    lost_workers: int
    failure: Failure


def judge(
    failure: Failure,
    *,
    retry: int,
    lost_workers: int,
    now: datetime,
    spread: float,
    rules: RetryRules,
    blocked_until: datetime | None = None,
    lost_launches: int = 0,
    alone_lost: int = 0,
) -> Verdict:
    """Decide what becomes of a running video that failed.

    Args:
        failure: what happened.
        retry: retries used up so far.
        lost_workers: workers lost so far on this step.
        now: the time, timezone-aware.
        spread: a random number, 0 to 1.
        rules: the pauses.
        blocked_until: when what the failure speaks against is probed next, if its breaker is open: then the fault is
            not the video's, which waits without using up a retry.
        lost_launches: launches in a row before this one of which no worker came.
        alone_lost: how many of these, this one among them, were lost while the workers of other videos began.
    """
    if failure.failure_class is FailureClass.PERMANENT:
        return Verdict(QueueStatus.FAILED, now, retry, lost_workers, failure)
    if isinstance(failure, WorkerLostError):
        lost_workers += 1
        if lost_workers >= rules.max_lost_workers:
            failure = PoisonInputError(f"{lost_workers} workers were lost on it. {failure.details}")
    if isinstance(failure, RunNotLaunchedError) and alone_lost >= rules.max_lost_launches:
        failure = PoisonInputError(
            f"{alone_lost} workers in a row were lost before they had it in hand, while those of other videos began. "
            f"{failure.details}"
        )
    if failure.failure_class is FailureClass.POISON:
        return Verdict(QueueStatus.PARKED, now, retry, lost_workers, failure)
    # What a site is said to have against us counts too, as long as no breaker believes it.
    own_fault = failure.failure_class in {FailureClass.TRANSIENT, FailureClass.SOURCE} and blocked_until is None
    # A worker that was lost is counted apart.
    if own_fault and failure.is_counted and not isinstance(failure, WorkerLostError):
        if retry >= rules.max_retries:
            return Verdict(QueueStatus.FAILED, now, retry, lost_workers, failure)
        retry += 1
    if failure.failure_class is FailureClass.OPERATOR:
        pause_s = rules.cap_s  # somebody has to act first, and will requeue it
    elif isinstance(failure, RunNotLaunchedError):
        pause_s = rules.launch_pause_s(lost_launches, spread)
    else:
        pause_s = rules.pause_s(max(0, (lost_workers if isinstance(failure, WorkerLostError) else retry) - 1), spread)
    asked_s = min(MAX_RETRY_AFTER_S, failure.retry_after_s or 0.0)
    asked = now + timedelta(seconds=max(pause_s if blocked_until is None else 0.0, asked_s))
    return Verdict(QueueStatus.WAITING, max(asked, blocked_until or asked), retry, lost_workers, failure)
