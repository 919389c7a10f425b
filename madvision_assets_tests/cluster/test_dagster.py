"""Dagster's own client, which its run launcher and its executor use, works with the cluster."""

from collections.abc import Iterator
from typing import Any

import pytest
from dagster_k8s.client import DagsterK8sError, DagsterKubernetesClient
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_k8s.utils import detect_current_namespace
from kubernetes import client, config  # type: ignore[import-untyped]

from madvision_assets_tests.cluster.client import IMAGE, LIMIT_S, NAMESPACE, SLEEP, ClusterClient, job
from madvision_assets_tests.waiting import wait_for

FAST = {"wait_time_between_attempts": 0.05, "wait_timeout": LIMIT_S}


@pytest.fixture
def dagster_client(k8s: ClusterClient) -> Iterator[Any]:
    with config.new_client_from_config(str(k8s.cluster.kubeconfig)) as api:
        parts = client.BatchV1Api(api), client.CoreV1Api(api)
        yield DagsterKubernetesClient.production_client(*parts)  # type: ignore[no-untyped-call]


def submit(dagster_client: Any, name: str, args: list[str], **container: object) -> None:
    """A Job as Dagster's launcher makes them."""
    body = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image=IMAGE, dagster_home="/opt/dagster/dagster_home"),
        args=args,
        job_name=name,
        component="run_worker",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig(
            container_config=container, job_spec_config={"backoff_limit": 0, "ttl_seconds_after_finished": 60}
        ),
        labels={"dagster/op": "transcript"},
    )
    dagster_client.create_namespaced_job_with_retries(body, NAMESPACE)


def test_a_job_of_dagsters_runs(k8s: ClusterClient, dagster_client: Any) -> None:
    submit(dagster_client, "dagster-run-1", ["sh", "-c", "echo $DAGSTER_HOME"])
    dagster_client.wait_for_job_success("dagster-run-1", NAMESPACE, **FAST)
    [pod_name] = dagster_client.get_pod_names_in_job("dagster-run-1", NAMESPACE)
    assert dagster_client.retrieve_pod_logs(pod_name, NAMESPACE) == "/opt/dagster/dagster_home\n"
    labels = {"app.kubernetes.io/name": "dagster", "app.kubernetes.io/component": "run_worker"}
    assert [pod["metadata"]["name"] for pod in k8s.cluster.pods({**labels, "dagster/op": "transcript"})] == [pod_name]


def test_a_job_of_dagsters_that_fails_says_why(dagster_client: Any) -> None:
    submit(dagster_client, "dagster-step-1", ["sh", "-c", "echo no luck; exit 9"])
    with pytest.raises(DagsterK8sError, match="Encountered failed job pods"):
        dagster_client.wait_for_job_success("dagster-step-1", NAMESPACE, **FAST)
    [pod_name] = dagster_client.get_pod_names_in_job("dagster-step-1", NAMESPACE)
    told = dagster_client.get_pod_debug_info(pod_name, NAMESPACE)
    for part in ("Pod status: Failed", "Terminated with exit code 9: Error", "no luck", "No warning events"):
        assert part in told


def test_a_pod_of_dagsters_that_cannot_start_says_why(dagster_client: Any, k8s: ClusterClient) -> None:
    submit(dagster_client, "dagster-step-2", ["true"], image="nowhere:9")
    k8s.waiting_because("dagster-step-2", "ImagePullBackOff")
    [pod_name] = dagster_client.get_pod_names_in_job("dagster-step-2", NAMESPACE)
    with pytest.raises(DagsterK8sError, match="ImagePull"):
        dagster_client.wait_for_pod(pod_name, NAMESPACE, wait_time_between_attempts=0.05)
    assert "Failed to pull image" in dagster_client.get_pod_debug_info(pod_name, NAMESPACE)


def test_dagster_deletes_a_job_with_its_pods(k8s: ClusterClient, dagster_client: Any) -> None:
    k8s.run(job("dagster-run-2", SLEEP))
    k8s.in_phase("dagster-run-2", "Running")
    status = dagster_client.get_job_status("dagster-run-2", NAMESPACE)
    assert status is not None
    assert status.active == 1
    assert dagster_client.delete_job("dagster-run-2", NAMESPACE)
    wait_for(lambda: not k8s.cluster.pods(), LIMIT_S)
    assert dagster_client.get_job_status("dagster-run-2", NAMESPACE) is None
    assert not dagster_client.delete_job("dagster-run-2", NAMESPACE)


def test_a_pod_finds_its_namespace_in_its_kubeconfig(k8s: ClusterClient) -> None:
    k8s.run(job("located", ["sh", "-c", "cat $KUBECONFIG"]))
    k8s.ended("located")
    path = k8s.cluster.kubeconfig.with_name("copy")
    path.write_text(k8s.log(k8s.pod_of("located")))
    assert detect_current_namespace(str(path)) == NAMESPACE
