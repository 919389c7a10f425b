"""What the doctor tells of pods that do not run: a real HTTP server answers as Kubernetes writes it."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.domain.health import Finding, Health
from madvision_assets.tools.cluster.findings import pod_findings
from madvision_assets_tests.cluster import Cluster, Node
from madvision_assets_tests.site import Page, Site
from madvision_assets_tests.waiting import wait_for

PODS = "/api/v1/namespaces/madvision/pods"
LIST_PODS = f"{PODS}?limit=500"
LIST_EVENTS = "/api/v1/namespaces/madvision/events?fieldSelector=type%3DWarning&limit=500"
NO_NODE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: present}, 2 Insufficient nvidia.com/gpu."
    " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
GPU_SPEC = {
    "nodeSelector": {"madvision.io/node-pool": "gpu"},
    "containers": [{"name": "dagster", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
}


class FakeApi:
    """The API of a cluster: what it lists is what a test puts there."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"name": "test", "cluster": {"server": site.url("")}}
        context = {"name": "test", "context": {"cluster": "test", "namespace": "madvision"}}
        known = {"kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "test"}
        self.kubeconfig.write_text(json.dumps({**known, "users": []}))  # JSON is YAML
        self.lists([])

    def lists(self, pods: list[dict[str, Any]], events: list[dict[str, Any]] | None = None) -> None:
        """These pods and events are there."""
        self.answer(LIST_PODS, {"kind": "PodList", "apiVersion": "v1", "items": pods})
        self.answer(LIST_EVENTS, {"kind": "EventList", "apiVersion": "v1", "items": events or []})

    def answer(self, path: str, document: object, status: int = 200) -> None:
        """A path answers with this."""
        self.site.add(path, Page(json.dumps(document).encode(), status, {"Content-Type": "application/json"}))

    def findings(self) -> list[Finding]:
        """What the doctor tells."""
        return pod_findings(self.kubeconfig)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    """A cluster without pods."""
    with Site() as site:
        yield FakeApi(site, tmp_path)


def minutes_ago(minutes: float) -> str:
    """As Kubernetes writes a time."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, status: Any, labels: Any = None, *, age_min: float = 1, spec: Any = None) -> dict[str, Any]:
    """A pod as the API shows it; by default one that does the stage ``clips``."""
    made = {"name": name, "creationTimestamp": minutes_ago(age_min), "labels": labels or {"dagster/op": "clips"}}
    return {"metadata": made, "spec": spec or {"containers": [{"name": "main"}]}, "status": status}


def unschedulable(message: str) -> dict[str, Any]:
    """The status of a pod that no node takes."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, image: str = "madvision/gpu:0.2.0") -> Any:
    """The status of a pod whose container is in this state."""
    shown = {"name": "main", "image": image, "imageID": "", "ready": False, "restartCount": 3}
    return {"phase": "Pending", "containerStatuses": [{**shown, "state": state, "lastState": last or {}}]}


def waiting(reason: str, message: str = "", **more: Any) -> Any:
    """The status of a pod whose container waits."""
    return container({"waiting": {"reason": reason, "message": message}}, **more)


def test_a_cluster_whose_pods_run_is_well(api: FakeApi) -> None:
    api.lists([pod("intake-1", {"phase": "Running"}), pod("run-1", {"phase": "Succeeded"})])

    (found,) = api.findings()

    assert found.health is Health.OK
    assert "1 pods run in the namespace madvision" in found.found


def test_pods_that_wait_for_a_gpu_are_one_finding_that_says_which_node_to_add(api: FakeApi) -> None:
    waits, stage = unschedulable(NO_NODE), {"dagster/op": "transcript"}
    api.lists([pod(f"step-{age}", waits, stage, age_min=age, spec=GPU_SPEC) for age in (12, 2)])

    (found,) = api.findings()

    assert found.health is Health.WARNING, "an autoscaler may be about to bring one"
    assert found.found.startswith("no node takes transcript: 0/3 nodes are available")
    assert found.found.endswith("(2 for up to 12 min)")
    assert "madvision.io/node-pool=gpu, taint nvidia.com/gpu, a free GPU" in found.remedy
    assert "autoscaler" in found.remedy


@pytest.mark.parametrize(
    ("status", "found", "remedy"),
    [
        (waiting("ErrImagePull"), "the image madvision/gpu:0.2.0 cannot be pulled", "tag and registry"),
        (waiting("ImagePullBackOff"), "the image madvision/gpu:0.2.0 cannot be pulled", "pull secret"),
        (
            waiting("CreateContainerConfigError", 'secret "madvision-intake" not found'),
            'secret "madvision-intake" not found',
            "kubectl -n madvision create secret generic madvision-intake",
        ),
        (
            waiting("CreateContainerConfigError", "couldn't find key pw in Secret madvision/madvision-postgresql"),
            "couldn't find key pw",
            "kubectl -n madvision create secret generic madvision-postgresql",
        ),
        (
            waiting("CreateContainerConfigError", 'configmap "madvision-env" not found'),
            'configmap "madvision-env" not found',
            "kubectl apply -k",
        ),
        (
            container({"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
            "clips used more memory than its limit",
            "compute.py",
        ),
        (unschedulable("0/1 nodes are available: 1 Insufficient cpu."), "no node takes clips", "Add a node,"),
    ],
)
def test_each_cause_says_what_to_do(api: FakeApi, status: dict[str, Any], found: str, remedy: str) -> None:
    api.lists([pod("step-1", status), pod("step-2", status)])

    (told,) = api.findings()

    assert found in told.found
    assert "(2 for up to 1 min)" in told.found
    assert remedy in told.remedy


def test_a_pod_that_ends_again_and_again_is_told_by_its_last_words_without_secrets(api: FakeApi) -> None:
    crashed = {"terminated": {"reason": "Error", "exitCode": 1}}
    status = waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container", last=crashed)
    api.lists([pod("madvision-daemon-7", status, {"app.kubernetes.io/component": "daemon"})])
    api.site.add(
        f"{PODS}/madvision-daemon-7/log?container=main&previous=True&tailLines=3",
        Page(b"Traceback\ndatabase_denied: postgresql://madvision:hunter2@db/x refuses us.\n"),
    )

    (found,) = api.findings()

    assert "daemon ends again and again, its last words: Traceback database_denied" in found.found
    assert "hunter2" not in found.found
    assert "kubectl -n madvision logs --previous madvision-daemon-7" in found.remedy


def test_what_only_events_tell_counts_for_as_long_as_it_comes_again(api: FakeApi) -> None:
    def event(reason: str, message: str, last_min: float) -> dict[str, Any]:
        times = {"firstTimestamp": minutes_ago(20), "lastTimestamp": minutes_ago(last_min)}
        named = {"metadata": {"name": message[:5]}, "involvedObject": {"kind": "Job"}}
        return {**named, "type": "Warning", "reason": reason, "message": message, **times}

    mount = 'MountVolume.SetUp failed for volume "config" : configmap "madvision-dagster" not found'
    account = 'error looking up service account madvision/madvision-step: serviceaccount "madvision-step" not found'
    events = [event("FailedMount", mount, 1), event("FailedCreate", account, 1), event("FailedMount", "of old", 19)]
    api.lists([pod("daemon-1", waiting("ContainerCreating"))], [*events, event("Unhealthy", "probe failed", 1)])

    assert [(found.found, found.health) for found in api.findings()] == [
        (f"{mount} (1 for up to 20 min)", Health.FAILED),
        (f"{account} (1 for up to 20 min)", Health.FAILED),
    ]


def test_several_causes_are_several_findings(api: FakeApi) -> None:
    other = waiting("ImagePullBackOff", image="madvision/pipeline:0.3.0")
    api.lists([pod("a", waiting("ImagePullBackOff")), pod("b", waiting("ErrImagePull")), pod("c", other)])

    assert [found.found.split()[2] for found in api.findings()] == ["madvision/gpu:0.2.0", "madvision/pipeline:0.3.0"]


def test_without_permission_the_role_is_told(api: FakeApi) -> None:
    forbidden = (
        'pods is forbidden: User "system:serviceaccount:madvision:madvision-daemon" cannot list resource "pods" in API '
        'group "" in the namespace "madvision"'
    )
    api.answer(LIST_PODS, {"kind": "Status", "status": "Failure", "message": forbidden, "code": 403}, 403)

    (found,) = api.findings()

    assert (found.health, found.found) == (Health.FAILED, forbidden)
    assert "Role that may list pods and events, and get pods/log" in found.remedy


def test_without_a_cluster_the_way_to_one_is_told(tmp_path: Path) -> None:
    (found,) = pod_findings(tmp_path / "nowhere")

    assert found.health is Health.FAILED
    assert "KUBECONFIG" in found.remedy


def test_a_cluster_that_is_away_is_told(tmp_path: Path) -> None:
    with Site() as site:
        gone = FakeApi(site, tmp_path)

    (found,) = gone.findings()

    assert found.health is Health.FAILED
    assert "its API gives no answer" in found.found


def test_in_a_whole_cluster_each_pod_that_cannot_run_is_told(tmp_path: Path) -> None:
    def runs(name: str, command: str = "true", image: str = "here:1", **more: Any) -> dict[str, Any]:
        spec = {"containers": [{"name": "main", "image": image, "command": ["sh", "-c", command]}], **more}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}

    no_secret = runs("no-secret")
    no_secret["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "madvision-intake"}}]
    held_up = [
        runs("no-node", nodeSelector={"madvision.io/node-pool": "gpu"}),
        runs("no-image", image="elsewhere:1"),
        runs("crashing", "echo the key is wrong; exit 3", restartPolicy="Always"),
        no_secret,
    ]
    expected = ["no node takes no-node", "image elsewhere:1", "last words: the key is wrong", "madvision-intake"]
    nodes = [Node("cpu-1", {"madvision.io/node-pool": "cpu"})]
    with Cluster(tmp_path, nodes=nodes, images={"here:1"}, programs=Path(sys.executable).parent) as cluster:
        cluster.apply(held_up)

        def all_are_told() -> bool:
            told = " ".join(found.found for found in pod_findings(cluster.kubeconfig))
            return all(words in told for words in expected)

        wait_for(all_are_told, 30, "a finding for each")
