"""What the tests of the cluster share: two nodes, the official client, and small Jobs."""

import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client  # type: ignore[import-untyped]

from madvision_assets_tests.cluster import Cluster, Node, Object, PodRecord, Taint
from madvision_assets_tests.waiting import wait_for

LIMIT_S = 90.0  # a wait ends when it is met; a busy machine may need most of it
IMAGE = "tools:1"
NAMESPACE = "default"
CPU_NODE = Node("cpu-1", {"pool": "cpu"}, cpu="2", memory="4Gi")
GPU_NODE = Node("gpu-1", {"pool": "gpu"}, [Taint("nvidia.com/gpu", "present", "NoSchedule")], gpus=1)
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
ON_A_GPU = {"nodeSelector": {"pool": "gpu"}, "tolerations": [TOLERATION]}
ONE_GPU = {"limits": {"nvidia.com/gpu": "1"}}
SLEEP = ["sleep", "60"]


class Hands:
    """A cluster, and the official client over HTTP."""

    def __init__(self, cluster: Cluster, api: Any) -> None:
        self.cluster = cluster
        self.core = client.CoreV1Api(api)
        self.batch = client.BatchV1Api(api)
        self.apps = client.AppsV1Api(api)

    def run(self, item: Object) -> None:
        """Submit a Job."""
        self.batch.create_namespaced_job(NAMESPACE, item)

    def pod_of(self, job_name: str) -> Object:
        """The newest pod of a Job, as soon as it is there."""
        return wait_for(lambda: self.cluster.pods({"job-name": job_name}), LIMIT_S, f"a pod of {job_name}")[-1]

    def in_phase(self, job_name: str, phase: str) -> Object:
        """The newest pod of a Job, as soon as it is in a phase."""
        wait_for(lambda: self.pod_of(job_name)["status"]["phase"] == phase, LIMIT_S, f"{job_name} {phase}")
        return self.pod_of(job_name)

    def waiting_because(self, job_name: str, reason: str) -> str:
        """The message of a Job's container, as soon as it waits for this reason."""

        def message() -> str | None:
            statuses = self.pod_of(job_name).get("status", {}).get("containerStatuses", [{}])
            waiting = statuses[0].get("state", {}).get("waiting", {})
            return waiting.get("message") if waiting.get("reason") == reason else None

        return str(wait_for(message, LIMIT_S, f"{job_name} {reason}"))

    def ended(self, job_name: str) -> Any:
        """The status of a Job, as soon as it has ended."""

        def status() -> Any:
            found = self.batch.read_namespaced_job_status(job_name, NAMESPACE).status
            kinds = {condition.type for condition in found.conditions or []}
            return found if kinds & {"Complete", "Failed"} else None

        return wait_for(status, LIMIT_S, f"the end of {job_name}")

    def log(self, pod: Object, **options: Any) -> str:
        """A pod's log."""
        name = pod["metadata"]["name"]
        answer = self.core.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False, **options)
        return str(answer.data.decode())

    def events(self, name: str) -> dict[str, str]:
        """The messages of the events of an object, by reason."""
        found = self.core.list_namespaced_event(NAMESPACE, field_selector=f"involvedObject.name={name}").items
        return {event.reason: event.message for event in found}

    def records(self, job_name: str) -> list[PodRecord]:
        """Every pod that a Job ever had."""
        return [record for record in self.cluster.history if record.labels.get("job-name") == job_name]


@contextmanager
def hands(folder: Path, *, rbac: bool = False) -> Iterator[Hands]:
    """A cluster of the two nodes."""
    programs = Path(sys.executable).parent
    nodes = [CPU_NODE, GPU_NODE]
    with (
        Cluster(folder, nodes=nodes, images={IMAGE}, programs=programs, rbac=rbac) as cluster,
        cluster.client() as api,
    ):
        yield Hands(cluster, api)


def job(name: str, command: list[str], *, spec: Object | None = None, pod: Object | None = None, **main: Any) -> Object:
    """A Job of one container that is tried once; with further fields of its own, its pod and its container."""
    container = {"name": "main", "image": IMAGE, "command": command, **main}
    template = {"spec": {"restartPolicy": "Never", "containers": [container], **(pod or {})}}
    return named("batch/v1", "Job", name, spec={"backoffLimit": 0, "template": template, **(spec or {})})


def deployment(name: str, command: list[str], *, replicas: int = 1, **main: Any) -> Object:
    """A Deployment of one container."""
    labels = {"app": name}
    container = {"name": "main", "image": IMAGE, "command": command, **main}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return named("apps/v1", "Deployment", name, spec=spec)


def named(api_version: str, kind: str, name: str, **fields: Any) -> Object:
    """An object of any kind in the namespace of the tests."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def python(program: str) -> list[str]:
    """The command that runs a program."""
    return ["python", "-u", "-c", textwrap.dedent(program)]


def condition_reason(status: Any, kind: str) -> str | None:
    """The reason of a condition of a client's status object; None without the condition."""
    return next((condition.reason for condition in status.conditions if condition.type == kind), None)


def variables(text: str) -> Mapping[str, str]:
    """What ``env`` printed."""
    return dict(line.split("=", 1) for line in text.splitlines())
