"""Run one video here and now, through the same assets that the daemon would launch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from madvision_assets.defs.assets import PIPELINE
from madvision_assets.defs.checks import CHECKS
from madvision_assets.defs.compute import POOL_LIMITS
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.queue import PipelineStep

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
    """How a run went: its stages that finished, warnings of checks, and the failure, if any."""

    run_id: str
    finished: tuple[PipelineStep, ...]
    warnings: tuple[str, ...]
    failure: StageFailure | None


def open_instance(folder: Path, template: Path | None) -> dg.DagsterInstance:
    """The Dagster instance that keeps its state in ``folder``, made on first use after ``template``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    new = not config.exists()
    if new:
        config.write_text(template.read_text() if template and template.is_file() else MINIMAL_INSTANCE)
    instance = dg.DagsterInstance.from_config(str(folder))
    if new:
        for pool, limit in POOL_LIMITS.items():
            instance.event_log_storage.set_concurrency_slots(pool, limit)
    return instance


def add_partition(instance: dg.DagsterInstance, video_id: str) -> None:
    """Make a video known to Dagster."""
    instance.add_dynamic_partitions(str(videos.name), [video_id])


def run_video(
    definitions: dg.Definitions, instance: dg.DagsterInstance, video_id: str, steps: Sequence[PipelineStep]
) -> RunReport:
    """Materialise these steps of one video in this process, and tell how it went."""
    add_partition(instance, video_id)
    selection = dg.AssetSelection.assets(*(step.value for step in steps))
    result = dg.materialize(
        [*PIPELINE, *CHECKS],
        resources=definitions.resources,
        instance=instance,
        partition_key=video_id,
        selection=selection,
        run_config=QUIET,
        raise_on_error=False,
        tags={"madvision/source": "command line"},
    )
    done = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    evaluations = result.get_asset_check_evaluations()
    warnings = [
        f"{e.asset_key.to_user_string()}: {e.description}"
        for e in evaluations
        if not e.passed and e.severity is dg.AssetCheckSeverity.WARN
    ]
    return RunReport(
        run_id=result.run_id,
        finished=tuple(step for step in PipelineStep if step.value in done),
        warnings=tuple(warnings),
        failure=None if result.success else _failure(result, evaluations),
    )


def _failure(result: dg.ExecuteInProcessResult, evaluations: Sequence[dg.AssetCheckEvaluation]) -> StageFailure:
    for event in result.filter_events(lambda e: e.is_step_failure):
        data = event.step_failure_data
        user = data.user_failure_data
        if user is not None and user.description and "failure_cause" in user.metadata:
            step = str(user.metadata["pipeline_step"].value)
            return StageFailure(step, str(user.metadata["failure_cause"].value), user.description)
    for evaluation in evaluations:
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
            name = f"{evaluation.asset_key.to_user_string()}/{evaluation.check_name}"
            return StageFailure(name, "check_failed", evaluation.description or "A check failed.")
    return StageFailure("run", "unexpected", f"The run failed without a cause; see the log of run {result.run_id}.")
