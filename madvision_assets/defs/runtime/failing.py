"""How a stage's failure leaves it: as a leaf of the taxonomy, told to the queue, and in the form that Dagster shows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import dagster as dg

from madvision_assets.defs.dagster_inside import retried_elsewhere, step_of, tag_run
from madvision_assets.defs.runtime.lease import RunLease
from madvision_assets.domain.disk import home_failure
from madvision_assets.domain.failure_records import from_record, to_record
from madvision_assets.domain.failures import Failure, UnexpectedError, UnknownVideoError
from madvision_assets.domain.provenance import is_video_id
from madvision_assets.domain.stages import PipelineStep

STEP = "pipeline_step"
CAUSE_TAG = "madvision/cause"  # that an operator filters runs by


class StoppedError(dg.DagsterError, dg.DagsterExecutionInterruptedError):
    """The process was told to stop; the run ends.

    It is a ``DagsterError`` because Dagster lets those pass, while it would make a retry of a bare interrupt: half a
    minute later, in the very process that was told to stop.
    """


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
    except Failure as failure:
        _tag(context, failure)
        raise as_dagster_failure(failure, step) from failure


@contextmanager
def told_to_the_queue(context: dg.AssetExecutionContext, step: PipelineStep, lease: RunLease | None) -> Iterator[None]:
    """Make every fault a leaf of the taxonomy, and let the queue know of it and of interrupts."""
    try:
        try:
            yield
        except (Failure, dg.Failure):
            raise
        except Exception as error:
            leaf = home_failure(error) if isinstance(error, OSError) else None
            if leaf is None:
                context.log.exception("A fault without a leaf in the taxonomy")
            raise leaf or unexpected(error) from error
    except Failure as failure:
        _tell(context, lease, partial(RunLease.fail, step=step, failure=failure))
        raise
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        _tell(context, lease, partial(RunLease.interrupted, step=step))
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
    metadata = {**to_record(failure), STEP: step.value}
    return dg.Failure(description=str(failure), metadata=metadata, allow_retries=False)


def of_dagster_failure(metadata: Mapping[str, Any]) -> tuple[PipelineStep, Failure] | None:
    """Where and why, out of the metadata of such a failure, as plain values; None of any other."""
    failure = from_record(metadata)
    return (PipelineStep(str(metadata[STEP])), failure) if failure else None


def _tag(context: dg.AssetExecutionContext, failure: Failure) -> None:
    try:
        tag_run(context.instance, context.run.run_id, {CAUSE_TAG: failure.code})
    except Exception as error:  # noqa: BLE001 - whatever keeps Dagster's database from it, the failure itself counts
        context.log.warning("The run could not be tagged with its cause: %s", error)


def _tell(context: dg.AssetExecutionContext, lease: RunLease | None, word: Callable[[RunLease], None]) -> None:
    if lease is None:
        return
    try:
        word(lease)
    except Failure as failure:  # the reconciler will find out
        context.log.warning("The queue could not be told: %s", failure)
