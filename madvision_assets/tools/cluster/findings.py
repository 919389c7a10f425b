"""What keeps our pods on Kubernetes from running: each cause once, with what to do about it."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from madvision_assets.domain.health import Finding, Health
from madvision_assets.domain.redaction import without_secrets

PART = "cluster"
ANSWER_LIMIT_S = 10.0
LISTED_AT_MOST = 500
LAST_WORDS_LINES = 3
MESSAGE_CHARS = 300
# Kubernetes keeps events for an hour; what did not come again for so long is over.
EVENT_COUNTS_FOR = timedelta(minutes=15)
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_NAMESPACE = "madvision"
GPU = "nvidia.com/gpu"

IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError"}
# A volume of a secret or config map that is not there, and a pod that may not be made at all.
EVENT_REASONS = {"FailedMount", "FailedCreate"}
MISSING = re.compile(r'\b(secret|configmap|serviceaccount) "([a-z0-9.-]+)" not found', re.IGNORECASE)
MISSING_KEY = re.compile(r"key \S+ in (secret|configmap) [a-z0-9.-]+/([a-z0-9.-]+)", re.IGNORECASE)

CONNECT = "Run madvision doctor in a pod of the cluster, or set KUBECONFIG to the file that names it."
CHECK_API = "Check the address in KUBECONFIG, and that the network policies let this pod reach the cluster's API."
ALLOW = "Bind the service account to a Role that may list pods and events, and get pods/log."
ADD_NODE = "Add a node{labels}, or raise the maximum of the autoscaler of its pool. What waits is not lost."
CHECK_IMAGE = "Check tag and registry of the image in the manifests, and the pull secret of the pod's service account."
MAKE_SECRET = (
    "Make it: python deployments/reach/keys.py --namespace {namespace} secrets.env | kubectl apply -f - makes those of "  # noqa: S105
    "our parts; any other, kubectl -n {namespace} create secret generic {name} --from-literal=KEY=VALUE"
)
APPLY = "Make it: kubectl apply -k with the overlay in deployments/kubernetes that you use."
MORE_MEMORY = "Raise its memory limit: of a stage in madvision_assets/defs/compute.py, of the others in the manifests."
READ_LOG = "Mend what its log tells: kubectl -n {namespace} logs --previous {pod}"
READ_EVENTS = "Mend what is told: kubectl -n {namespace} get events"

# The last lines of the log of a container that ended, by the names of pod and container.
_ReadLog = Callable[[str, str], str]


@dataclass(frozen=True)
class _Cause:
    """Why pods do not run. Two are the same one where their subjects are; the rest may differ from pod to pod."""

    subject: str
    told: str = field(compare=False)
    remedy: str = field(compare=False)
    health: Health = field(compare=False, default=Health.FAILED)


def pod_findings(kubeconfig: Path | None = None) -> list[Finding]:
    """Each cause that keeps pods of our namespace from running; one finding that all is well where there is none.

    Args:
        kubeconfig: names the cluster; by default that of the pod that this runs in, else what ``KUBECONFIG`` says.
    """
    from kubernetes.client import ApiException  # type: ignore[import-untyped]
    from kubernetes.config import ConfigException  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError

    try:
        api, namespace = _connect(kubeconfig)
        return list(_examine(api, namespace))
    except ConfigException as error:
        return [Finding(PART, Health.FAILED, f"no cluster is named: {error}", CONNECT)]
    except ApiException as error:
        return [Finding(PART, Health.FAILED, _words(error), ALLOW if error.status in {401, 403} else CHECK_API)]
    except HTTPError as error:
        return [Finding(PART, Health.FAILED, f"its API gives no answer ({type(error).__name__})", CHECK_API)]


def _connect(kubeconfig: Path | None) -> tuple[Any, str]:
    """The API, and the namespace to look at."""
    from kubernetes import client, config  # type: ignore[import-untyped]

    settings = client.Configuration()
    settings.retries = False
    if kubeconfig is None and NAMESPACE_FILE.exists():
        config.load_incluster_config(settings)
        namespace = NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    else:
        file = str(kubeconfig) if kubeconfig else None
        config.load_kube_config(file, client_configuration=settings)
        _, chosen = config.list_kube_config_contexts(file)
        namespace = chosen["context"].get("namespace", DEFAULT_NAMESPACE)
    return client.CoreV1Api(client.ApiClient(settings)), namespace


def _examine(api: Any, namespace: str) -> Iterator[Finding]:
    from kubernetes.client import ApiException

    asked = {"limit": LISTED_AT_MOST, "_request_timeout": ANSWER_LIMIT_S}
    pods = api.list_namespaced_pod(namespace, **asked).items
    events = api.list_namespaced_event(namespace, field_selector="type=Warning", **asked).items

    def read_log(pod: str, container: str) -> str:
        wanted = {"container": container, "previous": True, "tail_lines": LAST_WORDS_LINES}
        # As bytes: what the client makes of text by itself is its Python literal.
        how = {"_request_timeout": ANSWER_LIMIT_S, "_preload_content": False}
        with suppress(ApiException):  # it may be gone already
            return _short(api.read_namespaced_pod_log(pod, namespace, **wanted, **how).data.decode(errors="replace"))
        return ""

    since: defaultdict[_Cause, list[datetime]] = defaultdict(list)
    for pod in pods:
        cause = _cause_of(pod, namespace, read_log)
        if cause is not None:
            since[cause].append(pod.metadata.creation_timestamp)
    now = datetime.now(UTC)
    for event in events:
        last_at = event.last_timestamp or event.event_time
        if event.reason in EVENT_REASONS and last_at and now - last_at < EVENT_COUNTS_FOR:
            since[_missing(event.message or event.reason, namespace)].append(event.first_timestamp or last_at)
    if not since:
        running = sum(pod.status.phase == "Running" for pod in pods)
        yield Finding(PART, Health.OK, f"{running} pods run in the namespace {namespace}, and none is held up")
    for cause, times in since.items():
        minutes = (now - min(times)).total_seconds() / 60
        yield Finding(PART, cause.health, f"{cause.told} ({len(times)} for up to {minutes:.0f} min)", cause.remedy)


def _cause_of(pod: Any, namespace: str, read_log: _ReadLog) -> _Cause | None:
    """Why a pod does not run; None where it does, or has ended by itself."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.reason == "Unschedulable":
            return _no_node(pod, condition.message or "")
    for container in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
        cause = _cause_of_container(pod, container, namespace, read_log)
        if cause is not None:
            return cause
    return None


def _cause_of_container(pod: Any, container: Any, namespace: str, read_log: _ReadLog) -> _Cause | None:
    who, waiting = _who(pod), container.state.waiting
    ended = container.state.terminated or container.last_state.terminated
    reason = waiting.reason if waiting else None
    if reason in IMAGE_REASONS:
        return _Cause(container.image, f"the image {container.image} cannot be pulled", CHECK_IMAGE)
    if reason in CONFIG_REASONS:
        return _missing(waiting.message or reason, namespace)
    if ended and ended.reason == "OOMKilled":
        return _Cause(f"memory of {who}", f"{who} used more memory than its limit", MORE_MEMORY)
    if reason == "CrashLoopBackOff":
        name = pod.metadata.name
        told = f"{who} ends again and again, its last words: {read_log(name, container.name) or 'none'}"
        return _Cause(f"crashes of {who}", told, READ_LOG.format(namespace=namespace, pod=name))
    return None


def _no_node(pod: Any, message: str) -> _Cause:
    """A pod that waits for a node, which an autoscaler may be about to bring."""
    labels = [f"{name}={value}" for name, value in (pod.spec.node_selector or {}).items()]
    if any(GPU in ((c.resources and c.resources.limits) or {}) for c in pod.spec.containers):
        labels += [f"taint {GPU}", "a free GPU"]
    wanted = f" ({', '.join(labels)})" if labels else ""
    told = f"no node takes {_who(pod)}: {_short(message)}"
    return _Cause(f"node{wanted}", told, ADD_NODE.format(labels=wanted), Health.WARNING)


def _missing(message: str, namespace: str) -> _Cause:
    """A secret, config map or service account that is not there, or whatever else Kubernetes tells."""
    found = MISSING.search(message) or MISSING_KEY.search(message)
    if not found:
        return _Cause(message, _short(message), READ_EVENTS.format(namespace=namespace))
    kind, name = found[1].lower(), found[2]
    remedy = MAKE_SECRET.format(namespace=namespace, name=name) if kind == "secret" else APPLY
    return _Cause(f"{kind} {name}", _short(message), remedy)


def _who(pod: Any) -> str:
    """A stage, a part of ours, or a pod by its name."""
    labels = pod.metadata.labels or {}
    return str(labels.get("dagster/op") or labels.get("app.kubernetes.io/component") or pod.metadata.name)


def _words(error: Any) -> str:
    """What the API said, which comes as a Status document."""
    try:
        said = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        said = f"HTTP {error.status} {error.reason}"
    return _short(str(said))


def _short(text: str) -> str:
    return without_secrets(" ".join(text.split()))[-MESSAGE_CHARS:]
