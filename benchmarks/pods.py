"""What a video costs on Kubernetes beyond its work: its pods, and the seconds in which they start and stop.

The manifests on the test cluster, whose pods are processes of this machine: no image is pulled and no node is made, so
this is the least that a pod costs. The peer is one pod that does the whole run.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from measure import Figure, show, told

from madvision_assets_tests.cluster import PodRecord
from madvision_assets_tests.deployments.staging import GPU_NODE, Staged, staged
from madvision_assets_tests.real_servers import postgres, swift_s3


def figures() -> list[Figure]:
    """Of the sample talk, once."""
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as name:
        folders = [Path(name, part) for part in ("cluster", "postgres", "swift")]
        for folder in folders:
            folder.mkdir()
        with postgres(folders[1]) as url, swift_s3(folders[2]) as s3, staged(folders[0], url, s3) as system:
            system.cluster.add_node(GPU_NODE)
            video_id, _ = system.submit()
            system.wait_for_end(video_id)
            return _told(system)


def _told(system: Staged) -> list[Figure]:
    """Pods, and how long those of steps live beyond their step; one pod for all would start and stop once."""
    with system.instance() as instance:
        (run,) = instance.get_runs()
        worked_s = {
            step.step_key: step.end_time - step.start_time
            for step in instance.get_run_step_stats(run.run_id)
            if step.start_time and step.end_time
        }
    pods = [pod for pod in system.cluster.history if pod.labels.get("dagster/run-id") == run.run_id]
    beyond_s = [_lived_s(pod) - worked_s[pod.labels["dagster/op"]] for pod in pods if "dagster/op" in pod.labels]
    return [
        told("pods a video", len(pods), 1, "{:.0f}"),
        told("step pods: seconds of start and stop, a video", sum(beyond_s), statistics.median(beyond_s), "{:.1f} s"),
    ]


def _lived_s(pod: PodRecord) -> float:
    if pod.started is None or pod.ended is None:
        raise RuntimeError(f"{pod.name} did not run to its end")
    return (pod.ended - pod.started).total_seconds()


if __name__ == "__main__":
    sys.exit(not show(figures()))
