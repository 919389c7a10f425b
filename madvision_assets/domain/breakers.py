"""Circuit breakers: what many videos share is left alone while it is broken, and probed by one of them.

    closed ──(failed often, or asked us to wait, or somebody must mend it)──> open
    open ──(probe_at has come: one video may try)──> half_open
    half_open ──(its try succeeds)──> closed          half_open ──(it fails)──> open, for longer

One breaker per host, and one each for the speech engine, the analyst's API, the store and the workers' own disk. They
live in the database, so that every process sees the same. See M. Nygard, "Release It!", chapter 5.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from madvision_assets.domain.failures import Failure, FailureClass, Resource
from madvision_assets.domain.provenance import Value

# A probe that is not heard of any more; then another video may try.
PROBE_LEASE_S = 900.0
MAX_RETRY_AFTER_S = 86_400.0


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
        if self.state is BreakerState.CLOSED or self.probe_at is None:
            return False
        tried = self.probe_video_id is not None and self.probe_expires_at is not None and self.probe_expires_at > now
        return self.probe_at <= now and not tried

    def admits(self, video_id: str, now: datetime) -> bool:
        """Whether this video may use what the breaker guards."""
        return self.state is BreakerState.CLOSED or self.probe_video_id == video_id or self.may_probe(now)

    def probed_by(self, video_id: str, now: datetime) -> "Breaker":
        """With this video trying."""
        return self.model_copy(
            update={
                "state": BreakerState.HALF_OPEN,
                "probe_video_id": video_id,
                "probe_expires_at": now + timedelta(seconds=PROBE_LEASE_S),
            }
        )

    def after_success(self) -> "Breaker":
        """Closed, with nothing held against it."""
        return Breaker(name=self.name)

    def after_failure(self, failure: Failure, video_id: str, now: datetime, rules: BreakerRules) -> "Breaker":
        """What a failure of a video changes: nothing yet, or it opens, or it stays open for longer."""
        if self.state is not BreakerState.CLOSED and self.probe_video_id != video_id:
            # Under way since before it opened: no news, but for how long the other side wants to be left alone.
            later = self._pause_until(failure, now, 0.0)
            return self.model_copy(update={"probe_at": max(self.probe_at or later, later)})
        failures = self.failures + 1
        grave = failure.failure_class in {FailureClass.SOURCE, FailureClass.OPERATOR}
        asked = failure.retry_after_s is not None
        if self.state is BreakerState.CLOSED and not (grave or asked or failures >= rules.threshold(self.name)):
            return self.model_copy(update={"failures": failures, "cause": failure.code, "details": failure.details})
        pause_s = min(rules.cap_s, rules.pause_s * 2.0 ** min(self.trips, 32))
        return Breaker(
            name=self.name,
            state=BreakerState.OPEN,
            cause=failure.code,
            details=failure.details,
            failures=failures,
            trips=self.trips + 1,
            opened_at=self.opened_at or now,
            probe_at=self._pause_until(failure, now, pause_s),
        )

    @staticmethod
    def _pause_until(failure: Failure, now: datetime, pause_s: float) -> datetime:
        asked_s = min(MAX_RETRY_AFTER_S, failure.retry_after_s or 0.0)
        return now + timedelta(seconds=asked_s or pause_s)


def breaker_name(resource: Resource | None, source: str) -> str | None:
    """Name of the breaker that a failure of a video from this source speaks against."""
    if resource is Resource.HOST:
        return f"{Resource.HOST}:{source}" if source else None
    return resource
