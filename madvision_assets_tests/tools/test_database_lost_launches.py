"""Claims about launches of which no worker came: the launcher's fault, or the video's; on SQLite and PostgreSQL."""

from dataclasses import dataclass, field
from itertools import count

import pytest

from madvision_assets.domain.failures import PrivateVideoError, WorkerLostError
from madvision_assets.domain.queue import QueueStatus, RetryRules
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets_tests.databases import VIDEO, Clock, get, history, submit

pytestmark = pytest.mark.whole

RAW, *_ = PipelineStep
ENOUGH = RetryRules().max_lost_launches


@dataclass
class Launcher:
    """Claims one video again and again, whose workers are all lost before they have it in hand."""

    database: Database
    queue: Queue
    clock: Clock
    others: "count[int]" = field(default_factory=lambda: count(2))

    def lose(self, *, beside: bool = False, afterwards: bool = False) -> QueueStatus | None:
        """One launch is lost; the worker of another video begins meanwhile, or afterwards."""
        self.clock.move(RetryRules().launch_cap_s)
        [row] = self.queue.claim_due(1)
        self.clock.move(5)
        if beside:
            self.begin_another()
        self.clock.move(60)
        status = self.queue.fail(VIDEO, f"run {row.attempt}", row.attempt, RAW, WorkerLostError("exit code 137"))
        if afterwards:
            self.clock.move(1)
            self.begin_another()
        return status

    def begin_another(self) -> None:
        """The worker of a video that is claimed now begins, and ends."""
        [other] = submit(self.database, next(self.others), at=self.clock.now)
        [row] = self.queue.claim_due(2)
        self.queue.begin(other, f"run of {other}", row.attempt, RAW)
        self.queue.fail(other, f"run of {other}", row.attempt, RAW, PrivateVideoError())


@pytest.fixture
def launcher(database: Database, queue: Queue, clock: Clock) -> Launcher:
    submit(database, 1, at=clock.now)
    return Launcher(database, queue, clock)


def test_a_video_whose_launches_are_lost_while_others_begin_is_parked_with_the_evidence(launcher: Launcher) -> None:
    ends = [launcher.lose(beside=True) for _ in range(ENOUGH)]

    assert ends == [QueueStatus.WAITING] * (ENOUGH - 1) + [QueueStatus.PARKED]
    row = get(launcher.queue)
    assert (row.failure_cause, row.lost_workers, row.retry) == ("poison_input", 0, 0)
    assert "exit code 137" in (row.failure_details or "")
    assert launcher.queue.claim_due(1) == []


@pytest.mark.parametrize("afterwards", [False, True])
def test_where_nothing_else_begins_meanwhile_it_is_never_the_videos_fault(
    launcher: Launcher, *, afterwards: bool
) -> None:
    ends = [launcher.lose(afterwards=afterwards) for _ in range(3 * ENOUGH)]

    assert set(ends) == {QueueStatus.WAITING}


def test_launches_lost_in_an_outage_do_not_count_once_others_begin_again(launcher: Launcher) -> None:
    for _ in range(2 * ENOUGH):
        launcher.lose()

    ends = [launcher.lose(beside=True) for _ in range(ENOUGH)]

    assert ends == [QueueStatus.WAITING] * (ENOUGH - 1) + [QueueStatus.PARKED]


def test_those_that_are_lost_together_are_no_witnesses_of_each_other(launcher: Launcher) -> None:
    clock, queue = launcher.clock, launcher.queue
    submit(launcher.database, 2, at=clock.now)
    for _ in range(2 * ENOUGH):
        clock.move(RetryRules().launch_cap_s)
        for row in queue.claim_due(2):
            ended = queue.fail(row.video_id, f"run {row.attempt}", row.attempt, RAW, WorkerLostError())
            assert ended is QueueStatus.WAITING


def test_somebody_who_queues_it_again_gives_it_as_many_launches_again(launcher: Launcher) -> None:
    for _ in range(ENOUGH):
        launcher.lose(beside=True)
    assert Operations(launcher.database, launcher.clock).requeue(video_ids=[VIDEO]) == 1

    ends = [launcher.lose(beside=True) for _ in range(ENOUGH)]

    assert ends == [QueueStatus.WAITING] * (ENOUGH - 1) + [QueueStatus.PARKED]
    assert len(history(launcher.database, VIDEO)) == 2 * ENOUGH
