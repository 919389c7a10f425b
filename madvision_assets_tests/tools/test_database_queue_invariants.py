"""Claims that hold whatever is done to the queue, in whatever order and by however many at once."""

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from madvision_assets.domain.breakers import BreakerState
from madvision_assets.domain.failures import (
    AnalystUnavailableError,
    ApiKeyInvalidError,
    BotCheckError,
    ConnectionLostError,
    Failure,
    IncompleteDownloadError,
    PrivateVideoError,
    StoreUnavailableError,
    SupersededError,
    WorkerLostError,
)
from madvision_assets.domain.queue import QueueStatus, RetryRules, is_legal_move
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.leases import Lease
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets_tests.databases import Clock, emptied, history, made, new_database, shut_breakers, submit, url_of

RAW, *_, CLIPS = PipelineStep
VIDEOS = [Video(video_id=f"web-{n}", address=f"http://{'ab'[n % 2]}.example/{n}") for n in range(3)]
FAILURES: list[type[Failure]] = [
    AnalystUnavailableError,
    ApiKeyInvalidError,
    BotCheckError,
    ConnectionLostError,
    IncompleteDownloadError,
    PrivateVideoError,
    StoreUnavailableError,
    WorkerLostError,
]
BOUND = 2

videos = st.sampled_from(VIDEOS)
steps = st.sampled_from(PipelineStep)


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database("sqlite", request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


class Moves(RuleBasedStateMachine):
    """Sensors, workers, people and the clock, each doing anything at any time."""

    database: Database

    def __init__(self) -> None:
        """Begin with each video queued."""
        super().__init__()
        self.clock = Clock()
        emptied(self.database)
        self.queue = Queue(self.database, RetryRules(max_retries=2), now=self.clock, spread=lambda: 1.0)
        self.runs: list[tuple[str, str, int | None]] = []
        self.leases: set[Lease] = set()
        self.rows: dict[str, QueueRow] = {}
        Submissions(self.database, self.clock).add([NewSubmission(video) for video in VIDEOS])

    def a_run(self, number: int) -> tuple[str, str, int | None]:
        """Of the newest runs oftener than of the old ones."""
        return self.runs[-1 - number % len(self.runs)]

    @rule(video=videos, priority=st.integers(-2, 2))
    def submit(self, video: Video, priority: int) -> None:
        """Somebody wants a video."""
        Submissions(self.database, self.clock).add([NewSubmission(video, priority)])

    @rule()
    def claim(self) -> None:
        """A sensor's tick."""
        for row in self.queue.claim_due(BOUND):
            self.runs.append((row.video_id, f"{row.video_id}:{row.attempt}", row.attempt))
            assert len(self.queue.running()) <= BOUND

    @rule(video=videos, number=st.integers(0, 1000))
    def run_by_hand(self, video: Video, number: int) -> None:
        """Somebody runs a video that was submitted."""
        if self.queue.get(video.video_id) is not None:
            self.runs.append((video.video_id, f"hand {number} {len(self.runs)}", None))

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 3), step=steps)
    def begin(self, number: int, step: PipelineStep) -> None:
        """A run begins a step; a refusal is fine."""
        video_id, run_id, attempt = self.a_run(number)
        with suppress(Failure):
            self.leases.add(self.queue.begin(video_id, run_id, attempt, step))

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 3), step=steps, ends=st.booleans())
    def finish(self, number: int, step: PipelineStep, *, ends: bool) -> None:
        """A run finishes a step."""
        video_id, run_id, _ = self.a_run(number)
        clips = made(video_id) if step is CLIPS else None
        self.queue.finish_step(video_id, run_id, step, ends=ends, made=clips)

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 3), step=steps, leaf=st.sampled_from(FAILURES))
    def fail(self, number: int, step: PipelineStep, leaf: type[Failure]) -> None:
        """A run fails, or the reconciler finds that it did."""
        video_id, run_id, attempt = self.a_run(number)
        self.queue.fail(video_id, run_id, attempt, step, leaf())

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 3), done=st.booleans())
    def settle(self, number: int, *, done: bool) -> None:
        """The reconciler puts a row back, or finds that all is there."""
        video_id, _, attempt = self.a_run(number)
        if done:
            self.queue.complete(video_id, attempt or 1, made(video_id))
        else:
            self.queue.release(video_id, attempt or 1)

    @rule(seconds=st.sampled_from([4000, 1000, 60, -30, -7200]))
    def pass_time(self, seconds: float) -> None:
        """Or the clock is set."""
        self.clock.move(seconds)

    @invariant()
    def at_most_one_holds_a_video_and_it_is_the_one_in_its_row(self) -> None:
        """Whoever cannot report cannot publish either."""
        holders = Counter[str]()
        for lease in self.leases:
            held = self.queue.report(lease, RAW, 0.5, "")
            row = self.queue.get(lease.video_id)
            assert row is not None
            assert held == (
                row.status is QueueStatus.RUNNING and (row.run_id, row.attempt) == (lease.run_id, lease.attempt)
            )
            holders[lease.video_id] += held
            if not held and row.status is not QueueStatus.DONE:
                with pytest.raises(SupersededError):
                    self.queue.require_lease(lease.video_id, lease.run_id)
        assert not holders or max(holders.values()) <= 1

    @invariant()
    def rows_move_legally_and_their_history_is_whole(self) -> None:
        """Attempts only grow, each has its line, and all but the one under way have ended."""
        for video in VIDEOS:
            row, before = self.queue.get(video.video_id), self.rows.get(video.video_id)
            if row is None:
                continue
            if before is not None:
                assert row.attempt >= before.attempt
                assert (
                    row.attempt > before.attempt
                    or row.status is before.status
                    or is_legal_move(before.status, row.status)
                )
            self.rows[video.video_id] = row
            assert row.status is not QueueStatus.DONE or row.outcome is not None
            assert (row.finished_at is not None) == row.status.is_final
            told = history(self.database, video.video_id)
            assert [each["attempt"] for each in told] == list(range(1, row.attempt + 1))
            running = [each["attempt"] for each in told if each["ended_at"] is None]
            assert running == ([row.attempt] if row.status is QueueStatus.RUNNING else [])

    @invariant()
    def a_breaker_is_probed_by_a_video_under_way(self) -> None:
        """Nobody else keeps others from trying."""
        for breaker in shut_breakers(self.database).values():
            assert (breaker.probe_video_id is not None) == (breaker.state is BreakerState.HALF_OPEN)
            if breaker.probe_video_id is not None:
                row = self.queue.get(breaker.probe_video_id)
                assert row is not None
                assert row.status is QueueStatus.RUNNING


@pytest.mark.whole
def test_whatever_is_done_in_whatever_order_the_invariants_hold(database: Database) -> None:
    bound = type("BoundMoves", (Moves,), {"database": database})

    run_state_machine_as_test(
        bound,
        settings=settings(max_examples=12, stateful_step_count=50),
    )


# --- many processes on SQLite ---

WORKERS = 8
TURNS_EACH = 25


def _work(url: str, worker: int) -> Counter[str]:
    """Claim, report, and finish or fail, so many times; gives what was done."""
    queue, did = Queue(Database(url), RetryRules(base_s=0.01, max_retries=1000)), Counter[str]()
    while did["turns"] < TURNS_EACH:
        for row in queue.claim_due(WORKERS):
            run_id = f"{worker}:{row.video_id}:{row.attempt}"
            lease = queue.begin(row.video_id, run_id, row.attempt, RAW)
            for n in range(5):
                assert queue.report(lease, RAW, n / 5, "downloading")
            if row.attempt % 3:
                queue.fail(row.video_id, run_id, row.attempt, RAW, IncompleteDownloadError())
            else:
                queue.finish_step(row.video_id, run_id, CLIPS, ends=True, made=made(row.video_id))
            did["turns"] += 1
    return did


@pytest.mark.whole
def test_eight_processes_on_one_sqlite_file_do_not_lock_each_other_out(database: Database, clock: Clock) -> None:
    emptied(database)
    ids = submit(database, *range(400), at=clock.now)

    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        working = [pool.submit(_work, url_of(database), worker) for worker in range(WORKERS)]
        leases = sum(each.result(60)["turns"] for each in working)

    queue = Queue(database)
    rows = [queue.get(video_id) for video_id in ids]
    assert queue.running() == []
    assert sum(row.attempt for row in rows if row) == leases >= WORKERS * TURNS_EACH
    for row in rows:
        assert row is not None
        assert (row.status is QueueStatus.DONE) == (row.attempt > 0 and row.attempt % 3 == 0)
