"""Circuit breakers: what many videos share is left alone while it is broken, and probed by one of them.

    closed ──(failed often, or asked us to wait, or somebody must mend it)──> open
    open ──(probe_at has come: one video may try)──> half_open
    half_open ──(its try succeeds)──> closed          half_open ──(it fails)──> open, for longer

What was under way before it opened is no news of it, however that ends. Who asks us to wait is taken at his word once;
if that was not enough, our own pause counts too.

What a stranger's video may bring about (its site's words, an API that its transcript upsets) counts as shared only once
videos of several submitters meet it, or where nobody else would have to wait. What one submitter's videos opened, a
video of anybody else may probe at once (``tools/database/accusations.py``).

One breaker per host, and one each for the speech engine, the analyst's API, the store and the workers' own disk. They
live in the database, so that every process sees the same. See M. Nygard, "Release It!", chapter 5.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from madvision_assets.domain.failure_records import failure_of
from madvision_assets.domain.failures import Failure, FailureClass, Resource, UnexpectedError
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.queue import MAX_RETRY_AFTER_S

# A probe that is not heard of any more; then another video may try.
PROBE_LEASE_S = 900.0
# A probe that could be made for so long and was not: no video needs it any more.
FORGOTTEN_AFTER_S = 86_400.0
# A moment so far ahead was written before the clock went back.
CLOCK_SLACK_S = 60.0


class BreakerState(StrEnum):
    """Whether what it guards may be used."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class BreakerRules:
    """When a breaker opens, and for how long.

    Attributes:
        pause_s: the first pause, seconds; each later one in a row is twice as long.
        cap_s: the longest pause that we choose ourselves, seconds.
        host_failures: so many transient failures in a row open that of a host, where other reasons are at hand too.
        failures: likewise for what is ours.
    """

    pause_s: float = 60.0
    cap_s: float = 3600.0
    host_failures: int = 5
    failures: int = 3

    def threshold(self, name: str) -> int:
        """How many failures in a row open this breaker."""
        return self.host_failures if name.startswith(f"{Resource.HOST}:") else self.failures


class Breaker(Value):
    """One breaker.

    Attributes:
        name: ``host:<source>``, ``speech``, ``analyst``, ``store`` or ``worker``.
        cause: code of the failure that opened it.
        details: its details.
        failures: transient failures in a row.
        trips: how often in a row it opened; it makes the pause longer.
        opened_at: when it opened last.
        probe_at: from then on one video may try.
        probe_video_id: the video that tries now.
        probe_expires_at: when it is given up.
    """

    name: str
    state: BreakerState = BreakerState.CLOSED
    cause: str | None = None
    details: str = ""
    failures: int = 0
    trips: int = 0
    opened_at: AwareDatetime | None = None
    probe_at: AwareDatetime | None = None
    probe_video_id: str | None = None
    probe_expires_at: AwareDatetime | None = None

    def may_probe(self, now: datetime) -> bool:
        """Whether it is time for one video to try, and none is trying."""
        if self.state is BreakerState.CLOSED:
            return False
        left_s = (self.probe_at - now).total_seconds() if self.probe_at else 0.0
        # Longer than any pause: the clock went back. A worker whose clock is ahead has it left alone too.
        is_due = not 0 < left_s <= MAX_RETRY_AFTER_S + CLOCK_SLACK_S
        return is_due and not self.is_probed(now)

    def is_probed(self, now: datetime) -> bool:
        """Whether a video tries now."""
        left_s = (self.probe_expires_at - now).total_seconds() if self.probe_expires_at else 0.0
        return self.probe_video_id is not None and 0 < left_s <= PROBE_LEASE_S + CLOCK_SLACK_S

    def admits(self, video_id: str, now: datetime) -> bool:
        """Whether this video may use what the breaker guards."""
        return self.state is BreakerState.CLOSED or self.probe_video_id == video_id or self.may_probe(now)

    def is_forgotten(self, now: datetime) -> bool:
        """Whether a probe was due for so long that no video can need it."""
        return self.may_probe(now) and (self.probe_at or now) <= now - timedelta(seconds=FORGOTTEN_AFTER_S)

    def refusal(self) -> Failure:
        """What it tells a video that may not use what it guards: what opened it."""
        return failure_of(self.cause, self.details) or UnexpectedError(self.details)

    def probed_by(self, video_id: str, now: datetime) -> "Breaker":
        """With this video trying."""
        return self.model_copy(
            update={
                "state": BreakerState.HALF_OPEN,
                "probe_video_id": video_id,
                "probe_expires_at": now + timedelta(seconds=PROBE_LEASE_S),
            }
        )

    def unprobed(self) -> "Breaker":
        """With nobody trying, and no news: another video may."""
        return self.model_copy(
            update={"state": BreakerState.OPEN, "probe_video_id": None, "probe_expires_at": None},
        )

    def after_success(self, video_id: str) -> "Breaker":
        """What a success of a video changes: nothing is held against it any more, unless it is open for others."""
        if self.state is not BreakerState.CLOSED and self.probe_video_id != video_id:
            return self
        return Breaker(name=self.name)

    def after_failure(
        self, failure: Failure, video_id: str, now: datetime, rules: BreakerRules, *, alone: bool = False
    ) -> "Breaker":
        """What a failure of a video changes: nothing yet, or it opens, or it stays open for longer.

        Args:
            failure: of the video.
            video_id: the video.
            now: the time.
            rules: when it opens, and for how long.
            alone: nobody else's video failed so of late; then it may as well be this video's fault, however often it
                fails, and whatever its site says.
        """
        if self.state is not BreakerState.CLOSED and self.probe_video_id != video_id:
            # Under way since before it opened: no news, but for how long the other side wants to be left alone.
            later = now + timedelta(seconds=_asked_s(failure))
            return self.model_copy(update={"probe_at": max(self.probe_at or later, later)})
        failures = self.failures + 1
        grave = failure.failure_class in {FailureClass.SOURCE, FailureClass.OPERATOR}
        asked_s = _asked_s(failure)
        enough = failures >= rules.threshold(self.name) and not alone
        # What a site says may be the words of whoever put the video there.
        is_hearsay = failure.resource is Resource.HOST and failure.failure_class is not FailureClass.OPERATOR
        heard = (grave or asked_s) and not (is_hearsay and alone)
        if self.state is BreakerState.CLOSED and not (heard or enough):
            return self.model_copy(update={"failures": failures, "cause": failure.code, "details": failure.details})
        own_s = 0.0 if asked_s and not self.trips else min(rules.cap_s, rules.pause_s * 2.0 ** min(self.trips, 32))
        return Breaker(
            name=self.name,
            state=BreakerState.OPEN,
            cause=failure.code,
            details=failure.details,
            failures=failures,
            trips=self.trips + 1,
            opened_at=now,
            probe_at=now + timedelta(seconds=max(asked_s, own_s)),
        )


def _asked_s(failure: Failure) -> float:
    return min(MAX_RETRY_AFTER_S, failure.retry_after_s or 0.0)


def breaker_name(resource: Resource | None, source: str) -> str | None:
    """Name of the breaker that a failure of a video from this source speaks against."""
    if resource is Resource.HOST:
        return f"{Resource.HOST}:{source}" if source else None
    return resource
