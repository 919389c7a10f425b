"""A run's lease on its video: kept alive by a thread while the run lives, given up as soon as somebody took it over.

The thread alone writes progress to the database, so a stage never waits for it; a database that is away costs a few
reports and nothing else.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from madvision_assets.defs.runtime.patience import Patience
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.defs.runtime.workers import Announcement
from madvision_assets.domain.failures import CancelledError, Failure, SupersededError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep

if TYPE_CHECKING:
    from madvision_assets.tools.database.leases import Lease
    from madvision_assets.tools.database.queue import Queue

ATTEMPT_TAG = "madvision/attempt"
SOURCE_TAG = "madvision/source"
COMMAND_LINE = "command line"
PARTITION_TAG = "dagster/partition"

REPORT_INTERVAL_S = 1.0
BEAT_INTERVAL_S = 5.0
# A stage without any progress for so long stands still, whatever its other threads do: no more signs of life are given.
STANDS_STILL_S = 2 * 3600.0


def attempt_of(run: dg.DagsterRun) -> int | None:
    """The attempt that a run was launched for; None for one that somebody started, or started again, in Dagster."""
    attempt = run.tags.get(ATTEMPT_TAG, "")
    return int(attempt) if attempt.isdecimal() and run.parent_run_id is None else None


class RunLease:
    """What a run tells the queue of its video.

    Args:
        queue: the queue.
        instance: where the run is.
        run: the run.
        announcement: tells others on this machine of this process.
        patience: with databases that are away; it ends when the process is told to stop.
        in_pods: whether a stage whose worker is told to stop is begun again in another pod, by the same run.
    """

    def __init__(
        self,
        queue: "Queue",
        instance: dg.DagsterInstance,
        run: dg.DagsterRun,
        announcement: Announcement | None = None,
        patience: Patience | None = None,
        *,
        in_pods: bool = False,
    ) -> None:
        self._queue = queue
        self._instance = instance
        self._run = run
        self._announcement = announcement or Announcement()
        self._patience = patience or Patience()
        self._in_pods = in_pods
        self._attempt = attempt_of(run)
        self._lease: Lease | None = None
        self._news: tuple[PipelineStep, float, str] | None = None
        self._over = False
        self._progress_at_s: float | None = None
        self._stopping = threading.Event()

    @property
    def _by_command(self) -> bool:
        return self._run.tags.get(SOURCE_TAG) == COMMAND_LINE

    @property
    def _video_id(self) -> str:
        return self._run.tags.get(PARTITION_TAG, "")

    @contextmanager
    def kept_alive(self) -> Iterator["RunLease"]:
        """Give signs of life until the end."""
        thread = threading.Thread(target=self._keep_alive, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            thread.join()

    def begin(self, step: PipelineStep) -> None:
        """A stage begins; a database that is away is waited for.

        Raises:
            SupersededError: the video was taken over by a later run.
            Failure: a breaker is open that guards this stage.
        """
        run_id, attempt, insists = self._run.run_id, self._attempt, self._by_command
        begin = partial(self._queue.begin, self._video_id, run_id, attempt, step, insists=insists)
        self._lease = self._patience.ask(begin)
        self._progress_at_s = time.monotonic()
        self._announcement.tell(self.owner)

    @property
    def owner(self) -> Owner:
        """This process, and what for it is at work."""
        attempt = self._lease.attempt if self._lease is not None else self._attempt
        return Owner.here(self._video_id, self._run.run_id, attempt)

    def asks_anew(self, step: PipelineStep) -> bool:
        """Whether somebody wants this stage, which has begun, done again, whatever there is of it."""
        if self._attempt is None:  # started in Dagster
            return True
        wanted = self._lease.from_step if self._lease is not None else None
        return wanted is not None and step in wanted.onwards()

    def report(self, step: PipelineStep, fraction: float, text: str) -> None:
        """Progress of the stage; at 1 its work is done, and publishing it or the next one's turn may take any time.

        Raises:
            SupersededError: the video was taken over by a later run.
        """
        self._news = (step, fraction, text)
        self._progress_at_s = time.monotonic() if fraction < 1 else None
        if self._over:
            raise SupersededError

    def fail(self, step: PipelineStep, failure: Failure) -> QueueStatus | None:
        """The stage failed; a database that is away is waited for, so that nobody takes the worker for lost meanwhile.

        Returns:
            What becomes of the video; None where a later run has it.

        Raises:
            Failure: it stayed away; the reconciler finds the failure in Dagster's events later.
        """
        self._stopping.set()
        fail = partial(self._queue.fail, self._video_id, self._run.run_id, self._attempt, step, failure)
        return self._patience.ask(fail)

    def interrupted(self, step: PipelineStep) -> None:
        """The process was told to stop: somebody wants this video stopped, or the machine goes down.

        Raises:
            Failure: the database is away.
        """
        self._stopping.set()
        self._patience.end()
        if self._by_command or self._is_cancelled():
            self.fail(step, CancelledError(f"at {step}"))
            return
        if self._in_pods:
            return
        attempt = self._lease.attempt if self._lease is not None else self._attempt
        if attempt is not None:
            self._queue.release(self._video_id, attempt)

    def _is_cancelled(self) -> bool:
        """Whether somebody wants the run stopped; where Dagster cannot be asked, the machine goes down."""
        with suppress(Exception):
            run = self._instance.get_run_by_id(self._run.run_id)
            return run is not None and run.status in {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}
        return False

    def interrupted_before(self, step: str) -> None:
        """Likewise, while the run waited for a slot of the pool of this step."""
        with suppress(Failure):  # the reconciler will find out
            self.interrupted(PipelineStep(step))

    def _keep_alive(self) -> None:
        quiet_s = BEAT_INTERVAL_S
        while not self._stopping.wait(REPORT_INTERVAL_S):
            quiet_s += REPORT_INTERVAL_S
            if self._stands_still():
                continue
            try:
                if self._lease is None:
                    self._start()
                elif self._news is not None or quiet_s >= BEAT_INTERVAL_S:
                    self._beat(self._lease)
                    quiet_s = 0.0
            except Exception:  # noqa: BLE001, S112 - the next one may come through; without any the worker counts as lost
                continue

    def _stands_still(self) -> bool:
        since_s = self._progress_at_s  # another thread writes it
        return since_s is not None and time.monotonic() - since_s > STANDS_STILL_S

    def _start(self) -> None:
        if self._attempt is not None:
            self._lease = self._queue.start(self._video_id, self._run.run_id, self._attempt)

    def _beat(self, lease: "Lease") -> None:
        news, self._news = self._news, None
        held = self._queue.report(lease, *news) if news else self._queue.beat(lease)
        # A lease that a stage began meanwhile is another one.
        self._over = not held and lease == self._lease
