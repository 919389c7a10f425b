"""The controllers of what is to run all the time: Deployments and DaemonSets."""

import hashlib
import json

from madvision_assets_tests.cluster.deletion import delete
from madvision_assets_tests.cluster.objects import FINISHED, Object, holds, phase, with_condition
from madvision_assets_tests.cluster.pods import create_pod, leaving, pods_of
from madvision_assets_tests.cluster.scheduler import unsuitable
from madvision_assets_tests.cluster.store import Store

HASH = "pod-template-hash"


def reconcile_deployments(store: Store) -> None:
    """Bring every Deployment a step further; its pods are its own, without a ReplicaSet between."""
    for deployment in store.select("Deployment"):
        if not leaving(deployment):
            _roll_out(store, deployment)


def reconcile_daemon_sets(store: Store) -> None:
    """Have one pod of every DaemonSet on each node that it may run on."""
    for daemon_set in store.select("DaemonSet"):
        if leaving(daemon_set):
            continue
        template = {"spec": daemon_set["spec"]["template"]["spec"]}
        nodes = {node["metadata"]["name"] for node in store.select("Node") if not unsuitable(template, node)}
        version = _hash(daemon_set)
        pods = _without_ended(store, pods_of(store, daemon_set))
        for pod in pods:
            if pod["spec"]["nodeName"] not in nodes or pod["metadata"]["labels"][HASH] != version:
                delete(store, pod)
        for node in sorted(nodes - {pod["spec"]["nodeName"] for pod in pods}):
            create_pod(store, daemon_set, {HASH: version}, node)
        counts = {"desiredNumberScheduled": len(nodes), "currentNumberScheduled": len(pods)}
        ready = {"numberReady": sum(holds(pod, "Ready") for pod in pods), "numberMisscheduled": 0}
        store.patch(daemon_set, {"status": {**counts, **ready, "observedGeneration": _generation(daemon_set)}})


def _roll_out(store: Store, deployment: Object) -> None:
    """Replace pods of another template: as new ones get ready or, if it says ``Recreate``, before there are any."""
    spec, version = deployment["spec"], _hash(deployment)
    replicas = spec.get("replicas", 1)
    pods = _without_ended(store, pods_of(store, deployment))
    current = [pod for pod in pods if pod["metadata"]["labels"][HASH] == version and not leaving(pod)]
    old = [pod for pod in pods if pod["metadata"]["labels"][HASH] != version]
    ready = [pod for pod in current if holds(pod, "Ready")]
    recreate = spec.get("strategy", {}).get("type") == "Recreate"
    if not (recreate and old):
        for _ in range(replicas - len(current)):
            create_pod(store, deployment, {HASH: version})
    kept = 0 if recreate else max(replicas - len(ready), 0)
    staying = [pod for pod in old if not leaving(pod)]
    for pod in staying[kept:] + current[replicas:]:
        delete(store, pod)
    available = len(ready) >= replicas
    status = {
        "observedGeneration": _generation(deployment),
        "replicas": len(pods),
        "updatedReplicas": len(current),
        "readyReplicas": len(ready),
        "availableReplicas": len(ready),
        "unavailableReplicas": max(replicas - len(ready), 0),
        "conditions": with_condition(deployment, "Available", "MinimumReplicas", value=available),
    }
    store.patch(deployment, {"status": status})


def _without_ended(store: Store, pods: list[Object]) -> list[Object]:
    """The pods that have not ended for good, as one does that its node gave up; those that have are deleted."""
    for pod in pods:
        if phase(pod) in FINISHED:
            delete(store, pod)
    return [pod for pod in pods if phase(pod) not in FINISHED]


def _hash(owner: Object) -> str:
    return hashlib.sha256(json.dumps(owner["spec"]["template"], sort_keys=True).encode()).hexdigest()[:10]


def _generation(owner: Object) -> int:
    return int(owner["metadata"]["generation"])
