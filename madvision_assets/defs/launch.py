"""Run one video here and now, through the same assets that the daemon would launch."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import yaml  # type: ignore[import-untyped]

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.assets import pipeline_of
from madvision_assets.defs.compute import limit_pools
from madvision_assets.defs.partitions import videos
from madvision_assets.defs.runtime import liveness
from madvision_assets.defs.runtime.failing import of_dagster_failure, unexpected
from madvision_assets.defs.runtime.lease import ATTEMPT_TAG, COMMAND_LINE, SOURCE_TAG
from madvision_assets.domain.disk import home_failure
from madvision_assets.domain.failures import DatabaseUnavailableError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.work.staleness import code_versions

if TYPE_CHECKING:
    from madvision_assets.tools.database.leases import Taken

MINIMAL_INSTANCE = "telemetry:\n  enabled: false\n"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class StageFailure:
    """Why a run ended early.

    Attributes:
        step: the stage, or the name of the check.
        cause: code of the taxonomy, or ``check_failed``.
        sentence: for a person.
    """

    step: str
    cause: str
    sentence: str


@dataclass(frozen=True)
class RunReport:
    """How a run went: the steps that it was to do, the warnings of its checks, and the failure, if any."""

    steps: tuple[PipelineStep, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: StageFailure | None = None


def open_instance(folder: Path, template: Path | None) -> dg.DagsterInstance:
    """The Dagster instance that keeps its state in ``folder``, made on first use after ``template``.

    Raises:
        HomeUnusableError: the folder cannot be made or written to.
        Failure: its database cannot be used.
        ValueError: its ``dagster.yaml`` cannot be understood.
    """
    from madvision_assets.tools.database.errors import database_failures

    try:
        with _alone(folder), database_failures():
            return _open(folder, template)
    except OSError as error:
        raise home_failure(error) or unexpected(error) from error
    except (dg.DagsterError, yaml.YAMLError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{folder / 'dagster.yaml'} cannot be used: {reason}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: Dagster makes its tables at the first use, and two that do so at once fail both.

    A folder that can only be read (on a cluster, where ``dagster.yaml`` is mounted) has its tables elsewhere.
    """
    if (folder / "dagster.yaml").exists() and not os.access(folder, os.W_OK):
        yield
        return
    history = folder / "history"  # Dagster's own
    history.mkdir(parents=True, exist_ok=True)
    with (history / "opening.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open(folder: Path, template: Path | None) -> dg.DagsterInstance:
    config = folder / "dagster.yaml"
    if not config.exists():
        config.write_text(template.read_text() if template and template.is_file() else MINIMAL_INSTANCE)
    instance = dagster_inside.open_instance(folder)
    limit_pools(instance)
    return instance


def add_partition(instance: dg.DagsterInstance, video_id: str) -> None:
    """Make a video known to Dagster."""
    instance.add_dynamic_partitions(str(videos.name), [video_id])


def run_video(
    resources: Mapping[str, object],
    instance: dg.DagsterInstance,
    video_id: str,
    take: "Callable[[], Taken | None]",
) -> RunReport:
    """Materialise the steps of one video that are left to do, in this process, and tell how it went.

    Args:
        resources: of the run.
        instance: where the run is.
        video_id: the partition.
        take: takes the video for this run, as the last thing before it; None where nothing is left to do by then.

    Raises:
        KeyboardInterrupt: the process was told to stop; what is done is kept.
        Failure: the database of Dagster, or the disk below it, cannot be used.
    """
    from madvision_assets.tools.database.errors import database_failures

    analyst: Any = resources["analyst"]
    with database_failures(), liveness.process_announced(instance) as tags:
        liveness.end_lost_runs(instance)
        add_partition(instance, video_id)
        taken = take()
        if taken is None:
            return RunReport()
        with _ends_told():
            result = dg.materialize(
                pipeline_of(code_versions(analyst)),
                resources=resources,
                instance=instance,
                partition_key=video_id,
                selection=dg.AssetSelection.assets(*(step.value for step in taken.steps)),
                run_config=QUIET,
                raise_on_error=False,
                tags={SOURCE_TAG: COMMAND_LINE, ATTEMPT_TAG: str(taken.attempt), **tags},
            )
        if not result.success:
            reconciler: Any = resources["reconciler"]
            reconciler.settle(result.dagster_run, instance)  # the backstop, where no daemon runs
    if dagster_inside.was_interrupted(result):
        raise KeyboardInterrupt
    evaluations = dagster_inside.check_results(result)
    warnings = [
        f"{e.asset_key.to_user_string()}: {e.description}" for e in evaluations if not e.passed and not e.blocking
    ]
    return RunReport(
        steps=taken.steps,
        warnings=tuple(warnings),
        failure=_told(result) or (None if result.success else _unknown(result, evaluations)),
    )


@contextmanager
def _ends_told() -> Iterator[None]:
    """What ends a run before Dagster could write that it has ended, as what it is: an interrupt, or an outage."""
    from madvision_assets.tools.database.errors import is_away

    try:
        yield
    except dg.DagsterExecutionInterruptedError as interrupt:
        raise KeyboardInterrupt from interrupt
    except Exception as error:
        if is_away(error):
            raise DatabaseUnavailableError(f"that of Dagster: {error}") from error
        raise


def _told(result: dg.ExecuteInProcessResult) -> StageFailure | None:
    """Where and why a stage made nothing, in the words of the taxonomy."""
    for event in result.all_events:
        told = dagster_inside.told_failure(event)
        known = of_dagster_failure(told.metadata) if told else None
        if known is not None:
            step, failure = known
            return StageFailure(step, failure.code, str(failure))
    return None


def _unknown(result: dg.ExecuteInProcessResult, evaluations: Sequence[dg.AssetCheckEvaluation]) -> StageFailure:
    for evaluation in evaluations:
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
            name = f"{evaluation.asset_key.to_user_string()}/{evaluation.check_name}"
            return StageFailure(name, "check_failed", evaluation.description or "A check failed.")
    return StageFailure("run", "unexpected", f"The run failed without a cause; see the log of run {result.run_id}.")
