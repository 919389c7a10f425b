"""Traces: a video's way from its submission to its clips, as spans that are made of rows alone.

Whoever reads the same rows makes the same spans, with the same IDs. A trace is one time that a video is processed: from
the first attempt after its last end to the next one, with all tries in between.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from madvision_assets.domain.failure_records import failure_of, public_sentence
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep

TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8
BAD_STATUS = 400  # of HTTP: from here on a status is an error
FINAL = frozenset(each.value for each in QueueStatus if each.is_final)
MOST_SUBMITS = 100  # of one trace: what everybody submits would have no end of them


class SpanKind(StrEnum):
    """Whether somebody outside is asked during a span."""

    INTERNAL = "internal"
    CLIENT = "client"


@dataclass(frozen=True)
class Span:
    """A stretch of time in which something was done.

    Attributes:
        name: of what was done; of few values, whatever the video.
        trace_id: 128 bits.
        span_id: 64 bits.
        parent_id: the span that it is part of; None for the root of the trace.
        began_at: timezone-aware.
        ended_at: likewise, and not earlier.
        attributes: by OpenTelemetry's semantic conventions where they have a name, else below ``madvision.``; None is
            left out.
        error: what went wrong, for a person; None where nothing did.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    began_at: datetime
    ended_at: datetime
    attributes: Mapping[str, str | int | float | None] = field(default_factory=dict)
    kind: SpanKind = SpanKind.INTERNAL
    error: str | None = None


@dataclass(frozen=True)
class Attempt:
    """A line of the history: see ``processing_attempts``; ``ended_at`` is None while it goes on."""

    attempt: int
    run_id: str | None
    started_at: datetime
    ended_at: datetime | None
    step: str
    status: str
    cause: str | None
    details: str | None

    @property
    def ends_the_trace(self) -> bool:
        """Whether nothing more happened to the video by itself."""
        return self.ended_at is not None and self.status in FINAL

    @property
    def error(self) -> str | None:
        """What went wrong in it, for a person outside."""
        failure = failure_of(self.cause, self.details)
        return public_sentence(failure) if failure else None


@dataclass(frozen=True)
class Place:
    """How far somebody has read the attempts that have ended: in the order of their ends, up to this one."""

    at: datetime
    video_id: str = ""
    attempt: int = 0


@dataclass(frozen=True)
class MadeDocument:
    """What a stage made: its line of the lineage."""

    run_id: str
    asset: str
    created_at: datetime
    wall_s: float
    cost_usd: float
    engine: str
    model: str | None
    taken_from: str | None


@dataclass(frozen=True)
class PaidCall:
    """A call of a model: its line in the books; ``settled_at`` is None where nobody said what became of it."""

    number: int
    step: str
    model: str
    created_at: datetime
    settled_at: datetime | None
    cost_usd: float
    input_tokens: int
    output_tokens: int
    cause: str | None


@dataclass(frozen=True)
class Telling:
    """A callback that was sent.

    Attributes:
        video_id: whose end was told.
        attempt: which of its ends.
        tries: how often it was sent, this time included.
        url: of the receiver.
        status_code: what he answered with; None where he did not.
        error: what went wrong; None where he took it.
    """

    video_id: str
    attempt: int
    tries: int
    url: str
    began_at: datetime
    ended_at: datetime
    status_code: int | None
    error: str | None


@dataclass(frozen=True)
class History:
    """All that the rows tell of a video; each in the order of time."""

    video_id: str
    source: str
    outcome: str | None
    attempts: tuple[Attempt, ...]
    submitted_at: tuple[datetime, ...] = ()
    made: tuple[MadeDocument, ...] = ()
    paid: tuple[PaidCall, ...] = ()

    def spans_of(self, number: int) -> list[Span]:
        """What this attempt adds to its trace; the root of the trace where it ends it.

        Args:
            number: of an attempt that has ended.
        """
        trace = self._trace_of(number)
        return [*trace.waiting(), *trace.attempted(), *trace.root()] if trace else []

    def span_of(self, telling: Telling) -> Span | None:
        """What a callback adds to the trace whose end it tells; None where nobody knows of that end any more."""
        trace = self._trace_of(telling.attempt)
        return trace.told(telling) if trace else None

    def asking_for(self, number: int) -> tuple[datetime | None, datetime] | None:
        """After when, and until when, submissions led to what this attempt is part of; None where none did.

        Args:
            number: of an attempt.
        """
        trace = self._trace_of(number)
        return trace.asking if trace else None

    def _trace_of(self, number: int) -> "_Trace | None":
        tried: list[Attempt] = []
        before: Attempt | None = None
        for each in self.attempts:
            if tried and tried[-1].ends_the_trace:
                before, tried = tried[-1], []
            tried.append(each)
            if each.attempt == number:
                return _Trace(self, before, tuple(tried))
        return None


@dataclass(frozen=True)
class _Trace:
    """One time that a video is processed, up to an attempt.

    Attributes:
        before: how it had ended before; None the first time.
        tried: its attempts, the one that is told of last.
    """

    history: History
    before: Attempt | None
    tried: tuple[Attempt, ...]

    @property
    def trace_id(self) -> int:
        """Of no other trace, in another installation neither: its first attempt began nowhere else just then."""
        first = self.tried[0]
        return _number(TRACE_ID_BYTES, self.history.video_id, str(first.attempt), first.started_at.isoformat())

    @property
    def asking(self) -> tuple[datetime | None, datetime] | None:
        """After when, and until when, submissions led to it; None where clips were there already, so that none did."""
        if self.before and self.before.status == QueueStatus.DONE.value:
            return None
        return self.before.ended_at if self.before else None, self.tried[0].started_at

    @property
    def asked_at(self) -> tuple[datetime, ...]:
        """The submissions that led to it."""
        if self.asking is None:
            return ()
        since, until = self.asking
        return tuple(at for at in self.history.submitted_at if at <= until and (since is None or at > since))

    @property
    def began_at(self) -> datetime:
        """When somebody first asked for it."""
        return min(self.asked_at, default=self.tried[0].started_at)

    @property
    def last(self) -> Attempt:
        """The attempt that is told of."""
        return self.tried[-1]

    def waiting(self) -> Iterator[Span]:
        """Its submissions, before the first attempt; and how long the queue held it before this one."""
        first = len(self.tried) == 1
        for number, at in enumerate(self.asked_at[:MOST_SUBMITS] if first else ()):
            yield self._span("submit", f"submit {number} {at.isoformat()}", self._root_id, at, at)
        since = None if first else self.tried[-2].ended_at
        if first and self.asked_at:
            since = self.began_at
        if since is not None:
            cause = None if first else self.tried[-2].cause
            told = {"madvision.attempt": self.last.attempt, "madvision.waits_after": cause}
            yield self._span("queue", f"queue {self.last.attempt}", self._root_id, since, self.last.started_at, told)

    def attempted(self) -> Iterator[Span]:
        """The attempt, its stages and what was paid for in them."""
        mine, ended_at = self.last, _ended(self.last)
        told = {
            "madvision.attempt": mine.attempt,
            "madvision.run.id": mine.run_id,
            "madvision.stage": mine.step,
            "madvision.status": mine.status,
            "error.type": mine.cause,
        }
        yield self._span("attempt", self._attempt_key, self._root_id, mine.started_at, ended_at, told, error=mine.error)
        stages = [each for each in self.history.made if each.run_id == mine.run_id and self._is_within(each.created_at)]
        for each in stages:
            yield self._stage(each)
        done = {each.asset for each in stages}
        if mine.cause and mine.run_id and mine.step not in done:
            yield self._failed_stage(max((each.created_at for each in stages), default=mine.started_at))
            done.add(mine.step)
        for call in self.history.paid:
            if self._is_within(call.created_at):
                yield self._call(call, self._id(self._stage_key(call.step)) if call.step in done else None)

    def root(self) -> Iterator[Span]:
        """All of it, once it has ended."""
        if self.last.ends_the_trace:
            outcome = self.history.outcome if self.last.status == QueueStatus.DONE.value else None
            told = {
                "madvision.source": self.history.source,
                "madvision.status": self.last.status,
                "madvision.outcome": outcome,
                "madvision.attempts": len(self.tried),
                "error.type": self.last.cause,
            }
            began_at, ended_at = self.began_at, _ended(self.last)
            yield self._span("video", "video", None, began_at, ended_at, told, error=self.last.error)

    def told(self, telling: Telling) -> Span:
        """A callback, by the conventions for HTTP clients; the address may hold secrets, and its host alone is told."""
        code, (host, port) = telling.status_code, _receiver(telling.url)
        told = {
            "http.request.method": "POST",
            "http.response.status_code": code,
            "http.request.resend_count": telling.tries - 1 or None,
            "server.address": host,
            "server.port": port,
            "madvision.attempt": telling.attempt,
            "error.type": (str(code) if code and code >= BAD_STATUS else "no_answer") if telling.error else None,
        }
        key = f"callback {telling.began_at.isoformat()} {telling.url}"
        return self._span(
            "POST", key, self._root_id, telling.began_at, telling.ended_at, told, SpanKind.CLIENT, telling.error
        )

    def _stage(self, made: MadeDocument) -> Span:
        # Of work that an earlier try did, the seconds lie before this attempt.
        began_at = max(made.created_at - timedelta(seconds=made.wall_s), self.last.started_at)
        told = {
            "madvision.engine": made.engine,
            "madvision.model": made.model,
            "madvision.cost_usd": made.cost_usd or None,
            "madvision.taken_from": made.taken_from,
        }
        key = self._stage_key(made.asset)
        return self._span(made.asset, key, self._id(self._attempt_key), began_at, made.created_at, told)

    def _failed_stage(self, began_at: datetime) -> Span:
        mine, key = self.last, self._stage_key(self.last.step)
        told = {"error.type": mine.cause}
        return self._span(mine.step, key, self._id(self._attempt_key), began_at, _ended(mine), told, error=mine.error)

    def _call(self, call: PaidCall, stage_id: int | None) -> Span:
        """A model that was asked, by the conventions for generative AI."""
        hears = call.step == PipelineStep.TRANSCRIPT
        operation = "transcription" if hears else "chat"
        told = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": call.model,
            "gen_ai.usage.input_tokens": call.input_tokens or None,
            "gen_ai.usage.output_tokens": call.output_tokens or None,
            "madvision.cost_usd": call.cost_usd or None,
            "error.type": call.cause,
        }
        name, key = f"{operation} {call.model}", f"call {call.number}"
        parent_id = self._id(self._attempt_key) if stage_id is None else stage_id
        ended_at = max(call.created_at, min(call.settled_at or _ended(self.last), _ended(self.last)))
        return self._span(name, key, parent_id, call.created_at, ended_at, told, SpanKind.CLIENT, call.cause)

    def _is_within(self, moment: datetime) -> bool:
        return self.last.started_at <= moment <= _ended(self.last)

    @property
    def _root_id(self) -> int:
        return self._id("video")

    @property
    def _attempt_key(self) -> str:
        return f"attempt {self.last.attempt}"

    def _stage_key(self, step: str) -> str:
        return f"{self._attempt_key} {step}"

    def _id(self, key: str) -> int:
        return _number(SPAN_ID_BYTES, str(self.trace_id), key)

    def _span(
        self,
        name: str,
        key: str,
        parent_id: int | None,
        began_at: datetime,
        ended_at: datetime,
        attributes: Mapping[str, str | int | float | None] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str | None = None,
    ) -> Span:
        told = {"madvision.video.id": self.history.video_id, **(attributes or {})}
        # Clocks of several machines: what ended before it began took no time.
        ended_at = max(began_at, ended_at)
        return Span(name, self.trace_id, self._id(key), parent_id, began_at, ended_at, told, kind, error)


def _ended(attempt: Attempt) -> datetime:
    return attempt.ended_at or attempt.started_at


def _receiver(url: str) -> tuple[str | None, int | None]:
    """Host and port, as far as an address has them."""
    try:
        parts = urlsplit(url)
        found = parts.hostname, parts.port
    except ValueError:
        return None, None
    return found


def _number(size_bytes: int, *parts: str) -> int:
    """A number that is the same for the same parts, as random as an ID has to be, and never 0, which is none."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()[:size_bytes]
    return int.from_bytes(digest, "big") or 1
