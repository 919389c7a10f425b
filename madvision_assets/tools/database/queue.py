"""The queue's moves: each one transaction, decided by ``domain.queue``, refused where the caller's lease is over.

A *lease* is one attempt at one video: whoever holds it may report, publish and end it. A later attempt takes it away
(fencing), so a worker that was believed lost and is not can do no harm.

Three verbs of beginning, in their order: the sensor *claims* a video that is due, which opens an attempt; the run that
is launched for it *starts* when its process has come to life; and each of its stages *begins*. The command line *takes*
a video for its run, whoever has it. A run that somebody starts in Dagster is claimed by nobody: its first stage opens
the attempt as it begins. How an attempt ends is in ``endings``.
"""

import random
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, literal, or_, select

from madvision_assets.domain.breakers import Breaker, BreakerRules, BreakerState, breaker_name
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failures import (
    CancelledError,
    Failure,
    FailureClass,
    Resource,
    RunNotLaunchedError,
    SupersededError,
    WorkerLostError,
)
from madvision_assets.domain.queue import QueueStatus, RetryRules, Verdict, judge
from madvision_assets.domain.stages import PipelineStep, earliest, overall_progress, resource_of
from madvision_assets.domain.urgency import Ageing
from madvision_assets.tools.database import Database, breakers, claims, endings, leases, statements
from madvision_assets.tools.database.leases import Lease, Taken
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import video_processing_queue

WAITS_ITS_TURN = "waits its turn"

queue = video_processing_queue


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Queue:
    """The table ``video_processing_queue``, as workers and sensors use it.

    Every method raises ``DatabaseUnavailableError`` and its like as ``Database`` does.

    Args:
        database: where the table is.
        retry: when a video that failed is tried again.
        breaker: when what many videos share is left alone.
        now: the clock, timezone-aware.
        spread: random numbers, 0 to 1, for the jitter.
        ageing: how whoever waits gains urgency.
    """

    def __init__(
        self,
        database: Database,
        retry: RetryRules | None = None,
        breaker: BreakerRules | None = None,
        now: Callable[[], datetime] = utc_now,
        spread: Callable[[], float] = random.random,
        ageing: Ageing | None = None,
    ) -> None:
        self._database = database
        self._retry = retry or RetryRules()
        self._breaker = breaker or BreakerRules()
        self._now = now
        self._spread = spread
        self._ageing = ageing or Ageing()

    # --- the sensor's side ---

    def claim_due(self, max_in_flight: int, full: Collection[str] = ()) -> list[QueueRow]:
        """Claim the next videos, in their turn, so that no more than so many are in flight.

        Those whose next step is behind an open breaker stay, but for the one that is to probe it, and those behind one
        of these that are ``full``.
        """
        now = self._now()
        with self._database.writing() as connection:
            room = claims.room_for(connection, max_in_flight)
            chosen = claims.choose(connection, room, now, self._ageing, full) if room > 0 else []
            return [leases.open_attempt(connection, row, None, now) for row in chosen]

    def urgency(self, row: QueueRow) -> int:
        """A due video's priority with the steps that it has gained by waiting."""
        return self._ageing.urgency(row.priority, row.next_attempt_at, self._now())

    def release(self, video_id: str, attempt: int) -> bool:
        """Put a video back that is in flight, since nothing comes of it; False where somebody else has moved it on."""
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is None or row.status is not QueueStatus.RUNNING or row.attempt != attempt:
                return False
            endings.put_back(connection, row, now)
        return True

    def complete(self, video_id: str, attempt: int, made: Clips) -> bool:
        """A claimed video has all its documents already; False where somebody else has moved it on."""
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is None or row.status is not QueueStatus.RUNNING or row.attempt != attempt:
                return False
            # Where a person's changes came to nothing, it is done as it was before.
            is_as_before = row.outcome is not None and leases.follows_a_person(connection, row)
            endings.done(connection, row, made, now, untold_only=is_as_before)
        return True

    def running(self) -> list[QueueRow]:
        """The videos in flight."""
        query = select(queue).where(queue.c.status == QueueStatus.RUNNING.value).order_by(queue.c.video_id)
        with self._database.reading() as connection:
            return [QueueRow.model_validate(row) for row in connection.execute(query).mappings()]

    def get(self, video_id: str) -> QueueRow | None:
        """A video's row; None where it was never queued nor run."""
        with self._database.reading() as connection:
            row = connection.execute(select(queue).where(queue.c.video_id == video_id)).mappings().one_or_none()
            return QueueRow.model_validate(row) if row else None

    # --- the worker's side ---

    def start(self, video_id: str, run_id: str, attempt: int) -> Lease | None:
        """A launched run starts: its process has come to life; None where its lease was over before."""
        lease = Lease(video_id, run_id, attempt)
        mine = and_(
            queue.c.video_id == video_id,
            queue.c.attempt == attempt,
            queue.c.status == QueueStatus.RUNNING.value,
            or_(queue.c.run_id.is_(None), queue.c.run_id == run_id),
        )
        values = {"run_id": run_id, "heartbeat_at": self._now()}
        with self._database.writing() as connection:
            return lease if connection.execute(queue.update().where(mine).values(**values)).rowcount == 1 else None

    def take(
        self,
        video_id: str,
        look: Callable[[PipelineStep | None], Sequence[PipelineStep]],
        from_step: PipelineStep | None = None,
    ) -> Taken | None:
        """Take a video for a run by hand, from whoever has it; None where there is nothing to do any more.

        Args:
            video_id: its partition.
            look: which steps are to be done, given from which on all are to be done again; nobody ends or claims the
                video before it has answered.
            from_step: do this step and all later ones again, whichever attempt comes to it; None as asked before, and
                what was asked before is done too.

        Raises:
            UnknownVideoError: nobody submitted the video, or whoever did has deleted it.
        """
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is not None:
                leases.require_wanted(row)
            from_step = earliest(from_step, row.from_step if row else None)
            steps = look(from_step)
            if not steps:
                return None
            taken = leases.open_attempt(connection, row or self._add(connection, video_id, now), None, now)
            if from_step is not None:
                leases.change(connection, video_id, from_step=from_step.value)
        return Taken(taken.attempt, tuple(steps))

    def begin(
        self, video_id: str, run_id: str, attempt: int | None, step: PipelineStep, *, insists: bool = False
    ) -> Lease:
        """A run begins a stage.

        Args:
            video_id: its partition.
            run_id: the Dagster run.
            attempt: which attempt the queue launched it for; None for a run by hand, which takes the video
                over from whoever had it.
            step: which stage.
            insists: it is by hand, in an attempt that was taken for it.

        Raises:
            SupersededError: the lease of this run is over.
            UnknownVideoError: nobody submitted the video, or whoever did has deleted it.
            Failure: the cause for which a breaker is open that guards this step; the lease is over then, and the video
                waits. A run by hand is let through.
        """
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id) or self._add(connection, video_id, now)
            held = row.status is QueueStatus.RUNNING and row.run_id == run_id
            if attempt is None and not held:
                if leases.held_lease(connection, video_id, run_id):
                    raise SupersededError(_holder(row))
                leases.require_wanted(row)
                row = leases.open_attempt(connection, row, run_id, now)
            elif attempt is not None and not self._holds_lease(row, run_id, attempt):
                raise SupersededError(_holder(row))
            resource = resource_of(step, row.source)
            leases.change(
                connection,
                video_id,
                # What a lost worker had published is stepped over: workers lost before it were not lost on this step.
                lost_workers=row.lost_workers if row.pipeline_step in step.onwards() else 0,
                run_id=run_id,
                pipeline_step=step.value,
                resource=resource,
                step_progress=0.0,
                progress=overall_progress(step, 0.0),
                message=leases.STARTING,
                heartbeat_at=now,
                updated_at=now,
            )
            leases.note(connection, row, run_id=run_id, pipeline_step=step.value)
            row = row.model_copy(update={"run_id": run_id})
            refusal = self._refusal(connection, row, step, now, by_hand=insists or attempt is None)
        if refusal is not None:
            raise refusal
        return Lease(video_id, run_id, row.attempt, row.from_step)

    def report(self, lease: Lease, step: PipelineStep, fraction: float, message: str) -> bool:
        """A sign of life with progress; False where the lease is over. Late news of a finished step is passed over."""
        now = self._now()
        news: dict[str, Any] = {
            "step_progress": min(1.0, max(0.0, fraction)),
            "progress": overall_progress(step, fraction),
            "message": message[:200],
            "updated_at": now,
        }
        is_current = queue.c.pipeline_step == step.value
        told = {
            name: case((is_current, literal(new, queue.c[name].type)), else_=queue.c[name])
            for name, new in news.items()
        }
        return self._beat(lease, **told, heartbeat_at=now)

    def beat(self, lease: Lease) -> bool:
        """A sign of life; False where the lease is over."""
        return self._beat(lease, heartbeat_at=self._now())

    def has_held(self, video_id: str, run_id: str) -> bool:
        """Whether the run ever had a lease on the video."""
        with self._database.reading() as connection:
            return leases.held_lease(connection, video_id, run_id)

    def require_lease(self, video_id: str, run_id: str) -> None:
        """Return where this run may publish for the video: it holds the lease, or the video was never queued.

        Raises:
            SupersededError: a later attempt has taken it over.
            UnknownVideoError: nobody submitted it, or it was forgotten since.
        """
        with self._database.reading() as connection:
            statements.require_lease(connection, video_id, run_id)

    def finish_step(
        self,
        video_id: str,
        run_id: str,
        step: PipelineStep,
        *,
        ends: bool,
        made: Clips | None,
        go_on_from: PipelineStep | None = None,
    ) -> None:
        """A step's document is published.

        Args:
            video_id: its partition.
            run_id: the run that made it.
            step: which step.
            ends: whether the run does no step after it.
            made: the clips, which say how the video ended, after the last step.
            go_on_from: the document is a person's, and from this step on all is to be done again.

        Raises:
            SupersededError: a person's lease is over; a run finds that out by itself.
        """
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is None or row.status is not QueueStatus.RUNNING or row.run_id != run_id:
                if go_on_from is not None:
                    raise SupersededError(_holder(row) if row else "")
                return
            if go_on_from is not None:
                endings.goes_on(connection, row, go_on_from, now)
                return
            breakers.record_success(connection, breakers.used(resource_of(step, row.source)), video_id)
            values: dict[str, Any] = {
                "from_step": _left_to_redo(connection, row, step),
                "lost_workers": 0,
                "step_progress": 1.0,
                "progress": overall_progress(step, 1.0),
                "heartbeat_at": now,
            }
            if made is not None and values["from_step"] is None:
                endings.done(connection, row, made, now, **values)
            elif made is None and not ends:
                following = step.next or step
                place = {"pipeline_step": following.value, "resource": resource_of(following, row.source)}
                waits = {"step_progress": 0.0, "message": WAITS_ITS_TURN, "updated_at": now}
                leases.change(connection, video_id, **{**values, **place, **waits})
            else:  # somebody did some steps by hand
                endings.done_in_part(connection, row, step, now, made, **values)

    def fail(
        self,
        video_id: str,
        run_id: str,
        attempt: int | None,
        step: PipelineStep,
        failure: Failure,
        *,
        silent_since: datetime | None = None,
    ) -> QueueStatus | None:
        """A run failed at a step: wait, give up or park, as the taxonomy has it.

        Args:
            video_id: its partition.
            run_id: the run.
            attempt: that it was launched for.
            step: where it failed.
            failure: how.
            silent_since: only if its last sign of life is of then; None does not ask.

        Returns:
            The new status; None where this run does not hold the lease, which changes nothing.
        """
        if isinstance(failure, SupersededError):
            return None
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is None or row.status is not QueueStatus.RUNNING:
                return None
            if silent_since is not None and row.heartbeat_at != silent_since:
                return None
            if row.run_id != run_id and not (row.run_id is None and row.attempt == attempt):
                return None
            verdict = self._judge(connection, row, failure, now)
            ended = row.model_copy(update={"run_id": run_id or None})
            return endings.failed(connection, ended, step, verdict, now)

    def cancel(self, video_id: str) -> bool:
        """Stop a video that waits or is being processed; whoever is at work on it notices by its lease, and ends.

        Returns:
            Whether it was stopped: False where it had ended, or was never queued.
        """
        now = self._now()
        with self._database.writing() as connection:
            row = leases.lock(connection, video_id)
            if row is None or row.status.is_final:
                return False
            if row.status is not QueueStatus.RUNNING:
                row = leases.open_attempt(connection, row, None, now)
            verdict = self._judge(connection, row, CancelledError("by an operator"), now)
            endings.failed(connection, row, row.pipeline_step, verdict, now)
        return True

    # --- details ---

    def _refusal(
        self, connection: Connection, row: QueueRow, step: PipelineStep, now: datetime, *, by_hand: bool
    ) -> Failure | None:
        """Why the step may not begin, in which case the lease is over; else None."""
        used = breakers.used(resource_of(step, row.source))
        # Whoever runs it by hand may know that a cause is mended; its success closes the breaker.
        refusing = breakers.admit(connection, used, row.video_id, now, insists=by_hand)
        if refusing is None:
            return None
        # Settled here: told later, it would count as another failure of what may be mended by then.
        verdict = self._verdict(row, refusing.refusal(), now, self._blocked_until(refusing, now))
        endings.failed(connection, row, step, verdict, now, refused=True)
        return verdict.failure

    def _judge(self, connection: Connection, row: QueueRow, failure: Failure, now: datetime) -> Verdict:
        if isinstance(failure, WorkerLostError) and not leases.in_hand(connection, row):
            failure = RunNotLaunchedError(failure.details)
        name = breaker_name(failure.resource, row.source)
        if name is None:
            lost = leases.lost_launches(connection, row, now, self._retry.max_lost_launches)
            return self._verdict(row, failure, now, None, lost)
        before, after = breakers.record_failure(connection, name, failure, row.video_id, now, self._breaker)
        # The one that probes has tried its host in earnest: else a host that is gone would be tried for ever.
        tried = before.probe_video_id == row.video_id and failure.resource is Resource.HOST
        if tried and failure.failure_class is FailureClass.TRANSIENT:
            return self._verdict(row, failure, now, None)
        return self._verdict(row, failure, now, self._blocked_until(after, now))

    def _verdict(
        self,
        row: QueueRow,
        failure: Failure,
        now: datetime,
        blocked_until: datetime | None,
        lost: leases.LostLaunches = leases.NO_LOST_LAUNCHES,
    ) -> Verdict:
        return judge(
            failure,
            retry=row.retry,
            lost_workers=row.lost_workers,
            now=now,
            spread=self._spread(),
            rules=self._retry,
            blocked_until=blocked_until,
            lost_launches=lost.before,
            alone_lost=lost.alone,
        )

    def _blocked_until(self, breaker: Breaker, now: datetime) -> datetime | None:
        if breaker.state is BreakerState.CLOSED or breaker.probe_at is None:
            return None
        # Another video is trying just now.
        return max(breaker.probe_at, now + timedelta(seconds=self._breaker.pause_s / 4))

    def _add(self, connection: Connection, video_id: str, now: datetime) -> QueueRow:
        """The row of a video that is run by hand before anybody queued it."""
        statements.queue_known(connection, video_id, now)
        row = leases.lock(connection, video_id)
        assert row is not None  # noqa: S101 - it was just written
        return row

    @staticmethod
    def _holds_lease(row: QueueRow, run_id: str, attempt: int) -> bool:
        mine = row.run_id is None or row.run_id == run_id
        return row.status is QueueStatus.RUNNING and row.attempt == attempt and mine

    def _beat(self, lease: Lease, **values: Any) -> bool:
        mine = and_(
            queue.c.video_id == lease.video_id,
            queue.c.run_id == lease.run_id,
            queue.c.attempt == lease.attempt,
            queue.c.status == QueueStatus.RUNNING.value,
        )
        with self._database.writing() as connection:
            held: bool = connection.execute(queue.update().where(mine).values(**values)).rowcount == 1
            if held:
                breakers.renew_probe(connection, lease.video_id, self._now())
        return held


def _left_to_redo(connection: Connection, row: QueueRow, done: PipelineStep) -> PipelineStep | None:
    """From which step on all is still to be done again, once one is done; a later one, by hand, changes nothing.

    Unless that step was turned down by its check: whoever goes on from it by hand knows better.
    """
    if row.from_step is None or done not in row.from_step.onwards():
        return row.from_step
    goes_on = done is row.from_step or leases.was_turned_down(connection, row, row.from_step)
    return done.next if goes_on else row.from_step


def _holder(row: QueueRow) -> str:
    return f"attempt {row.attempt} is {row.status}"
