"""Jobs end as Kubernetes' do: well, badly, too late, preempted, and expired."""

from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped]

from madvision_assets_tests.cluster.client import (
    LIMIT_S,
    NAMESPACE,
    SLEEP,
    ClusterClient,
    condition_reason,
    job,
    named,
    python,
)
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

WARNED = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (print("asked to stop"), sys.exit(0)))
    print("ready")
    time.sleep(60)
"""
STUBBORN = """
    import signal, subprocess, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_a_job_that_succeeds(k8s: ClusterClient) -> None:
    k8s.run(job("good", python("print('hello')")))
    status = k8s.ended("good")
    assert (status.succeeded, status.failed, status.active) == (1, None, None)
    assert status.start_time <= status.completion_time
    pod = k8s.pod_of("good")
    assert pod["metadata"]["name"].startswith("good-")
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "good"
    assert k8s.log(pod) == "hello\n"
    assert {"Scheduled", "Pulled", "Started"} <= k8s.events(pod["metadata"]["name"]).keys()
    assert "SuccessfulCreate" in k8s.events("good")
    [record] = k8s.records("good")
    assert (record.phase, record.exit_code, record.node, record.image) == ("Succeeded", 0, "cpu-1", "tools:1")
    assert record.started
    assert record.ended
    assert record.started < record.ended


def test_a_job_that_fails_is_not_tried_again_without_a_back_off_limit(k8s: ClusterClient) -> None:
    k8s.run(job("bad", ["sh", "-c", "exit 3"]))
    status = k8s.ended("bad")
    assert (status.failed, condition_reason(status, "Failed")) == (1, "BackoffLimitExceeded")
    assert [record.exit_code for record in k8s.records("bad")] == [3]


def test_a_job_is_tried_again_as_often_as_its_back_off_limit_says(k8s: ClusterClient) -> None:
    k8s.run(job("thrice", ["false"], spec={"backoffLimit": 2}))
    assert k8s.ended("thrice").failed == 3
    assert len(k8s.records("thrice")) == 3


def test_a_job_that_takes_too_long_is_stopped(k8s: ClusterClient) -> None:
    k8s.run(job("slow", SLEEP, spec={"activeDeadlineSeconds": 1}))
    status = k8s.ended("slow")
    assert (status.failed, condition_reason(status, "Failed")) == (1, "DeadlineExceeded")
    assert [record.exit_code for record in k8s.records("slow")] == [143]


def test_the_deadline_counts_while_the_pod_waits(k8s: ClusterClient) -> None:
    k8s.run(job("nowhere", SLEEP, spec={"activeDeadlineSeconds": 1}, pod={"nodeSelector": {"pool": "none"}}))
    assert condition_reason(k8s.ended("nowhere"), "Failed") == "DeadlineExceeded"


def test_a_job_goes_with_its_pods_after_its_time_to_live(k8s: ClusterClient) -> None:
    k8s.run(job("brief", ["true"], spec={"ttlSecondsAfterFinished": 1}))
    k8s.ended("brief")
    wait_for(lambda: not k8s.batch.list_namespaced_job(NAMESPACE).items, LIMIT_S)
    wait_for(lambda: not k8s.cluster.pods(), LIMIT_S)
    assert [record.phase for record in k8s.records("brief")] == ["Succeeded"]


def test_a_preempted_pod_fails_its_job_however_well_it_ends(k8s: ClusterClient, tmp_path: Path) -> None:
    k8s.run(job("taken", python(WARNED)))
    pod = k8s.in_phase("taken", "Running")
    wait_for(lambda: "ready" in k8s.log(pod), LIMIT_S)
    k8s.cluster.preempt(pod["metadata"]["name"])
    status = k8s.ended("taken")
    assert (status.failed, status.succeeded) == (1, None)
    assert not k8s.cluster.pods()
    [record] = k8s.records("taken")
    assert (record.phase, record.exit_code, record.pod["status"]["reason"]) == ("Failed", 0, "Preempting")
    assert "Preempted" in k8s.events(pod["metadata"]["name"])
    [log] = (tmp_path / "logs").glob("taken-*")
    assert log.read_text() == "ready\nasked to stop\n"
    with pytest.raises(LookupError):
        k8s.cluster.preempt(pod["metadata"]["name"])


def test_a_pod_that_does_not_stop_is_killed_with_its_children(k8s: ClusterClient) -> None:
    k8s.run(job("stubborn", python(STUBBORN), pod={"terminationGracePeriodSeconds": 1}))
    pod = k8s.in_phase("stubborn", "Running")
    child = int(wait_for(lambda: k8s.log(pod), LIMIT_S))
    k8s.core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE)
    assert k8s.ended("stubborn").failed == 1
    assert [record.exit_code for record in k8s.records("stubborn")] == [137]
    wait_for(lambda: not alive(child), LIMIT_S)


def test_a_job_that_is_deleted_takes_its_pods_along_only_if_it_is_told_to(k8s: ClusterClient) -> None:
    k8s.run(job("orphaning", SLEEP))
    orphan = k8s.in_phase("orphaning", "Running")
    k8s.batch.delete_namespaced_job("orphaning", NAMESPACE)
    assert k8s.pod_of("orphaning")["metadata"]["ownerReferences"] == []
    k8s.core.delete_namespaced_pod(orphan["metadata"]["name"], NAMESPACE, grace_period_seconds=0)
    wait_for(lambda: not k8s.cluster.pods(), LIMIT_S)
    for policy in ("Background", "Foreground"):
        k8s.run(job("owner", SLEEP))
        k8s.in_phase("owner", "Running")
        k8s.batch.delete_namespaced_job("owner", NAMESPACE, propagation_policy=policy)
        wait_for(lambda: not k8s.cluster.pods() and not k8s.batch.list_namespaced_job(NAMESPACE).items, LIMIT_S)


def test_jobs_that_a_pod_owns_go_with_it(k8s: ClusterClient) -> None:
    k8s.run(job("run", SLEEP))
    pod = k8s.in_phase("run", "Running")
    step = job("step", SLEEP)
    metadata = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    step["metadata"]["ownerReferences"] = [owner]
    k8s.run(step)
    k8s.in_phase("step", "Running")
    k8s.core.delete_namespaced_pod(metadata["name"], NAMESPACE)
    wait_for(lambda: not k8s.cluster.pods(), LIMIT_S)
    with pytest.raises(ApiException, match=r"jobs\.batch .*step.* not found"):
        k8s.batch.read_namespaced_job("step", NAMESPACE)


def test_a_job_says_why_it_gets_no_pod(k8s: ClusterClient) -> None:
    k8s.run(job("unknown", SLEEP, pod={"serviceAccountName": "nobody"}))
    wait_for(lambda: 'serviceaccount "nobody" not found' in k8s.events("unknown").get("FailedCreate", ""), LIMIT_S)
    k8s.cluster.apply([named("v1", "ServiceAccount", "nobody")])
    k8s.in_phase("unknown", "Running")
