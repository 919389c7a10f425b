"""Claims about runs that the queue would not start itself."""

import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType

from madvision_assets.defs.runtime.reconcile import is_at_a_stage
from madvision_assets.domain.queue import QueueStatus
from madvision_assets_tests.harness import QUIET, open_harness
from madvision_assets_tests.waiting import wait_for

RANGE = {"dagster/asset_partition_range_start": "web-a", "dagster/asset_partition_range_end": "web-b"}


def test_a_stage_that_waits_for_its_next_try_is_not_under_way_and_one_that_tries_is() -> None:
    tried: list[bool] = []

    @dg.asset(name="transcript", retry_policy=dg.RetryPolicy(max_retries=1, delay=2))
    def preempted(context: dg.AssetExecutionContext) -> None:
        tried.append(is_at_a_stage(context.run, context.instance))
        if len(tried) == 1:
            raise RuntimeError("the pod is gone")

    with dg.DagsterInstance.ephemeral() as instance:
        given: dict[str, Any] = {"instance": instance, "run_config": QUIET}
        executing = threading.Thread(target=dg.materialize, args=([preempted],), kwargs=given)
        executing.start()
        waiting = DagsterEventType.STEP_UP_FOR_RETRY
        wait_for(lambda: any(instance.all_logs(run.run_id, waiting) for run in instance.get_runs()), 20, "the retry")
        [run] = instance.get_runs()
        between = is_at_a_stage(run, instance)
        executing.join()

        assert tried == [True, True]
        assert not between
        assert not is_at_a_stage(run, instance)


@pytest.mark.timeout(20)  # Dagster's own retries would take longer
@pytest.mark.parametrize("tags", [{}, RANGE], ids=["no partition", "a range of partitions"])
@pytest.mark.parametrize("step", ["raw_video", "clips"])
def test_a_run_that_is_not_of_one_video_fails_at_once_and_changes_nothing(
    tmp_path: Path, media: Path, step: str, tags: dict[str, str]
) -> None:
    with open_harness(tmp_path, media) as harness:
        for name in "ab":
            harness.submit(name)
        harness.instance.add_dynamic_partitions("videos", ["web-a", "web-b"])

        job = harness.definitions.resolve_job_def("process_video")
        result = job.execute_in_process(
            instance=harness.instance,
            tags=tags,
            run_config=QUIET,
            asset_selection=[dg.AssetKey(step)],
            raise_on_error=False,
        )

        assert not result.success
        assert harness.tools.calls.total() == 0
        assert {harness.row(name).status for name in "ab"} == {QueueStatus.QUEUED}
