"""Tracing: what the tables tell of attempts that have ended, and callbacks that were sent, go to a collector as spans.

It is done by one process beside all that processes videos and answers people, out of rows that are written anyway: so
no collector, whatever it does, is in the way of anything. What it did not take is sent again, for a day.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from madvision_assets.domain.traces import Place, Span, Telling
from madvision_assets.tools.database import Database
from madvision_assets.tools.telemetry import Collector

if TYPE_CHECKING:
    from madvision_assets.tools.database.traces import EndedAttempts

# An end is dated before its transaction is through: what ended a moment ago may not be all of it yet.
SETTLED_S = 10.0
KEPT_S = 24 * 3600.0
MAX_ATTEMPTS = 100
MAX_TELLINGS = 1000
WAIT_S = 2.0


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Progress:
    """How far the traces are.

    Attributes:
        place: of the last attempt that a collector has.
        dropped: so many attempts and callbacks no collector has taken within a day.
    """

    place: Place
    dropped: int = 0

    def to_text(self) -> str:
        """What ``from_text`` reads."""
        place = self.place
        return json.dumps([place.at.isoformat(), place.video_id, place.attempt, self.dropped])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """As it was kept."""
        at, video_id, attempt, dropped = json.loads(text)
        return cls(Place(datetime.fromisoformat(at), video_id, attempt), dropped)


@dataclass(frozen=True)
class Step:
    """What one look came to: how far the traces are, and what was done, in a sentence."""

    progress: Progress
    sentence: str


@dataclass(frozen=True)
class _Batch:
    """What is on its way: up to which place, with which callbacks, and what becomes of it."""

    place: Place
    tellings: tuple[Telling, ...]
    spans: int
    answer: "Future[str | None]"


class Tracing:
    """Sends traces. Safe to tell of callbacks from any thread; one thread looks at a time.

    Args:
        database: where the attempts are.
        collector: where the spans go.
        now: the clock, timezone-aware.
        wait_s: so long a look waits for the collector's answer; the next one has it otherwise.
    """

    def __init__(
        self,
        database: Database,
        collector: Collector,
        now: Callable[[], datetime] = utc_now,
        wait_s: float = WAIT_S,
    ) -> None:
        self._database = database
        self._collector = collector
        self._now = now
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._tellings: deque[Telling] = deque()
        self._overflowed = 0
        self._under_way: _Batch | None = None

    @cached_property
    def _attempts(self) -> "EndedAttempts":
        from madvision_assets.tools.database.traces import EndedAttempts

        return EndedAttempts(self._database)

    def told(self, telling: Telling) -> None:
        """A callback was sent; it waits for the next look, and the oldest of too many goes."""
        with self._lock:
            self._tellings.append(telling)
            self._bound()

    def look(self, kept: str | None) -> Step:
        """Send what has ended since, unless the last batch is still on its way.

        Args:
            kept: how far it was, as the last look's progress had it; None at first: what ended before is not sent.

        Raises:
            DatabaseUnavailableError: and the like, as ``Database`` does; what is there is sent later.
        """
        now = self._now()
        until = now - timedelta(seconds=SETTLED_S)
        if kept is None:
            return Step(Progress(Place(until)), "What ends from now on is sent.")
        progress = self._without_what_is_old(Progress.from_text(kept), now)
        batch = self._under_way or self._sent(progress.place, until)
        if batch is None:
            return Step(progress, _told("Nothing has ended.", progress))
        self._under_way = batch
        wait_for([batch.answer], self._wait_s)
        if not batch.answer.done():
            return Step(progress, _told("The collector has not answered yet.", progress))
        self._under_way = None
        problem = batch.answer.result()
        if problem is not None:
            self._put_back(batch.tellings)
            return Step(progress, _told(f"Not sent: {problem}", progress))
        progress = replace(progress, place=max(progress.place, batch.place, key=_order))
        return Step(progress, _told(f"{batch.spans} spans sent.", progress))

    def _without_what_is_old(self, progress: Progress, now: datetime) -> Progress:
        """What nobody took for a day is dropped, and counted."""
        oldest = now - timedelta(seconds=KEPT_S)
        with self._lock:
            dropped, self._overflowed = self._overflowed, 0
            while self._tellings and self._tellings[0].ended_at < oldest:
                self._tellings.popleft()
                dropped += 1
        if progress.place.at < oldest:
            dropped += self._attempts.count(progress.place, oldest)
            progress = replace(progress, place=Place(oldest))
        return replace(progress, dropped=progress.dropped + dropped)

    def _sent(self, place: Place, until: datetime) -> "_Batch | None":
        """A batch on its way; None where there is nothing to send."""
        places = self._attempts.after(place, until, MAX_ATTEMPTS)
        with self._lock:
            tellings = tuple(self._tellings.popleft() for _ in range(min(MAX_ATTEMPTS, len(self._tellings))))
        if not places and not tellings:
            return None
        try:
            spans = self._spans(places, tellings)
        except Exception:
            self._put_back(tellings)
            raise
        to = places[-1] if places else place
        answer = self._collector.send(spans) if spans else _taken()
        return _Batch(to, tellings, len(spans), answer)

    def _spans(self, places: Sequence[Place], tellings: Sequence[Telling]) -> list[Span]:
        video_ids = {each.video_id for each in places} | {each.video_id for each in tellings}
        histories = self._attempts.histories(video_ids)
        spans = [
            span
            for each in places
            if each.video_id in histories
            for span in histories[each.video_id].spans_of(each.attempt)
        ]
        told = (histories[each.video_id].span_of(each) for each in tellings if each.video_id in histories)
        return [*spans, *filter(None, told)]

    def _put_back(self, tellings: Sequence[Telling]) -> None:
        with self._lock:
            self._tellings.extendleft(reversed(tellings))
            self._bound()

    def _bound(self) -> None:
        while len(self._tellings) > MAX_TELLINGS:
            self._tellings.popleft()
            self._overflowed += 1


def _taken() -> "Future[str | None]":
    """The answer where nothing has to be sent: of videos that were forgotten meanwhile."""
    taken: Future[str | None] = Future()
    taken.set_result(None)
    return taken


def _order(place: Place) -> tuple[datetime, str, int]:
    return place.at, place.video_id, place.attempt


def _told(sentence: str, progress: Progress) -> str:
    """With what was lost, so that nobody takes the traces for whole."""
    return f"{sentence} {progress.dropped} dropped so far." if progress.dropped else sentence
