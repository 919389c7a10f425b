"""Tracing: what the tables tell of attempts that have ended, and callbacks that were sent, go to a collector as spans.

It is done by one process beside all that processes videos and answers people, out of rows that are written anyway: so
no collector, whatever it does, is in the way of anything. What it could not take is sent again, for a day; what it
refuses for good is sent in ever smaller batches, until what it takes and what it refuses are told apart.
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

from madvision_assets.domain.traces import History, Place, Span, Telling
from madvision_assets.tools.database import Database
from madvision_assets.tools.telemetry import Collector, Refusal

if TYPE_CHECKING:
    from madvision_assets.tools.database.traces import EndedAttempts

# An end is dated before its transaction is through: what ended a moment ago may not be all of it yet.
SETTLED_S = 10.0
KEPT_S = 24 * 3600.0
MAX_ITEMS = 100  # attempts and callbacks of a batch
MAX_SPANS = 512  # of a batch, but for one attempt alone
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
        looked_at: when somebody looked last.
        dropped: so many attempts and callbacks no collector has taken within a day, or it refused for good.
    """

    place: Place
    looked_at: datetime
    dropped: int = 0

    def to_text(self) -> str:
        """What ``from_text`` reads."""
        place = self.place
        return json.dumps(
            [place.at.isoformat(), place.video_id, place.attempt, self.looked_at.isoformat(), self.dropped]
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """As it was kept."""
        at, video_id, attempt, looked_at, dropped = json.loads(text)
        place = Place(datetime.fromisoformat(at), video_id, attempt)
        return cls(place, datetime.fromisoformat(looked_at), dropped)


@dataclass(frozen=True)
class Step:
    """What one look came to: how far the traces are, and what was done, in a sentence."""

    progress: Progress
    sentence: str


@dataclass(frozen=True)
class _Item:
    """What is sent as a whole, or not: an attempt, by its place, or a callback; with what it adds to its trace."""

    of: Place | Telling
    spans: Sequence[Span]


@dataclass(frozen=True)
class _Batch:
    """What is on its way, and what becomes of it."""

    items: Sequence[_Item]
    answer: "Future[Refusal | None]"

    @property
    def spans(self) -> int:
        """How many."""
        return sum(len(each.spans) for each in self.items)

    @property
    def tellings(self) -> list[Telling]:
        """The callbacks among it."""
        return [each.of for each in self.items if isinstance(each.of, Telling)]

    def after(self, place: Place) -> Place:
        """How far one is that was there, once this is through."""
        return max([place, *(each.of for each in self.items if isinstance(each.of, Place))], key=_order)


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
        self._most = MAX_ITEMS

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
            kept: how far it was, as the last look's progress had it; None at first: what ended before is not sent, nor
                is it where nobody has looked for a day, since there was no collector then.

        Raises:
            DatabaseUnavailableError: and the like, as ``Database`` does; what is there is sent later.
        """
        now = self._now()
        until = now - timedelta(seconds=SETTLED_S)
        before = Progress.from_text(kept) if kept else None
        if before is None or (now - before.looked_at).total_seconds() > KEPT_S:
            progress = Progress(Place(until), now, before.dropped if before else 0)
            return Step(progress, _told("What ends from now on is sent.", progress))
        progress = self._without_what_is_old(replace(before, looked_at=now), now)
        batch = self._under_way or self._sent(progress.place, until)
        if batch is None:
            return Step(progress, _told("Nothing has ended.", progress))
        self._under_way = batch
        wait_for([batch.answer], self._wait_s)
        if not batch.answer.done():
            return Step(progress, _told("The collector has not answered yet.", progress))
        self._under_way = None
        return self._answered(batch, batch.answer.result(), progress)

    def _answered(self, batch: _Batch, refusal: Refusal | None, progress: Progress) -> Step:
        """What comes of an answer. After one for good half as much is sent, in the end one alone, which is dropped."""
        if refusal is None:
            self._most = min(2 * self._most, MAX_ITEMS)
            progress = replace(progress, place=batch.after(progress.place))
            return Step(progress, _told(f"{batch.spans} spans sent.", progress))
        if refusal.is_final and len(batch.items) == 1:
            progress = replace(progress, place=batch.after(progress.place), dropped=progress.dropped + 1)
            return Step(progress, _told(f"Refused for good: {refusal.sentence}", progress))
        if refusal.is_final:
            self._most = len(batch.items) // 2
        self._put_back(batch.tellings)
        return Step(progress, _told(f"Not sent: {refusal.sentence}", progress))

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

    def _sent(self, place: Place, until: datetime) -> _Batch | None:
        """A batch on its way; None where there is nothing to send."""
        # Half of it is for callbacks, as far as there are any: they wait for no end of what has ended.
        for_tellings = min(len(self._tellings), self._most // 2)
        places = self._attempts.after(place, until, self._most - for_tellings)
        with self._lock:
            room = min(self._most - len(places), len(self._tellings))
            tellings = [self._tellings.popleft() for _ in range(room)]
        try:
            items = _as_fits(self._items([*places, *tellings]))
        except Exception:
            self._put_back(tellings)
            raise
        self._put_back(tellings[max(0, len(items) - len(places)) :])
        if not items:
            return None
        spans = [span for each in items for span in each.spans]
        return _Batch(items, self._collector.send(spans) if spans else _taken())

    def _items(self, wanted: Sequence[Place | Telling]) -> list[_Item]:
        """With the spans of each; without any where its video was forgotten meanwhile."""
        histories = self._attempts.histories({(each.video_id, each.attempt) for each in wanted}) if wanted else {}
        return [_Item(each, _spans(histories.get(each.video_id), each)) for each in wanted]

    def _put_back(self, tellings: Sequence[Telling]) -> None:
        with self._lock:
            self._tellings.extendleft(reversed(tellings))
            self._bound()

    def _bound(self) -> None:
        while len(self._tellings) > MAX_TELLINGS:
            self._tellings.popleft()
            self._overflowed += 1


def _spans(history: History | None, of: Place | Telling) -> Sequence[Span]:
    if history is None:
        return ()
    if isinstance(of, Place):
        return history.spans_of(of.attempt)
    span = history.span_of(of)
    return [span] if span else ()


def _as_fits(items: Sequence[_Item]) -> list[_Item]:
    """The first ones, as many as go into a batch; one at least."""
    found: list[_Item] = []
    spans = 0
    for each in items:
        spans += len(each.spans)
        if found and spans > MAX_SPANS:
            break
        found.append(each)
    return found


def _taken() -> "Future[Refusal | None]":
    """The answer where nothing has to be sent: of videos that were forgotten meanwhile."""
    taken: Future[Refusal | None] = Future()
    taken.set_result(None)
    return taken


def _order(place: Place) -> tuple[datetime, str, int]:
    return place.at, place.video_id, place.attempt


def _told(sentence: str, progress: Progress) -> str:
    """With what was lost, so that nobody takes the traces for whole."""
    return f"{sentence} {progress.dropped} dropped so far." if progress.dropped else sentence
