"""Claims about a worker that hangs in a pod: its Job is deleted, and with it the pods of its steps."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]

from madvision_assets.defs.runtime.reconcile import Reconciler, Seen
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.cluster.client import LIMIT_S, NAMESPACE, SLEEP, ClusterClient, cluster_client, job
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.waiting import wait_for

TRANSCRIPT = PipelineStep.TRANSCRIPT


@pytest.fixture
def k8s(tmp_path: Path) -> Iterator[ClusterClient]:
    (tmp_path / "cluster").mkdir()
    with cluster_client(tmp_path / "cluster") as made:
        yield made


@pytest.fixture
def harness(tmp_path: Path, media: Path, k8s: ClusterClient) -> Iterator[Harness]:
    """A home whose Dagster launches runs as Jobs of the cluster."""
    launcher = {
        "module": "dagster_k8s.launcher",
        "class": "K8sRunLauncher",
        "config": {
            "service_account_name": "default",
            "instance_config_map": "none",
            "dagster_home": str(tmp_path),
            "job_namespace": NAMESPACE,
            "load_incluster_config": False,
            "kubeconfig_file": str(k8s.cluster.kubeconfig),
        },
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"telemetry": {"enabled": False}, "run_launcher": launcher}))
    with (
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
        open_harness(tmp_path / "home", media, instance=instance) as made,
    ):
        yield made


def test_a_run_whose_step_hangs_in_its_pod_loses_its_job_and_that_pod(harness: Harness, k8s: ClusterClient) -> None:
    harness.submit()
    [request] = harness.ask()
    definition = harness.definitions.resolve_job_def("process_video")
    tags = {**request.tags, "dagster/partition": "web-a"}
    run = harness.instance.create_run_for_job(definition, tags=tags, status=dg.DagsterRunStatus.STARTED)
    k8s.run(job(f"dagster-run-{run.run_id}", SLEEP))
    owner = k8s.in_phase(f"dagster-run-{run.run_id}", "Running")["metadata"]
    step = job("dagster-step", SLEEP)
    step["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": owner["name"], "uid": owner["uid"]}
    ]
    k8s.run(step)
    k8s.in_phase("dagster-step", "Running")
    harness.queue.begin("web-a", run.run_id, 1, TRANSCRIPT)
    begun = dg.DagsterEvent(dg.DagsterEventType.STEP_START.value, "process_video", step_key=TRANSCRIPT.value)
    harness.instance.report_dagster_event(begun, run.run_id)

    seen: Seen = {}
    for _ in range(3):
        seen, repairs = Reconciler(harness.queue, looks=2, one_process=False).look(harness.instance, seen)

    assert repairs == ["web-a: its worker is lost"]
    wait_for(lambda: not k8s.cluster.pods(), LIMIT_S, "the end of its pods")
    found = harness.instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE
    assert harness.row().status is QueueStatus.WAITING
