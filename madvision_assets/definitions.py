"""What Dagster loads: the five assets in pipeline order, their checks, catalogue, jobs, sensors, resources."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from madvision_assets.defs import compute, dagster_inside
from madvision_assets.defs.assets import pipeline_of
from madvision_assets.defs.catalogue import catalogue, hourly_catalogue, update_catalogue
from madvision_assets.defs.jobs import JOBS
from madvision_assets.defs.links import with_code
from madvision_assets.defs.resources import make_fingerprinted, make_resources
from madvision_assets.defs.runtime.patience import wait_for_dagster
from madvision_assets.defs.sensors import SENSORS, no_traces, trace_sensor
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.database.running_code import running_code
from madvision_assets.work.staleness import code_versions

if TYPE_CHECKING:
    from madvision_assets.settings import Settings


def build_defs(settings: "Settings", resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """The definitions for these settings; tests and the command line put their own resources in place."""
    expected = timedelta(hours=settings.clips_expected_hours) if settings.clips_expected_hours else None
    assets = pipeline_of(code_versions(make_fingerprinted(settings)), kinds_here(settings), expected)
    return dg.Definitions(
        assets=with_code([*assets, catalogue], settings.git_url, running_code(settings.revision).commit),
        jobs=[*JOBS, update_catalogue],
        schedules=[hourly_catalogue],
        sensors=[*SENSORS, *trace_sensors(settings)],
        resources={**make_resources(settings), **(resource_overrides or {})},
        executor=make_executor(settings),
    )


def trace_sensors(settings: "Settings") -> list[dg.SensorDefinition]:
    """Who sends traces, or says why nobody does; nobody where no collector is named."""
    if settings.no_collector:
        return [no_traces(settings.no_collector)]
    return [trace_sensor] if settings.collector else []


def kinds_here(settings: "Settings") -> dict[str, frozenset[str]]:
    """What stands behind the kinds of the stages' rows with these settings, where it is something else."""
    here = {}
    if not settings.effective_store_url.startswith("s3:"):
        here["s3"] = frozenset({"filesystem"})
    if isinstance(make_fingerprinted(settings), OfflineAnalyst):
        here["openai"] = frozenset({"python"})
    if settings.whisper_engine == "api":
        here |= {"whisper": frozenset({"api"}), "pytorch": frozenset()}
    elif settings.whisper_engine == "faster-whisper":
        here["pytorch"] = frozenset({"ctranslate2"})
    return here


def make_executor(settings: "Settings") -> dg.ExecutorDefinition:
    """One process per run by default: a tenth of the CPU of a process per stage."""
    if settings.executor == "k8s":
        return patient_k8s_executor().configured(
            compute.k8s_executor_config(settings.gpu_image, speech_api=settings.whisper_engine == "api"), name="k8s"
        )
    return dg.multiprocess_executor if settings.executor == "multiprocess" else dg.in_process_executor


def patient_k8s_executor() -> dg.ExecutorDefinition:
    """That of dagster-k8s, in whose process no stage runs that would have it wait for Dagster's database.

    It looks twice before it calls a step lost.
    """
    from dagster_k8s import k8s_job_executor

    theirs: Any = k8s_job_executor

    def make(context: dg.InitExecutorContext) -> dg.Executor:
        wait_for_dagster(context.instance)
        return dagster_inside.lost_at_second_look(theirs.executor_creation_fn(context))

    return dg.ExecutorDefinition(theirs.name, theirs.config_schema, dg.multiple_process_executor_requirements(), make)


@dg.definitions
def defs() -> dg.Definitions:
    """The code location."""
    from madvision_assets.settings import load_settings  # 20 ms of CPU that an import need not pay

    return build_defs(load_settings())
