"""Queue against Dagster: what a run left undone in the table when it crashed, was cancelled or got lost is done here.

The table is the truth, and workers write it themselves. This is for those that could not: their run has ended and the
row still says ``running``; their process died, or gives no sign of life; or no run ever came of a claim. That it died
is seen at once where it is of this machine, by the lock that it left. Whether a sign of life is missing is judged by
its not changing over several looks, never by comparing clocks.

The other way round, a run that Dagster has under way while its lease is over is to end by itself. One whose process
died before it could write its end would be "started" for ever: nothing else looks for it where Dagster's launcher
cannot tell whether a worker lives, and a new code server knows its own runs only.

A process whose run was given up, and that does not end by itself, hangs: it keeps its memory of the GPU, and on one
machine nobody else ends it. The order is always: the table first, so that it can do no harm; then the process; then its
slots of the pools.
"""

import logging
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterRunStatus

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.runtime import liveness
from madvision_assets.defs.runtime.failing import CAUSE_TAG, cause_tags, of_dagster_failure
from madvision_assets.defs.runtime.lease import ATTEMPT_TAG, COMMAND_LINE, PARTITION_TAG, SOURCE_TAG, attempt_of
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.defs.runtime.workers import Workers
from madvision_assets.domain.failures import CancelledError, Failure, WorkerLostError
from madvision_assets.domain.queue import PERSONS_LEASE_S, QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.work.patience import PATIENCE_S

if TYPE_CHECKING:
    from madvision_assets.tools.database.queue import Queue
    from madvision_assets.tools.database.rows import QueueRow

logger = logging.getLogger(__name__)

# Between two looks.
RECONCILE_S = 10
# A run that Dagster still means to start is Dagster's to watch (``run_monitoring`` in dagster.yaml).
NOT_BEGUN = {
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.MANAGED,
    DagsterRunStatus.STARTING,
}
# A person's lease gives no sign of life.
LOOKS_AT_A_PERSON = math.ceil(PERSONS_LEASE_S / RECONCILE_S)
UNDER_WAY = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
GIVEN_UP = "given up"
Seen = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Reconciler:
    """Repairs drift between the queue and Dagster's runs.

    Args:
        queue: the queue.
        looks: so many looks in a row without a sign of life make a worker lost.
        one_process: whether a run is one process, which then gives signs of life between its stages too; elsewhere
            only a stage under way does, and Dagster watches the rest.
        workers: the processes of runs on this machine; None where there are none.
    """

    queue: "Queue"
    looks: int
    one_process: bool
    workers: Workers | None = None

    def look(self, instance: dg.DagsterInstance, seen: Mapping[str, tuple[str, int]]) -> tuple[Seen, list[str]]:
        """Compare every video in flight with its run.

        Args:
            instance: where the runs are.
            seen: what the last look gave.

        Returns:
            What the next look is to be given, and a sentence for each repair.
        """
        silent: Seen = {}
        repairs = []
        died = self.workers.died() if self.workers else []
        present = self.workers.present() if self.workers else []
        dead = {owner.run_id for _, owner in died if owner and self.one_process}
        running = self.queue.running()
        for row in running:
            run = find_run(instance, row)
            # With the run's state: however long it waited to be started, its silence counts from its start.
            sign = f"{row.attempt} {row.heartbeat_at} {run.status.value if run else None}"
            before, count = seen.get(row.video_id, ("", 0))
            silent[row.video_id] = (sign, count + 1 if before == sign else 0)
            is_silent = silent[row.video_id][1] >= (LOOKS_AT_A_PERSON if row.is_by_a_person else self.looks)
            is_silent = is_silent or row.run_id in dead
            repair = self._repair(instance, row, run, is_silent=is_silent)
            if repair:
                repairs.append(f"{row.video_id}: {repair}")
        leases = {(row.video_id, row.attempt) for row in running}
        for name, owner in present:
            if not self._is_given_up(instance, owner, leases):
                continue
            silent[name] = (GIVEN_UP, seen.get(name, ("", -1))[1] + 1)
            if silent[name][1] >= self._looks_at(owner.video_id, owner.run_id) and self._end_left_over(instance, owner):
                repairs.append(f"{owner.video_id}: {owner.place} hung after its run was given up, and was ended")
        holders = {row.run_id for row in running} | {owner.run_id for _, owner in present}
        for run in self._without_lease(instance, leases, holders):
            video_id = run.tags[PARTITION_TAG]
            silent[run.run_id] = (GIVEN_UP, seen.get(run.run_id, ("", -1))[1] + 1)
            if silent[run.run_id][1] >= self._looks_at(video_id, run.run_id):
                self._end_worker(instance, run.run_id)
                self._end_run(instance, run.run_id, "Its lease was over, and nobody wrote its end.")
                repairs.append(f"{video_id}: run {run.run_id} was left without a worker, and was ended")
        for path, who in died:
            if who is None or who.run_id not in {row.run_id for row in running}:
                path.unlink(missing_ok=True)
        return silent, repairs

    def is_given_up(self, video_id: str) -> bool:
        """Whether nothing more happens to a video by itself."""
        row = self.queue.get(video_id)
        return row is None or row.status.is_final

    def settle(self, run: dg.DagsterRun, instance: dg.DagsterInstance) -> str | None:
        """Bring the table in line with a run that has ended; None where there is nothing to do.

        Only a row that is still running, and that this run holds, is changed; so it may be told twice.
        """
        # A killed worker could not give back its slots of the pools; Dagster itself would only minutes later. One that
        # is still there may be at work with what they stand for.
        if not self._workers_of(run.run_id):
            dagster_inside.free_slots(instance, run.run_id)
        row = self.queue.get(run.tags.get(PARTITION_TAG, ""))
        if row is None:
            return None
        if run.status is DagsterRunStatus.SUCCESS:
            held = row.run_id == run.run_id and self.queue.release(row.video_id, row.attempt)
            return "its run ended well; queued to see what is left" if held else None
        step, failure = (
            (row.pipeline_step, CancelledError(f"run {run.run_id}"))
            if run.status is DagsterRunStatus.CANCELED
            else failure_of(run, instance, row.pipeline_step)
        )
        status = self.queue.fail(row.video_id, run.run_id, attempt_of(run), step, failure)
        if status:
            _tag(instance, run, failure, status)
        now = self.queue.get(row.video_id) if status else None  # the queue knows whether it was in hand
        return f"{now.failure_cause or failure.code}: {now.status}" if now else None

    def _repair(
        self, instance: dg.DagsterInstance, row: "QueueRow", run: dg.DagsterRun | None, *, is_silent: bool
    ) -> str | None:
        if row.is_by_a_person:  # the queue finds out whether what he made counts
            gone = is_silent and self.queue.release(row.video_id, row.attempt)
            return "nothing more was heard of a person's changes; queued to see what is left" if gone else None
        if run is None:
            return "no run came of its claim; it waits for another" if is_silent and self._give_back(row) else None
        if run.is_finished:
            return self.settle(run, instance)
        if not is_silent or run.status in NOT_BEGUN or not (self.one_process or is_at_a_stage(run, instance)):
            return None
        lost = WorkerLostError(f"run {run.run_id} gave no sign of life at {row.pipeline_step}")
        step, failure = told_failure(run, instance) or (row.pipeline_step, lost)
        held = (row.video_id, run.run_id, attempt_of(run))
        status = self.queue.fail(*held, step, failure, silent_since=row.heartbeat_at)
        if status is None:
            return None
        _tag(instance, run, failure, status)
        for owner in self._workers_of(run.run_id):
            if owner.process is not None:
                owner.process.end()
        self._end_worker(instance, run.run_id)
        self._end_run(instance, run.run_id, "Its worker gives no sign of life: the queue has taken the video back.")
        return "its worker is lost"

    def _give_back(self, row: "QueueRow") -> bool:
        lost = WorkerLostError(f"no run came of attempt {row.attempt}")
        return self.queue.fail(row.video_id, row.run_id or "", row.attempt, row.pipeline_step, lost) is not None

    def _looks_at(self, video_id: str, run_id: str) -> int:
        """How long a run may still be there: one that did all of its work may wait for Dagster's database."""
        row = self.queue.get(video_id)
        did_all = row is not None and row.status is QueueStatus.DONE and row.run_id == run_id
        return self.looks + (math.ceil(PATIENCE_S / RECONCILE_S) if did_all else 0)

    def _workers_of(self, run_id: str) -> list[Owner]:
        return self.workers.of_run(run_id) if self.workers else []

    def _without_lease(
        self, instance: dg.DagsterInstance, leases: Collection[tuple[str, int]], holders: Collection[str | None]
    ) -> Iterator[dg.DagsterRun]:
        """Runs under way whose lease is over, and none of whose processes is known to live.

        Of a run in pods no process shows here; one that somebody started in Dagster has its lease only once its first
        stage begins, which may wait long, and one of somebody else's job never has any: these are not judged.
        """
        for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY)):
            run, attempt = record.dagster_run, attempt_of(record.dagster_run)
            video_id = run.tags.get(PARTITION_TAG)
            if video_id is None or run.run_id in holders or (video_id, attempt) in leases:
                continue
            by_command = run.tags.get(SOURCE_TAG) == COMMAND_LINE
            had_one = attempt is not None or self.queue.has_held(video_id, run.run_id)
            if liveness.is_lost_run(instance, run) if by_command else had_one:
                yield run

    def _end_worker(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """In pods, which do not hear that their run is given up."""
        if self.one_process:
            return
        try:
            dagster_inside.end_worker(instance, run_id)
        except Exception:  # whatever a launcher has, the run ends here
            logger.exception("The worker of run %s could not be ended", run_id)

    @staticmethod
    def _is_given_up(instance: dg.DagsterInstance, owner: Owner, leases: Collection[tuple[str, int]]) -> bool:
        """Whether a process is still there whose lease is over, or whose run has ended."""
        if owner.attempt is not None and (owner.video_id, owner.attempt) not in leases:
            return True
        run = instance.get_run_by_id(owner.run_id)
        return run is not None and run.is_finished

    def _end_left_over(self, instance: dg.DagsterInstance, owner: Owner) -> bool:
        if owner.process is None or not owner.process.end():
            return False  # it is somebody else's to end
        self._end_run(instance, owner.run_id, "It was given up, and its worker hung.")
        return True

    @staticmethod
    def _end_run(instance: dg.DagsterInstance, run_id: str, why: str) -> None:
        """Call a run failed, unless somebody has seen its process end, and give back its slots."""
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            _tag(instance, run, WorkerLostError(why))
            dagster_inside.end_as_failed(instance, run, why)
        dagster_inside.free_slots(instance, run_id)


def _tag(instance: dg.DagsterInstance, run: dg.DagsterRun, failure: Failure, status: QueueStatus | None = None) -> None:
    """Let a run be found by why it did not make all of it, unless it said so itself."""
    known = instance.get_run_by_id(run.run_id)
    if known is not None and CAUSE_TAG not in known.tags:
        dagster_inside.tag_run(instance, run.run_id, cause_tags(failure, status))


def find_run(instance: dg.DagsterInstance, row: "QueueRow") -> dg.DagsterRun | None:
    """The run of a row's attempt, whether or not it has told the row its ID yet."""
    if row.run_id is not None:
        return instance.get_run_by_id(row.run_id)
    tags = {PARTITION_TAG: row.video_id, ATTEMPT_TAG: str(row.attempt)}
    found = instance.get_run_records(dg.RunsFilter(tags=tags), limit=1)
    return found[0].dagster_run if found else None


def is_at_a_stage(run: dg.DagsterRun, instance: dg.DagsterInstance) -> bool:
    """Whether a stage is under way, as far as Dagster heard; one that waits for its next try is not."""
    return dagster_inside.is_at_a_step(instance, run.run_id, [step.value for step in PipelineStep])


def failure_of(run: dg.DagsterRun, instance: dg.DagsterInstance, step: PipelineStep) -> tuple[PipelineStep, Failure]:
    """Where and why a run failed; without a word on it, its worker was lost at ``step``."""
    lost = WorkerLostError(f"run {run.run_id} ended without a word at {step}")
    return told_failure(run, instance) or (step, lost)


def told_failure(run: dg.DagsterRun, instance: dg.DagsterInstance) -> tuple[PipelineStep, Failure] | None:
    """Where and why a run failed, as far as its events tell."""
    for event in dagster_inside.failed_steps(instance, run.run_id):
        told = dagster_inside.told_failure(event)
        known = of_dagster_failure(told.metadata) if told else None
        if known is not None:
            return known
    return None
