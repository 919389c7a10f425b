"""Deployments and DaemonSets keep their pods, and replace them when their template changes."""

from typing import Any

from madvision_assets_tests.cluster import Node, Object
from madvision_assets_tests.cluster.client import LIMIT_S, NAMESPACE, SLEEP, ClusterClient, deployment
from madvision_assets_tests.cluster.objects import phase
from madvision_assets_tests.cluster.pods import leaving
from madvision_assets_tests.waiting import wait_for


def rolled_out(k8s: ClusterClient, name: str, replicas: int) -> Any:
    """The status of a Deployment, as soon as so many pods of its newest template are all there is, and are ready."""

    def status() -> Any:
        found = k8s.apps.read_namespaced_deployment_status(name, NAMESPACE)
        counts = found.status.updated_replicas, found.status.ready_replicas, found.status.replicas
        return counts == (replicas,) * 3 and found.status.observed_generation == found.metadata.generation and found

    return wait_for(status, LIMIT_S, f"{name} rolled out")


def names(k8s: ClusterClient, app: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in k8s.cluster.pods({"app": app})}


def test_a_deployment_keeps_as_many_pods_as_it_says(k8s: ClusterClient) -> None:
    k8s.cluster.apply([deployment("web", SLEEP, replicas=2)])
    assert rolled_out(k8s, "web", 2).status.conditions[0].status == "True"
    lost = min(names(k8s, "web"))
    k8s.core.delete_namespaced_pod(lost, NAMESPACE)
    wait_for(lambda: len(names(k8s, "web") - {lost}) == 2, LIMIT_S)
    rolled_out(k8s, "web", 2)
    k8s.apps.patch_namespaced_deployment("web", NAMESPACE, {"spec": {"replicas": 1}})
    rolled_out(k8s, "web", 1)
    k8s.apps.delete_namespaced_deployment("web", NAMESPACE)
    wait_for(lambda: not k8s.cluster.pods(), LIMIT_S)


def test_a_new_template_replaces_pods_once_the_new_ones_are_ready(k8s: ClusterClient) -> None:
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    k8s.cluster.apply([deployment("web", SLEEP)])
    rolled_out(k8s, "web", 1)
    old = names(k8s, "web")
    k8s.cluster.apply([deployment("web", SLEEP, readinessProbe=never)])

    def both() -> list[Object]:
        return [pod for pod in k8s.cluster.pods({"app": "web"}) if phase(pod) == "Running" and not leaving(pod)]

    wait_for(lambda: len(both()) == 2, LIMIT_S, "the new pod beside the old one")
    k8s.cluster.apply([deployment("web", ["sleep", "61"])])
    rolled_out(k8s, "web", 1)
    assert not names(k8s, "web") & old
    [_, unready, _] = k8s.cluster.history
    assert unready.name not in names(k8s, "web")


def test_recreate_stops_the_old_pods_before_it_starts_new_ones(k8s: ClusterClient) -> None:
    for command in (SLEEP, ["sleep", "61"]):
        item = deployment("single", command)
        item["spec"]["strategy"] = {"type": "Recreate"}
        k8s.cluster.apply([item])
        rolled_out(k8s, "single", 1)
    [old, new] = k8s.cluster.history
    assert old.ended
    assert new.started
    assert old.ended < new.started


def test_a_daemon_set_has_one_pod_on_each_node_that_it_may_run_on(k8s: ClusterClient) -> None:
    item = {**deployment("plugin", SLEEP), "kind": "DaemonSet"}
    del item["spec"]["replicas"]
    k8s.cluster.apply([item])

    def nodes() -> list[str]:
        pods = k8s.cluster.pods({"app": "plugin"})
        return sorted(pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running")

    wait_for(lambda: nodes() == ["cpu-1"], LIMIT_S)  # the other's taint is not tolerated
    k8s.cluster.add_node(Node("cpu-2"))
    wait_for(lambda: nodes() == ["cpu-1", "cpu-2"], LIMIT_S)
    k8s.cluster.remove_node("cpu-2")
    wait_for(lambda: nodes() == ["cpu-1"], LIMIT_S)
