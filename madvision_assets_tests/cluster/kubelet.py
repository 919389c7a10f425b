"""The kubelet of every node: runs the pods that are bound to one, as processes of this machine.

Not here: limits of memory and CPU, a network of their own (all pods share this machine's ports, at 127.0.0.1; Services
are not resolved), lifecycle hooks, sidecars, and other users than the one who runs this.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from madvision_assets_tests.cluster.container import Container
from madvision_assets_tests.cluster.disk import ConfigError, Disk
from madvision_assets_tests.cluster.environment import POD_IP, Surroundings
from madvision_assets_tests.cluster.events import record
from madvision_assets_tests.cluster.objects import FINISHED, Object, now, phase, with_condition
from madvision_assets_tests.cluster.pods import leaving
from madvision_assets_tests.cluster.probes import Probes
from madvision_assets_tests.cluster.store import ApiError, Store

POLL_S = 0.05
RETRY_S = 0.5  # before an image or a ConfigMap is looked for again
PREEMPTED = "Preempting"


@dataclass(frozen=True)
class Machine:
    """What the nodes share.

    Attributes:
        store: the cluster's objects.
        disks: folder for the disks of pods.
        logs: folder for the logs of containers.
        images: what can be pulled; may change while pods wait.
        programs: folder that comes first in a pod's PATH.
        kubeconfig: writes one for a pod into a file.
    """

    store: Store
    disks: Path
    logs: Path
    images: set[str]
    programs: Path
    kubeconfig: Callable[[Object, Path], None]


class Kubelet:
    """Starts and stops pods."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._workers: dict[str, _Worker] = {}

    def reconcile(self) -> None:
        """Run what is bound, stop what is being deleted, and forget what is gone."""
        store = self._machine.store
        nodes = {node["metadata"]["name"] for node in store.select("Node")}
        for pod in store.select("Pod"):
            uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName", "")
            worker = self._workers.get(uid)
            if node and node not in nodes:
                store.patch(pod, {"status": {"phase": "Failed", "reason": "NodeLost", "message": f"{node} is gone"}})
                store.remove(pod)
            elif leaving(pod) and (worker is None or not worker.is_alive()):
                store.remove(pod)
            elif leaving(pod) and worker:
                worker.stop(pod["metadata"].get("deletionGracePeriodSeconds", 0))
            elif node and worker is None and phase(pod) not in FINISHED:
                self._workers[uid] = _Worker(self._machine, pod)
                self._workers[uid].start()
        for uid in [uid for uid in self._workers if not store.exists(uid)]:
            self._workers[uid].stop(0)
            if not self._workers[uid].is_alive():
                self._workers.pop(uid).clean_up()

    def close(self) -> None:
        """Kill every pod and wait for it."""
        for worker in self._workers.values():
            worker.stop(0)
        for worker in self._workers.values():
            worker.join()

    def log(self, pod: Object, container: str, tail: int | None, follow: bool) -> Iterator[bytes]:
        """A container's log.

        Raises:
            ApiError: there is no such container, or it has not started.
        """
        name = pod["metadata"]["name"]
        names = [spec["name"] for spec in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]]
        if container not in {*names, ""} or (not container and len(pod["spec"]["containers"]) > 1):
            message = f"container {container} is not valid for pod {name}: one of {names}"
            raise ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message)
        path = _log_path(self._machine.logs, pod, container or names[0])
        if not path.exists():
            message = f'container "{container or names[0]}" in pod "{name}" is waiting to start'
            raise ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message)
        return self._lines(path, pod["metadata"]["uid"], tail, follow)

    def _lines(self, path: Path, uid: str, tail: int | None, follow: bool) -> Iterator[bytes]:
        with path.open("rb") as log:
            lines = log.readlines()
            yield from lines[len(lines) - min(tail, len(lines)) :] if tail is not None else lines
            while follow and (worker := self._workers.get(uid)) is not None and worker.is_alive():
                worker.join(POLL_S)
                yield from log.readlines()
            yield from log.readlines()  # what came between the last look and the end


class _Stopped(Exception):  # noqa: N818 - not an error: how a worker leaves what it does
    """The pod is to end."""


class _Worker(threading.Thread):
    """Runs one pod from its binding to its end."""

    def __init__(self, machine: Machine, pod: Object) -> None:
        super().__init__(name=f"pod {pod['metadata']['name']}")
        self._machine = machine
        self._store = machine.store
        self._pod = pod
        self._disk = Disk(machine.disks / pod["metadata"]["uid"][:8], machine.disks / "claims", pod)
        self._init = [self._container(spec) for spec in pod["spec"].get("initContainers", [])]
        self._main = [self._container(spec) for spec in pod["spec"]["containers"]]
        self._around = Surroundings(machine.store, pod, self._disk, machine.programs, self._kubeconfig())
        self._probes: dict[str, Probes] = {}
        self._started_at = now()
        self._stopping = threading.Event()
        self._kill_at = float("inf")

    def stop(self, grace_s: float) -> None:
        """Have it end within so many seconds; the soonest end that was asked for counts."""
        self._kill_at = min(self._kill_at, time.monotonic() + grace_s)
        self._stopping.set()

    def clean_up(self) -> None:
        """Remove its disk."""
        self.join()
        self._disk.remove()

    def run(self) -> None:
        """Run it; what is left of it at the end is killed."""
        try:
            self._publish("Pending")
            self._mount()
            for container in self._init:
                self._initialise(container)
            for container in self._main:
                self._start(container)
            self._attend()
        except _Stopped:
            self._terminate()
        finally:
            for container in (*self._init, *self._main):
                container.kill()

    def _container(self, spec: Object) -> Container:
        return Container(spec, _log_path(self._machine.logs, self._pod, spec["name"]))

    def _kubeconfig(self) -> Path | None:
        """Its way to the API, unless the pod or else its service account says that it has none."""
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        account = self._store.find("ServiceAccount", metadata["namespace"], spec["serviceAccountName"]) or {}
        if not spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
            return None
        path = self._disk.folder / "kubeconfig"
        self._machine.kubeconfig(self._pod, path)
        return path

    def _wait(self, seconds: float | None) -> None:
        if self._stopping.wait(seconds):
            raise _Stopped

    def _mount(self) -> None:
        while True:
            try:
                self._disk.fill(self._store)
            except ConfigError as error:
                self._note("FailedMount", f"MountVolume.SetUp failed: {error}", warning=True)
                self._wait(RETRY_S)
            else:
                return

    def _start(self, container: Container) -> None:
        """Start a container as soon as its image can be pulled and its configuration is there."""
        self._pull(container)
        spec = container.spec
        while True:
            try:
                environment = self._around.environment(spec)
                break
            except ConfigError as error:
                container.wait_because("CreateContainerConfigError", str(error))
                self._note("Failed", f"Error: {error}", warning=True)
                self._publish("Pending")
                self._wait(RETRY_S)
        words = [*spec.get("command", []), *spec.get("args", [])]
        if not words:
            container.wait_because("CreateContainerError", "no command specified")
            self._publish("Pending")
            self._wait(None)
        container.start(self._around.command(spec, words, environment), environment, self._disk.home)
        self._probes[container.name] = Probes(container, self._around)
        self._note("Started", f"Started container {container.name}")

    def _pull(self, container: Container) -> None:
        image = container.spec["image"]
        while image not in self._machine.images:
            message = f'Failed to pull image "{image}": not found'
            container.wait_because("ErrImagePull", message)
            self._note("Failed", message, warning=True)
            self._publish("Pending")
            self._wait(RETRY_S)
            container.wait_because("ImagePullBackOff", f'Back-off pulling image "{image}"')
            self._note("BackOff", f'Back-off pulling image "{image}"', warning=True)
            self._publish("Pending")
            self._wait(RETRY_S)
        self._note("Pulled", f'Container image "{image}" already present on machine')

    def _initialise(self, container: Container) -> None:
        """Run an init container until it succeeds, or until its failure is the pod's."""
        self._start(container)
        while not (container.ended and container.ended["exitCode"] == 0):
            self._publish("Pending")
            self._wait(POLL_S)
            self._look_after(container)
            if container.ended and container.ended["exitCode"]:
                self._publish("Failed")
                raise _Stopped

    def _attend(self) -> None:
        """Look after the containers until all have ended for good."""
        ended = False
        while not ended:
            self._publish("Running")
            self._wait(POLL_S)
            for container in self._main:
                self._look_after(container)
            ended = all(container.ended for container in self._main)
        self._publish(self._outcome())

    def _look_after(self, container: Container) -> None:
        """See whether it ended, whether it is to start again, and what its probes say."""
        container.poll()
        if container.running:
            if probe := self._probes[container.name].look():
                self._note("Unhealthy", f"{probe.capitalize()} probe failed", warning=True)
                self._note("Killing", f"Container {container.name} failed {probe} probe, will be restarted")
                container.kill()
        elif container.ended and self._restarts(container.ended["exitCode"]):
            container.back_off()
            message = f"Back-off restarting failed container {container.name}"
            self._note("BackOff", message, warning=True)
        elif container.restart_at is not None and time.monotonic() >= container.restart_at:
            self._start(container)

    def _restarts(self, code: int) -> bool:
        policy = self._pod["spec"]["restartPolicy"]
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    def _terminate(self) -> None:
        """SIGTERM, the grace period, SIGKILL; then the pod is no more."""
        containers = [container for container in (*self._init, *self._main) if container.running]
        for container in containers:
            self._note("Killing", f"Stopping container {container.name}")
            container.terminate()
        while any(container.running for container in containers):
            if time.monotonic() >= self._kill_at:
                for container in containers:
                    container.kill()
            time.sleep(POLL_S)
            for container in containers:
                container.poll()
        self._publish(self._outcome())
        current = self._store.find("Pod", self._pod["metadata"]["namespace"], self._pod["metadata"]["name"])
        if current and leaving(current):
            self._store.remove(self._pod)

    def _outcome(self) -> str:
        """The phase that its containers' ends make."""
        return "Succeeded" if all(c.ended and c.ended["exitCode"] == 0 for c in self._main) else "Failed"

    def _publish(self, phase_name: str) -> None:
        """Show how the pod is."""
        self._store.patch(self._pod, lambda pod: {"status": self._status(pod, phase_name)})

    def _status(self, pod: Object, phase_name: str) -> Object:
        if phase_name in FINISHED and pod.get("status", {}).get("reason") == PREEMPTED:
            phase_name = "Failed"  # however well it ended: its node did not let it finish
        initialised = all(c.ended and c.ended["exitCode"] == 0 for c in self._init)
        ready = phase_name == "Running" and all(container.ready for container in self._main)
        for name, value in (("Initialized", initialised), ("ContainersReady", ready), ("Ready", ready)):
            pod = {**pod, "status": {**pod.get("status", {}), "conditions": with_condition(pod, name, value=value)}}
        status: Object = {
            "phase": phase_name,
            "startTime": self._started_at,
            "hostIP": POD_IP,
            "podIP": POD_IP,
            "conditions": pod["status"]["conditions"],
            "containerStatuses": [container.status() for container in self._main],
        }
        if self._init:
            status["initContainerStatuses"] = [container.status() for container in self._init]
        return status

    def _note(self, reason: str, message: str, *, warning: bool = False) -> None:
        record(self._store, self._pod, reason, message, source="kubelet", warning=warning)


def _log_path(logs: Path, pod: Object, container: str) -> Path:
    """One file for each container, under the pod's name since a person may look for it."""
    return logs / f"{pod['metadata']['name']}_{pod['metadata']['uid'][:8]}_{container}.log"
