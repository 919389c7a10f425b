"""How a stage's failure leaves it: as a leaf of the taxonomy, told to the queue, and in the form that Dagster shows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from madvision_assets.defs.dagster_inside import Context, retried_elsewhere, run_of, step_of, tag_run
from madvision_assets.defs.runtime.lease import RunLease
from madvision_assets.domain.disk import home_failure
from madvision_assets.domain.failure_records import from_record, to_record
from madvision_assets.domain.failures import Failure, SupersededError, UnexpectedError, UnknownVideoError
from madvision_assets.domain.provenance import is_video_id
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, is_stage

STEP = "pipeline_step"
# What an operator filters runs by, and knows them by: why a run did not make all that it was to make, and what became
# of its video by that.
CAUSE_TAG, OUTCOME_TAG, TITLE_TAG = "madvision/cause", "madvision/outcome", "madvision/title"


class StoppedError(dg.DagsterError, dg.DagsterExecutionInterruptedError):
    """The process was told to stop; the run ends.

    It is a ``DagsterError`` because Dagster lets those pass, while it would make a retry of a bare interrupt: half a
    minute later, in the very process that was told to stop.
    """


class EndedError(Exception):
    """A stage ended without its document, and nobody here has anything to mend: the source's fault, or a wait.

    The queue knows it, and has what comes next in hand; the run is none that failed.
    """

    def __init__(self, failure: Failure, outcome: QueueStatus | None) -> None:
        self.failure = failure
        self.outcome = outcome  # what became of the video; None where another run has taken it over
        super().__init__(str(failure))


@contextmanager
def interrupts_end_the_run(step_context: Callable[[], dg.StepExecutionContext]) -> Iterator[None]:
    """Make an interrupt end the run; where another process owns the retries (Kubernetes), it is left to that one."""
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        if retried_elsewhere(step_context()):
            raise
        raise StoppedError from interrupt


@contextmanager
def told_to_dagster(context: dg.AssetExecutionContext, step: PipelineStep) -> Iterator[None]:
    """Let failures and interrupts leave in the form that Dagster takes."""
    try:
        with interrupts_end_the_run(lambda: step_of(context)):
            yield
    except EndedError as end:
        tag(context, cause_tags(end.failure, end.outcome))
        raise
    except Failure as failure:
        tag(context, cause_tags(failure))
        raise as_dagster_failure(failure, step) from failure


@contextmanager
def told_to_the_queue(
    context: dg.AssetExecutionContext, step: PipelineStep, lease: RunLease | None, work_folder: Path
) -> Iterator[None]:
    """Make every fault a leaf of the taxonomy, and let the queue know of it and of interrupts.

    Args:
        context: of the materialisation.
        step: the stage.
        lease: this run's; None where there is no queue.
        work_folder: below it is what speaks against this machine; a refusal of any other file does not.

    Raises:
        EndedError: the queue knows of a failure that is nobody's here to mend.
    """
    try:
        try:
            yield
        except (Failure, dg.Failure):
            raise
        except Exception as error:
            leaf = home_failure(error, work_folder) if isinstance(error, OSError) else None
            if leaf is None:
                context.log.exception("A fault without a leaf in the taxonomy")
            raise leaf or unexpected(error) from error
    except Failure as failure:
        with _queue_told(context):
            outcome = lease.fail(step, failure) if lease is not None else None
            is_known = outcome is not None or isinstance(failure, SupersededError)
            if is_known and not failure.is_ours:
                raise EndedError(failure, outcome) from failure
        raise
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        with _queue_told(context):
            if lease is not None:
                lease.interrupted(step)
        raise


def require_video_id(partition_key: str, step: PipelineStep) -> None:
    """Refuse a partition key that cannot be a video's ID, before it becomes part of a path.

    Raises:
        dagster.Failure: ``unknown_video``.
    """
    if not is_video_id(partition_key):
        raise as_dagster_failure(UnknownVideoError(repr(partition_key[:100])), step)


def unexpected(error: Exception) -> Failure:
    """The leaf for what has none."""
    return UnexpectedError(f"{type(error).__name__}: {error}")


def as_dagster_failure(failure: Failure, step: PipelineStep) -> dg.Failure:
    """A leaf of the taxonomy as Dagster shows it; never retried by Dagster, since the queue owns those retries."""
    return dg.Failure(description=str(failure), metadata=told_metadata(failure, step), allow_retries=False)


def told_metadata(failure: Failure, step: PipelineStep) -> dict[str, Any]:
    """Where and why, as the events of Dagster have it."""
    return {**to_record(failure), STEP: step.value}


def of_dagster_failure(metadata: Mapping[str, Any]) -> tuple[PipelineStep, Failure] | None:
    """Where and why, out of such metadata, as plain values.

    None of any other: an errand fails at no stage, and another version of this program may have stages of its own.
    """
    failure, step = from_record(metadata), str(metadata.get(STEP))
    return (PipelineStep(step), failure) if failure and is_stage(step) else None


def cause_tags(failure: Failure, outcome: QueueStatus | None = None) -> Mapping[str, str]:
    """Why a run did not make all of it, and where that is not ours to mend, what became of its video by it."""
    return {CAUSE_TAG: failure.code} | ({OUTCOME_TAG: outcome.value} if outcome and not failure.is_ours else {})


def tag(context: Context, tags: Mapping[str, str]) -> None:
    """Add tags to the run of a context, where there is one, and as far as Dagster's database lets us."""
    try:
        step = step_of(context)
        tag_run(step.instance, run_of(step).run_id, tags)
    except Exception as error:  # noqa: BLE001 - whatever keeps Dagster's database from it, the stage itself counts
        context.log.warning("The run could not be tagged: %s", error)


@contextmanager
def _queue_told(context: dg.AssetExecutionContext) -> Iterator[None]:
    try:
        yield
    except Failure as failure:  # the reconciler will find out
        context.log.warning("The queue could not be told: %s", failure)
