"""The cluster as tests have it: started, applied to, looked at, and disturbed."""

import json
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kubernetes import client, config  # type: ignore[import-untyped]

from madvision_assets_tests.cluster.access import ADMIN, Access, account_user
from madvision_assets_tests.cluster.api import Api
from madvision_assets_tests.cluster.deletion import collect_garbage, delete
from madvision_assets_tests.cluster.events import record
from madvision_assets_tests.cluster.jobs import reconcile_jobs
from madvision_assets_tests.cluster.kubelet import PREEMPTED, Kubelet, Machine
from madvision_assets_tests.cluster.objects import BY_NAME, Node, Object, with_condition
from madvision_assets_tests.cluster.scheduler import evict_untolerated, schedule
from madvision_assets_tests.cluster.store import Store
from madvision_assets_tests.cluster.workloads import reconcile_daemon_sets, reconcile_deployments

TICK_S = 0.1  # how often deadlines are looked at while nothing changes
REQUEST_LIMIT_S = 30.0
PREEMPTION = "Preempted by its node"


@dataclass(frozen=True)
class PodRecord:
    """A pod that is or was.

    Attributes:
        name: its name.
        labels: its labels.
        node: where it ran; empty if nowhere.
        image: of its first container.
        phase: its last.
        exit_code: of its first container; None if that did not end, or was not seen to.
        started: when that container started; None if it never did.
        ended: when it ended.
        pod: the whole object as the API had it last; its spec is what was submitted, with defaults and the node.
    """

    name: str
    labels: Mapping[str, str]
    node: str
    image: str
    phase: str
    exit_code: int | None
    started: datetime | None
    ended: datetime | None
    pod: Object


class Cluster:
    """A Kubernetes cluster on loopback, for the time of a ``with`` block.

    Args:
        folder: an existing folder; the kubeconfig and ``logs/`` (a file for each container) lie there.
        nodes: its machines.
        images: what its registry has; pods with another image wait for ever.
        programs: folder that comes first in the PATH of every pod.
        rbac: whether roles are enforced; otherwise everybody may do everything.

    Attributes:
        kubeconfig: of somebody who may do everything.
        images: may be changed while it runs.
    """

    def __init__(
        self, folder: Path, *, nodes: Iterable[Node], images: Iterable[str], programs: Path, rbac: bool = False
    ) -> None:
        self.images = set(images)
        self.kubeconfig = folder.resolve() / "kubeconfig"
        self._store = Store()
        self._access = Access(self._store, rbac)
        logs = folder.resolve() / "logs"
        logs.mkdir()
        self._disks = Path(tempfile.mkdtemp(prefix="mv-pods-"))  # a path that leaves room for the names of sockets
        machine = Machine(self._store, self._disks, logs, self.images, programs, self._write_kubeconfig)
        self._kubelet = Kubelet(machine)
        self._api = Api(self._store, self._access, self._kubelet.log)
        self._control = threading.Thread(target=self._reconcile, name="control plane")
        self._nodes = list(nodes)

    def __enter__(self) -> Self:
        """Starts it."""
        self._api.start()
        self._control.start()
        self._access.write_kubeconfig(self.kubeconfig, self._api.address, ADMIN, "default")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        self.apply([namespace, *(node.manifest() for node in self._nodes)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kills every pod, and ends every thread."""
        self._api.close()
        self._store.notify()
        self._control.join()
        self._kubelet.close()
        shutil.rmtree(self._disks)

    @property
    def submitted_jobs(self) -> list[Object]:
        """Every Job that was submitted, as it was received."""
        return [*self._api.submitted_jobs]

    @property
    def refused(self) -> list[str]:
        """What roles did not allow, as the API said it."""
        return [*self._access.refused]

    @property
    def history(self) -> list[PodRecord]:
        """Every pod that ever was, oldest first."""
        return [_record(pod) for pod in self._store.ever_pods.copy().values()]

    def client(self) -> client.ApiClient:
        """The official client, for somebody who may do everything; close it, or use it in a ``with`` block."""
        return config.new_client_from_config(str(self.kubeconfig))

    def apply(self, objects: Iterable[Object]) -> None:
        """Create objects as ``kubectl kustomize`` renders them, or put them in the place of those that are there.

        Raises:
            RuntimeError: the API refused one; the message says why.
        """
        for item in objects:
            kind = BY_NAME.get(item["kind"])
            if kind is None:
                raise RuntimeError(f"this cluster knows no {item['kind']}")
            namespace, name = item["metadata"].get("namespace", "default"), item["metadata"]["name"]
            status, answer = self._request("POST", kind.path(namespace), item)
            if status == HTTPStatus.CONFLICT:
                status, answer = self._request("PUT", kind.path(namespace, name), item)
            if status >= HTTPStatus.BAD_REQUEST:
                raise RuntimeError(answer["message"])

    def pods(self, labels: Mapping[str, str] | None = None) -> list[Object]:
        """The pods that are there, of all namespaces, with these labels."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        return self._store.select("Pod", labels=selector)

    def preempt(self, pod_name: str) -> None:
        """Have a pod's node take it away: SIGTERM, its grace period, SIGKILL; its Job counts a failure.

        Raises:
            LookupError: there is no such pod.
        """
        for pod in self.pods():
            if pod["metadata"]["name"] == pod_name:
                self._store.patch(pod, _preempted)
                record(self._store, pod, "Preempted", PREEMPTION, source="kubelet", warning=True)
                delete(self._store, pod)
                return
        raise LookupError(f"no pod {pod_name}")

    def add_node(self, node: Node) -> None:
        """Add a machine."""
        self.apply([node.manifest()])

    def remove_node(self, name: str) -> None:
        """Lose a machine, with everything on it, at once.

        Raises:
            ApiError: there is none of that name.
        """
        self._store.remove(self._store.get("Node", "", name))

    def _reconcile(self) -> None:
        """The control plane: whenever something changed, let each controller do what is left to do."""
        seen = 0
        while not self._api.closing.is_set():
            seen = self._store.wait(seen, TICK_S)
            _make_default_accounts(self._store)
            for step in (reconcile_jobs, reconcile_deployments, reconcile_daemon_sets, collect_garbage):
                step(self._store)
            evict_untolerated(self._store)
            schedule(self._store)
            self._kubelet.reconcile()

    def _write_kubeconfig(self, pod: Object, path: Path) -> None:
        namespace = pod["metadata"]["namespace"]
        user = account_user(namespace, pod["spec"]["serviceAccountName"])
        self._access.write_kubeconfig(path, self._api.address, user, namespace)

    def _request(self, method: str, path: str, body: Object) -> tuple[int, Any]:
        token = json.loads(self.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self._api.address}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


def _make_default_accounts(store: Store) -> None:
    """Every namespace has a service account ``default``."""
    for namespace in store.select("Namespace"):
        name = namespace["metadata"]["name"]
        if store.find("ServiceAccount", name, "default") is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount"}
            store.create({**account, "metadata": {"name": "default", "namespace": name}})


def _preempted(pod: Object) -> Object:
    conditions = with_condition(pod, "DisruptionTarget", "TerminationByKubelet", PREEMPTION)
    return {"status": {"reason": PREEMPTED, "message": PREEMPTION, "conditions": conditions}}


def _record(pod: Object) -> PodRecord:
    spec, statuses = pod["spec"], pod.get("status", {}).get("containerStatuses", [{}])
    state = statuses[0].get("state", {})
    ended = state.get("terminated", {})
    running = state.get("running") or ended
    return PodRecord(
        name=pod["metadata"]["name"],
        labels=pod["metadata"].get("labels", {}),
        node=spec.get("nodeName", ""),
        image=spec["containers"][0]["image"],
        phase=pod.get("status", {}).get("phase", "Pending"),
        exit_code=ended.get("exitCode"),
        started=_time(running.get("startedAt")),
        ended=_time(ended.get("finishedAt")),
        pod=pod,
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
