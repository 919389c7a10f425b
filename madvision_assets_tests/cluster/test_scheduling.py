"""Pods run where their selectors, tolerations and requests let them, the most important first."""

from pathlib import Path

from madvision_assets_tests.cluster import Node
from madvision_assets_tests.cluster.client import LIMIT_S, ON_A_GPU, ONE_GPU, SLEEP, ClusterClient, job, named
from madvision_assets_tests.waiting import wait_for


def why_not(k8s: ClusterClient, job_name: str) -> str:
    """Why a Job's pod is not scheduled, as its event says and its condition."""
    name = k8s.pod_of(job_name)["metadata"]["name"]
    event = wait_for(lambda: k8s.events(name).get("FailedScheduling"), LIMIT_S, f"{name} unschedulable")
    pod = k8s.pod_of(job_name)
    assert pod["status"]["phase"] == "Pending"
    [condition] = pod["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert condition["message"] == event
    return str(event)


def test_one_gpu_is_one_pod_at_a_time(k8s: ClusterClient, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = ["sh", "-c", f"until test -e {gate}; do sleep 0.1; done"]
    for name in ("first", "second"):
        k8s.run(job(name, waits, pod=ON_A_GPU, resources=ONE_GPU))
    assert why_not(k8s, "second") == (
        "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector."
    )
    gate.touch()
    k8s.ended("second")
    [first], [second] = k8s.records("first"), k8s.records("second")
    assert first.node == second.node == "gpu-1"
    assert first.ended
    assert second.started
    assert first.ended < second.started


def test_a_taint_keeps_off_who_does_not_tolerate_it(k8s: ClusterClient) -> None:
    k8s.run(job("intruder", SLEEP, pod={"nodeSelector": {"pool": "gpu"}}))
    assert why_not(k8s, "intruder") == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {nvidia.com/gpu: present}."
    )
    equal = {"key": "nvidia.com/gpu", "operator": "Equal", "effect": "NoSchedule"}
    pod = {"nodeSelector": {"pool": "gpu"}}
    k8s.run(job("wrong", SLEEP, pod={**pod, "tolerations": [{**equal, "value": "absent"}]}))
    why_not(k8s, "wrong")
    k8s.run(job("right", SLEEP, pod={**pod, "tolerations": [{**equal, "value": "present"}]}))
    k8s.in_phase("right", "Running")


def test_a_pod_waits_for_the_node_that_it_needs_and_is_lost_with_it(k8s: ClusterClient) -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b", "c"]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    k8s.run(job("choosy", SLEEP, pod={"affinity": affinity}))
    assert "2 node(s) didn't match" in why_not(k8s, "choosy") or "untolerated" in why_not(k8s, "choosy")
    k8s.cluster.add_node(Node("cpu-2", {"zone": "b"}))
    assert k8s.in_phase("choosy", "Running")["spec"]["nodeName"] == "cpu-2"
    k8s.cluster.remove_node("cpu-2")
    assert k8s.ended("choosy").failed == 1
    assert [record.pod["status"]["reason"] for record in k8s.records("choosy")] == ["NodeLost"]


def test_requests_fill_a_node_and_the_most_important_pod_comes_next(k8s: ClusterClient) -> None:
    k8s.cluster.apply([named("scheduling.k8s.io/v1", "PriorityClass", "urgent", value=1000)])
    most = {"requests": {"cpu": "1500m"}}
    k8s.run(job("full", ["sleep", "1"], resources=most, pod={"priorityClassName": "urgent"}))
    k8s.in_phase("full", "Running")
    k8s.run(job("later", ["true"], resources=most))
    assert "1 Insufficient cpu" in why_not(k8s, "later")
    k8s.run(job("sooner", ["true"], resources=most, pod={"priorityClassName": "urgent"}))
    assert "1 Insufficient cpu" in why_not(k8s, "sooner")
    k8s.ended("later")
    [later], [sooner] = k8s.records("later"), k8s.records("sooner")
    assert sooner.ended
    assert later.started
    assert sooner.ended < later.started


def test_an_important_pod_takes_the_room_of_the_least_important(k8s: ClusterClient) -> None:
    for name, value in (("step", 1000), ("run", 10000)):
        k8s.cluster.apply([named("scheduling.k8s.io/v1", "PriorityClass", name, value=value)])
    half = {"requests": {"cpu": "1"}}
    for name, priority in (("run-1", "run"), ("step-1", "step")):
        k8s.run(job(name, SLEEP, resources=half, pod={"priorityClassName": priority}))
        k8s.in_phase(name, "Running")
    k8s.run(job("run-2", SLEEP, resources=half, pod={"priorityClassName": "run"}))
    k8s.in_phase("run-2", "Running")
    assert k8s.ended("step-1").failed == 1
    assert k8s.in_phase("run-1", "Running")
    [victim] = k8s.records("step-1")
    assert "Preempted by pod run-2" in k8s.events(victim.name)["Preempted"]
    k8s.run(job("run-3", SLEEP, resources=half, pod={"priorityClassName": "run"}))
    assert "1 Insufficient cpu" in why_not(k8s, "run-3")


def test_a_taint_that_forbids_execution_drives_pods_away(k8s: ClusterClient) -> None:
    k8s.run(job("tenant", SLEEP))
    k8s.in_phase("tenant", "Running")
    taint = {"key": "maintenance", "value": "now", "effect": "NoExecute"}
    k8s.core.patch_node("cpu-1", {"spec": {"taints": [taint]}})
    assert k8s.ended("tenant").failed == 1


def test_a_cordoned_node_takes_no_pods(k8s: ClusterClient) -> None:
    k8s.core.patch_node("cpu-1", {"spec": {"unschedulable": True}})
    k8s.run(job("barred", SLEEP))
    assert "1 node(s) were unschedulable" in why_not(k8s, "barred")
