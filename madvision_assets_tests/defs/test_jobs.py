"""Claims about the job by which an operator has a video done again in Dagster's UI."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from madvision_assets.connections import make_database
from madvision_assets.defs import compute
from madvision_assets.defs.dagster_inside import failed_steps, told_failure
from madvision_assets.defs.partitions import videos
from madvision_assets.defs.sensors import failed_runs
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, Reach
from madvision_assets.tools.database import engines
from madvision_assets.tools.database.operations import Operations
from madvision_assets_tests.harness import QUIET, Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
# One op that asks the database.
MOST_EVENTS = 12


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def reprocess(harness: Harness, name: str = "a", **asked: Any) -> dg.ExecuteInProcessResult:
    """Launch it as from the launchpad."""
    harness.instance.add_dynamic_partitions(str(videos.name), [f"web-{name}"])
    return harness.definitions.resolve_job_def("reprocess").execute_in_process(
        instance=harness.instance,
        partition_key=f"web-{name}",
        run_config={**QUIET, "ops": {"queue_again": {"config": asked}}},
        raise_on_error=False,
    )


def why(result: dg.ExecuteInProcessResult) -> str:
    """The first line of what went wrong."""
    [failed] = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    return told.description or ""


def test_a_video_is_done_again_from_the_stage_on_in_its_turn_and_the_lineage_has_both(harness: Harness) -> None:
    harness.submit()
    harness.tick()
    before = harness.row()

    result = reprocess(harness, from_step="content_type")

    queued = harness.row()
    assert result.success
    assert (queued.status, queued.from_step, queued.attempt) == (QueueStatus.QUEUED, KIND, before.attempt)
    harness.tick()
    assert harness.tools.calls == {RAW: 1, HEARD: 1, KIND: 2, CHOSEN: 2, CUT: 2}
    assert (harness.row().status, harness.row().attempt) == (QueueStatus.DONE, before.attempt + 1)
    runs = [each.run_id for each in Operations(make_database(harness.settings)).history("web-a")]
    assert len(set(runs)) == 2
    assert result.run_id not in runs, "the job asks, and another run does it"


def test_without_a_stage_it_goes_on_where_it_stopped(harness: Harness) -> None:
    harness.submit()
    harness.tools.plan(KIND, ValueError("ours"))
    harness.tick()
    assert harness.row().status is not QueueStatus.DONE

    assert reprocess(harness).success
    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls == {RAW: 1, HEARD: 1, KIND: 2, CHOSEN: 1, CUT: 1}


def test_a_video_that_is_being_processed_is_left_to_its_worker_and_the_run_says_so(harness: Harness) -> None:
    harness.submit()
    [request] = harness.ask()
    lease = harness.queue.begin("web-a", "a-run", harness.row().attempt, RAW)

    result = reprocess(harness, from_step="clips")

    assert not result.success
    assert "is being processed just now" in why(result)
    assert (harness.row().status, harness.row().from_step) == (QueueStatus.RUNNING, None)
    assert harness.queue.beat(lease)
    assert request.partition_key == "web-a"


def test_a_video_that_nobody_submitted_is_no_work_and_its_row_is_not_made(harness: Harness) -> None:
    result = reprocess(harness, "unheard-of")

    assert not result.success
    assert why(result).startswith("Nobody submitted a video with this ID")
    assert harness.queue.get("web-unheard-of") is None


def is_at_work(harness: Harness) -> AbstractContextManager[object]:
    """Some worker has the video, which is left to it."""
    harness.ask()
    harness.queue.begin("web-a", "a-run", harness.row().attempt, RAW)
    return nullcontext()


def database_is_away(harness: Harness) -> AbstractContextManager[object]:
    """Nobody else can write, as long as somebody else does."""
    return make_database(harness.settings).writing()


@pytest.mark.parametrize(("trouble", "cause"), [(is_at_work, None), (database_is_away, "database_unavailable")])
def test_its_failure_is_not_told_to_the_queue_as_one_of_the_video(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[Harness], AbstractContextManager[object]],
    cause: str | None,
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.01)
    harness.submit()
    with trouble(harness):
        failed = reprocess(harness)
    before, [step] = harness.row(), list(failed_steps(harness.instance, failed.run_id))
    told = told_failure(step)
    assert told is not None
    assert told.metadata.get("failure_cause") == cause

    with dg.build_run_status_sensor_context(
        "failed_runs",
        failed.get_run_failure_event(),
        harness.instance,
        failed.dagster_run,
        resources={"reconciler": harness.resources()["reconciler"]},
    ) as context:
        result = failed_runs(context)

    assert isinstance(result, dg.SkipReason)
    assert result.skip_message == "The table knows."
    assert harness.row() == before


@pytest.mark.parametrize(
    "asked", [{"from_step": "uploading"}, {"from_step": "CLIPS"}, {"from_step": None}, {"step": "clips"}]
)
def test_what_is_no_stage_is_refused_before_anything_runs(harness: Harness, asked: dict[str, Any]) -> None:
    harness.submit()

    with pytest.raises(dg.DagsterInvalidConfigError):
        reprocess(harness, **asked)

    assert harness.instance.get_run_ids() == []


@pytest.mark.parametrize("step", PipelineStep)
def test_each_stage_may_be_named_as_everywhere(harness: Harness, step: PipelineStep) -> None:
    harness.submit()

    assert reprocess(harness, from_step=step.value).success

    assert harness.row().from_step is step


def test_it_leaves_few_events_which_go_with_those_of_the_video(harness: Harness) -> None:
    harness.submit()

    result = reprocess(harness)

    run = harness.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["dagster/partition"] == "web-a"
    assert len(list(harness.instance.all_logs(result.run_id))) <= MOST_EVENTS


def test_on_a_cluster_its_pod_has_no_more_secrets_than_the_stage_that_has_fewest_and_reaches_nothing() -> None:
    pod = compute.errand_tags()["dagster-k8s/config"]
    fewest = compute.op_tags(CUT)["dagster-k8s/config"]

    assert CUT.stage.needs.secrets == frozenset()
    assert pod["container_config"]["env_from"] == fewest["container_config"]["env_from"]
    assert pod["pod_template_spec_metadata"]["labels"] == {compute.REACH_LABEL: Reach.NOTHING.value}
    assert pod["job_spec_config"]["active_deadline_seconds"] < fewest["job_spec_config"]["active_deadline_seconds"]
