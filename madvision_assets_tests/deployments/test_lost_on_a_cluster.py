"""Claims about runs on Kubernetes that are stopped or lost in the middle: see ``test_on_a_cluster``."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg
import pytest

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.operations import Operations
from madvision_assets_tests.databases import history
from madvision_assets_tests.deployments.staging import GPU_NODE, Staged, staged
from madvision_assets_tests.deployments.test_kubernetes_manifests import NEEDS_KUBECTL
from madvision_assets_tests.real_servers import S3Server

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    NEEDS_KUBECTL,
]
TRANSCRIPT = PipelineStep.TRANSCRIPT


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, s3_server: S3Server) -> Iterator[Staged]:
    """The system on a cluster that has a GPU."""
    with staged(tmp_path_factory.mktemp("cluster"), postgres_url, s3_server) as running:
        running.cluster.add_node(GPU_NODE)
        yield running


def test_a_run_that_is_stopped_or_whose_pod_is_lost_holds_nothing_and_loses_nothing(system: Staged) -> None:
    video_id, _ = system.submit()
    system.wait_heard(video_id)
    with system.instance() as instance:
        (run,) = instance.get_runs()

    system.terminate(run.run_id)
    system.wait_for_end(video_id)

    row = system.queue.get(video_id)
    assert row is not None
    assert (row.status, row.failure_cause) == (QueueStatus.FAILED, "cancelled")
    with system.instance() as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED  # type: ignore[union-attr]

    Operations(system.database).requeue(video_ids=[video_id])
    system.wait_heard(video_id)
    (worker,) = [
        pod["metadata"]["name"]
        for pod in system.cluster.pods(labels={"app.kubernetes.io/component": "run_worker"})
        if pod["status"]["phase"] == "Running"
    ]
    system.cluster.preempt(worker)
    system.wait_for_end(video_id)

    ended = [(attempt["status"], attempt["failure_cause"]) for attempt in history(system.database, video_id)]
    assert ended == [("failed", "cancelled"), ("waiting", "worker_lost"), ("done", None)]
    assert Counter(row.asset for row in system.database.lineage_of(video_id)) == Counter(PipelineStep)
    pods = Counter(pod.labels.get("dagster/op") for pod in system.cluster.history if "dagster/run-id" in pod.labels)
    assert (pods[PipelineStep.RAW_VIDEO], pods[TRANSCRIPT]) == (1, 3)
    assert system.cluster.refused == []
