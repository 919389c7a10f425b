"""What must hold when a campaign is over and nothing more happens by itself: one function for each promise.

They read an ``Evidence`` and nothing else, so that each can be shown a world in which its promise is broken.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from madvision_assets_tests.chaos.plan import STEPS
from madvision_assets_tests.chaos.videos import End

# An attempt ends by a fault while it lasts, or so long after it: breakers, back-off, a lost worker being missed.
GRACE_S = 60.0
# What breaks an attempt off by the video's own fault, by its kind.
OWN_CAUSES = {
    "throttled": {"source_rate_limited"},
    "cut twice": {"connection_lost", "incomplete_download", "source_rate_limited"},
}
# Whoever is on the same host waits with it.
HOST_CAUSES = {"source_rate_limited", "connection_lost"}
ASKING = ("content_type", "clip_candidates")
SDK_TRIES = 3


@dataclass(frozen=True)
class Attempt:
    """One attempt at a video; times in seconds since 1970."""

    number: int
    run_id: str | None
    began_at: float
    ended_at: float | None
    step: str
    status: str
    cause: str | None = None

    @property
    def was_broken_off(self) -> bool:
        """Whether it ended with more to be done."""
        return self.status in {"waiting", "queued"}


@dataclass(frozen=True)
class Made:
    """A row of lineage."""

    step: str
    run_id: str
    data_version: str


@dataclass
class Film:
    """All that is known of one video.

    Attributes:
        name: its own.
        kind: of the plan.
        end: how it must end.
        status: of its row, and the next two likewise.
        attempts: oldest first.
        lineage: rows, oldest first.
        documents: versions in the store, by step.
        current: version that counts, by step.
        missing: keys of files that its documents name and the store has not.
        begun: runs whose process has come to life.
        worked: process that did the work of a step to its end, each time.
        downloads: how often most of it was sent.
        asked: questions of the analyst, by step.
        told: what the API says to each who submitted it.
        pages: status of the page of each, and of each link to a clip.
        forgiven: so many times somebody took it over on purpose.
    """

    name: str
    kind: str
    end: End
    status: str
    cause: str | None = None
    outcome: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    lineage: list[Made] = field(default_factory=list)
    documents: Counter[str] = field(default_factory=Counter)
    current: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    worked: list[tuple[str, int]] = field(default_factory=list)
    downloads: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    pages: list[tuple[str, int]] = field(default_factory=list)
    forgiven: int = 0

    def broken_off_at(self, step: str) -> int:
        """How many attempts ended at a step before it was over."""
        return sum(attempt.was_broken_off and attempt.step == step for attempt in self.attempts)


@dataclass(frozen=True)
class Window:
    """When a fault was on; seconds since 1970."""

    name: str
    kind: str
    began_at: float
    ended_at: float


@dataclass(frozen=True)
class Callback:
    """A delivery that a receiver took."""

    delivery_id: str
    path: str
    video_id: str
    attempt: int


@dataclass
class Evidence:
    """All that is known at the end.

    Attributes:
        unfinished: where each video stands that is still not at its end.
        struck: processes that faults killed or stopped.
        slots: of pools that are taken or waited for.
        breakers: those that are not closed, with their causes.
        processes: of the system that are left when it has stopped, or workers that are left when nothing is to be done.
        files: temporary ones and locks that are left.
        uploads: multipart uploads that nobody ended.
        wanted: path of the callback of each submission that was answered.
        callbacks: those that were taken.
        secrets: where one was found.
        held_up: what was not got over, in words.
    """

    films: list[Film]
    windows: list[Window] = field(default_factory=list)
    unfinished: Mapping[str, str] = field(default_factory=dict)
    struck: set[int] = field(default_factory=set)
    slots: Mapping[str, int] = field(default_factory=dict)
    breakers: Mapping[str, str | None] = field(default_factory=dict)
    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    held_up: list[str] = field(default_factory=list)


Broken = Iterator[str]


def everything_ends(evidence: Evidence) -> Broken:
    """Nothing is stuck."""
    yield from (f"{name} has not ended: {where}" for name, where in evidence.unfinished.items())


def each_ends_right(evidence: Evidence) -> Broken:
    """Each video is in the one state that it deserves; none is parked, since none kills a worker by itself."""
    for film in evidence.films:
        found = End(film.status, film.cause, film.outcome)
        if film.name not in evidence.unfinished and found != film.end:
            yield f"{film.name} ended as {_words(found)}, not as {_words(film.end)}"


def what_breaks_off_has_a_cause(evidence: Evidence) -> Broken:
    """An attempt is broken off by a fault that was on, or by what its video is; and every attempt has ended."""
    for film in evidence.films:
        for attempt in film.attempts:
            if attempt.ended_at is None:
                if film.name not in evidence.unfinished:
                    yield f"{film.name}: attempt {attempt.number} never ended"
                continue
            own = attempt.cause in OWN_CAUSES.get(film.kind, set()) or attempt.cause in HOST_CAUSES
            # Dagster takes its time to find that a run was not launched: what counts is when that was tried.
            since = attempt.began_at if attempt.cause == "run_not_launched" else attempt.ended_at
            by_fault = any(w.began_at <= attempt.ended_at and since <= w.ended_at + GRACE_S for w in evidence.windows)
            if attempt.was_broken_off and not own and not by_fault and not film.forgiven:
                yield f"{film.name}: attempt {attempt.number} was broken off ({attempt.cause}) while nothing was broken"


def only_workers_are_lost(evidence: Evidence) -> Broken:
    """A worker is called lost only where there was one: what could not be launched is no fault of the video."""
    for film in evidence.films:
        for attempt in film.attempts:
            if attempt.cause == "worker_lost" and attempt.run_id not in film.begun:
                yield f"{film.name}: attempt {attempt.number} counts as a lost worker, and no process ever had it"


def no_finished_stage_is_done_again(evidence: Evidence) -> Broken:
    """Where a stage was done twice, the first attempt had ended at it: past it, it is finished."""
    for film in evidence.films:
        ended_at = {attempt.run_id: attempt.step for attempt in film.attempts if attempt.was_broken_off}
        for step, rows in _by_step(film.lineage).items():
            for row in rows[:-1]:
                if ended_at.get(row.run_id) != step:
                    yield f"{film.name}: {step} was finished by run {row.run_id}, and done again"


def finished_work_is_published(evidence: Evidence) -> Broken:
    """What a process has done to its end comes to count, unless that process was struck."""
    for film in evidence.films:
        for step in STEPS:
            workers = [pid for worked, pid in film.worked if worked == step]
            lost = sum(pid in evidence.struck for pid in workers) + film.forgiven
            if len(workers) > 1 + lost:
                yield (
                    f"{film.name}: the work of {step} was done {len(workers)} times, and of those that did it "
                    f"{lost} were struck"
                )


def one_manifest_for_each_stage(evidence: Evidence) -> Broken:
    """Each stage of a video that is done has one document that counts, which the lineage knows, and all its files."""
    for film in evidence.films:
        if film.status != "done":
            yield from (f"{film.name} is {film.status}, and has {step}" for step in film.current if step == "clips")
            continue
        for step in STEPS:
            known = [row for row in film.lineage if row.step == step]
            if film.current.get(step) not in {row.data_version for row in known}:
                yield f"{film.name}: the lineage does not know the {step} that counts"
            most = 1 + film.broken_off_at(step) + film.forgiven
            if not 1 <= film.documents[step] <= most:
                yield f"{film.name}: {film.documents[step]} versions of {step}, at most {most} can be"
        yield from (f"{film.name}: {key} is not in the store" for key in film.missing)


def nothing_is_paid_twice(evidence: Evidence) -> Broken:
    """What is fetched and asked again is what was broken off."""
    has_bad_api = any(window.kind == "analyst" for window in evidence.windows)
    for film in evidence.films:
        most = 1 + film.broken_off_at("raw_video") + film.forgiven
        if film.downloads > most:
            yield f"{film.name}: sent {film.downloads} times, at most {most} can be"
        for step in ASKING:
            most = 1 + film.broken_off_at(step) + film.forgiven
            tries = SDK_TRIES if has_bad_api else 1
            if film.asked[step] > most * tries:
                yield f"{film.name}: the analyst was asked for {step} {film.asked[step]} times, at most {most * tries}"


def nothing_is_left(evidence: Evidence) -> Broken:
    """No slot, open breaker, process, temporary file, lock or upload."""
    yield from (f"{count} of pool {name} are taken" for name, count in evidence.slots.items())
    yield from (f"the breaker {name} is not closed ({cause})" for name, cause in evidence.breakers.items())
    yield from (f"the process {command} is left" for command in evidence.processes)
    yield from (f"the file {path} is left" for path in evidence.files)
    yield from (f"the upload {key} is left" for key in evidence.uploads)


def everybody_is_told_what_is(evidence: Evidence) -> Broken:
    """The API says to each who submitted a video what its row says, and its page and clips are there."""
    for film in evidence.films:
        truth = (film.status, film.cause, film.outcome)
        for told in film.told:
            said = (told.get("status"), told.get("failure_cause"), told.get("outcome"))
            if said != truth:
                yield f"{film.name}: the API says {said}, and it is {truth}"
            if bool(told.get("clips")) != (film.outcome == "clips"):
                yield f"{film.name}: the API shows {len(told.get('clips') or ())} clips of the outcome {film.outcome}"
        yield from (f"{film.name}: {page} answers {status}" for page, status in film.pages if status not in {200, 206})


def everybody_is_called_back(evidence: Evidence) -> Broken:
    """Who wanted to be told was, of each end by one delivery."""
    called = {callback.path for callback in evidence.callbacks}
    yield from (f"nobody called {path}" for path in evidence.wanted if path not in called)
    deliveries = Counter(
        (path, attempt) for _, path, attempt in {(c.delivery_id, c.path, c.attempt) for c in evidence.callbacks}
    )
    yield from (f"{path} was told {count} times of one end" for (path, _), count in deliveries.items() if count > 1)


def no_secret_is_in_a_log(evidence: Evidence) -> Broken:
    """Not the key, no password, no token."""
    yield from evidence.secrets


def what_broke_is_got_over(evidence: Evidence) -> Broken:
    """After each fault the system went on by itself."""
    yield from evidence.held_up


INVARIANTS: tuple[Callable[[Evidence], Broken], ...] = (
    everything_ends,
    each_ends_right,
    what_breaks_off_has_a_cause,
    only_workers_are_lost,
    no_finished_stage_is_done_again,
    finished_work_is_published,
    one_manifest_for_each_stage,
    nothing_is_paid_twice,
    nothing_is_left,
    everybody_is_told_what_is,
    everybody_is_called_back,
    no_secret_is_in_a_log,
    what_broke_is_got_over,
)


def broken(evidence: Evidence) -> list[str]:
    """Every promise that is broken, by its name, and how."""
    return [f"{promise.__name__}: {how}" for promise in INVARIANTS for how in promise(evidence)]


def _by_step(rows: Iterable[Made]) -> dict[str, list[Made]]:
    found: dict[str, list[Made]] = {}
    for row in rows:
        found.setdefault(row.step, []).append(row)
    return found


def _words(end: End) -> str:
    return ", ".join(each for each in (end.status, end.cause, end.outcome) if each)
