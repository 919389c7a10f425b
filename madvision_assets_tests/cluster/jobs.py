"""The Job controller: pods until enough succeeded, too many failed, or the time is up."""

from madvision_assets_tests.cluster.deletion import delete, owned_by
from madvision_assets_tests.cluster.events import record
from madvision_assets_tests.cluster.objects import FINISHED, Object, age_s, condition, holds, now, phase, with_condition
from madvision_assets_tests.cluster.pods import create_pod, leaving
from madvision_assets_tests.cluster.store import Store

BACK_OFF_S = 0.5  # before the second pod; each further one waits twice as long (Kubernetes begins with 10 s)
REASONS = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
}


def reconcile_jobs(store: Store) -> None:
    """Bring every Job a step further."""
    for job in store.select("Job"):
        if leaving(job):
            continue
        if holds(job, "Complete") or holds(job, "Failed"):
            _expire(store, job)
        else:
            _reconcile(store, job)


def _reconcile(store: Store, job: Object) -> None:
    pods = owned_by(job, store.ever_pods.copy().values())
    failed = [pod for pod in pods if _failed(pod)]
    succeeded = [pod for pod in pods if phase(pod) == "Succeeded"]
    active = [pod for pod in pods if phase(pod) not in FINISHED and not leaving(pod)]
    gone = all(phase(pod) in FINISHED or not store.exists(pod["metadata"]["uid"]) for pod in pods)
    counts = {"active": len(active), "succeeded": len(succeeded), "failed": len(failed)}
    started = job.get("status", {}).get("startTime") or now()
    status = {"startTime": started, **{name: count or None for name, count in counts.items()}}
    spec = job["spec"]
    if reason := _why_failed(job, len(failed), started):
        for pod in active:
            delete(store, pod)
        # As in Kubernetes, a Job has failed when the last of its pods has ended; until then it is only bound to.
        status["conditions"] = with_condition(job, "Failed" if gone else "FailureTarget", reason, REASONS[reason])
        if gone:
            record(store, job, reason, REASONS[reason], source="job-controller", warning=True)
    elif len(succeeded) >= spec.get("completions", 1):
        status["completionTime"] = now()
        status["conditions"] = with_condition(job, "Complete")
        record(store, job, "Completed", "Job completed", source="job-controller")
    elif not spec.get("suspend") and not _backs_off(failed):
        missing = min(spec.get("parallelism", 1), spec.get("completions", 1) - len(succeeded)) - len(active)
        for _ in range(missing):
            create_pod(store, job, _labels(job))
    store.patch(job, {"status": status})


def _failed(pod: Object) -> bool:
    """A pod that is deleted counts as failed, unless it had succeeded."""
    return phase(pod) == "Failed" or (leaving(pod) and phase(pod) != "Succeeded")


def _why_failed(job: Object, failures: int, started: str) -> str:
    """Why the Job fails; empty while it does not."""
    if bound := condition(job, "FailureTarget"):
        return str(bound["reason"])
    if failures > job["spec"].get("backoffLimit", 6):
        return "BackoffLimitExceeded"
    deadline_s = job["spec"].get("activeDeadlineSeconds")
    return "DeadlineExceeded" if deadline_s is not None and age_s(started) > deadline_s else ""


def _backs_off(failed: list[Object]) -> bool:
    """Whether it is too early for another pod after those that failed."""
    ends = [pod["metadata"].get("deletionTimestamp") or _ended_at(pod) for pod in failed]
    return bool(ends) and age_s(max(ends)) < BACK_OFF_S * 2 ** (len(failed) - 1)


def _ended_at(pod: Object) -> str:
    """When its first container ended; when the pod was made, if none ever ran."""
    for status in pod["status"].get("containerStatuses", []):
        if ended := status["state"].get("terminated"):
            return str(ended["finishedAt"])
    return str(pod["metadata"]["creationTimestamp"])


def _labels(job: Object) -> dict[str, str]:
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    prefix = "batch.kubernetes.io/"
    return {"job-name": name, "controller-uid": uid, f"{prefix}job-name": name, f"{prefix}controller-uid": uid}


def _expire(store: Store, job: Object) -> None:
    """Delete a Job that ended as long ago as it says."""
    ttl_s = job["spec"].get("ttlSecondsAfterFinished")
    ended = condition(job, "Complete") or condition(job, "Failed") or {}
    if ttl_s is not None and age_s(ended["lastTransitionTime"]) > ttl_s:
        delete(store, job, propagation="Background")
