"""Kubernetes' objects as plain dicts: their kinds, selectors, quantities, patches and conditions.

An object is never changed in place; a change makes a new one, so that readers in other threads need no copy.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

QUANTITY_SUFFIXES = {
    "": 1.0,
    "m": 1e-3,
    **{suffix: 1e3**power for power, suffix in enumerate(("k", "M", "G", "T"), start=1)},
    **{suffix: 1024.0**power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)},
}
FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Kind:
    """A kind of object and where the API has it.

    Attributes:
        name: such as ``Job``.
        api_version: such as ``batch/v1``.
        plural: as in addresses, such as ``jobs``.
        namespaced: whether its objects belong to a namespace.
    """

    name: str
    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def qualified(self) -> str:
        """The plural with its group, as messages name it: ``jobs.batch``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str, name: str = "") -> str:
        """Address of its objects in a namespace, or of one of them."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{within}/{self.plural}" + (f"/{name}" if name else "")


KINDS = (
    Kind("Namespace", "v1", "namespaces", namespaced=False),
    Kind("Node", "v1", "nodes", namespaced=False),
    Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False),
    Kind("Pod", "v1", "pods"),
    Kind("Service", "v1", "services"),
    Kind("ConfigMap", "v1", "configmaps"),
    Kind("Secret", "v1", "secrets"),
    Kind("ServiceAccount", "v1", "serviceaccounts"),
    Kind("Event", "v1", "events"),
    Kind("ResourceQuota", "v1", "resourcequotas"),
    Kind("LimitRange", "v1", "limitranges"),
    Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    Kind("Deployment", "apps/v1", "deployments"),
    Kind("DaemonSet", "apps/v1", "daemonsets"),
    Kind("StatefulSet", "apps/v1", "statefulsets"),
    Kind("Job", "batch/v1", "jobs"),
    Kind("CronJob", "batch/v1", "cronjobs"),
    Kind("Ingress", "networking.k8s.io/v1", "ingresses"),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles"),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
    Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False),
    Kind("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    Kind("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", namespaced=False),
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_PLURAL = {(kind.api_version, kind.plural): kind for kind in KINDS}


@dataclass(frozen=True)
class Taint:
    """What keeps pods off a node that do not tolerate it."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    Attributes:
        name: unique.
        labels: what pods select it by; its host name is added.
        taints: what keeps pods off.
        cpu: what its pods may request together, as Kubernetes writes quantities.
        memory: likewise.
        disk: likewise, for what is written into containers.
        gpus: how many ``nvidia.com/gpu`` it has.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: list[Taint] = field(default_factory=list)
    cpu: str = "8"
    memory: str = "32Gi"
    disk: str = "200Gi"
    gpus: int = 0

    def manifest(self) -> Object:
        """It as an object of the API."""
        resources = {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.disk, "pods": "110"}
        if self.gpus:
            resources["nvidia.com/gpu"] = str(self.gpus)
        taints = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in self.taints]
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": {"kubernetes.io/hostname": self.name, **self.labels}},
            "spec": {"taints": taints},
            "status": {"capacity": resources, "allocatable": resources, "conditions": [ready]},
        }


def now() -> str:
    """The time as the API writes it (with microseconds, which Kubernetes has for some fields only)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def age_s(time: str) -> float:
    """Seconds since such a time."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


def quantity(text: str | float) -> float:
    """A quantity such as ``250m`` or ``8Gi`` as a number.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    if not match or match[2] not in QUANTITY_SUFFIXES:
        raise ValueError(f"not a quantity: {text}")
    return float(match[1]) * QUANTITY_SUFFIXES[match[2]]


def merge(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386) applied: null removes, lists are replaced whole."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def phase(pod: Object) -> str:
    """Where a pod is in its life."""
    return str(pod.get("status", {}).get("phase", "Pending"))


def condition(item: Object, name: str) -> Object | None:
    """A condition of its status; None where it has none of that type."""
    return next((found for found in item.get("status", {}).get("conditions", []) if found["type"] == name), None)


def holds(item: Object, name: str) -> bool:
    """Whether a condition of its status is true."""
    found = condition(item, name)
    return found is not None and found["status"] == "True"


def with_condition(item: Object, name: str, reason: str = "", message: str = "", *, value: bool = True) -> list[Object]:
    """Its conditions with this one set; its time changes only with its status."""
    old = condition(item, name) or {}
    new = {"type": name, "status": str(value)}
    new |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
    same = old.get("status") == new["status"]
    new["lastTransitionTime"] = old["lastTransitionTime"] if same else now()
    others = [found for found in item.get("status", {}).get("conditions", []) if found["type"] != name]
    return sorted([*others, new], key=lambda found: str(found["type"]))


def labels_match(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels are what a selector such as ``a=b,c in (d,e),!f`` asks for."""
    return all(expression_holds(_expression(term), labels) for term in re.split(r",(?![^(]*\))", selector) if term)


def _expression(term: str) -> Object:
    if among := re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*", term):
        values = [value.strip() for value in among[3].split(",")]
        return {"key": among[1], "operator": "In" if among[2] == "in" else "NotIn", "values": values}
    if compared := re.fullmatch(r"\s*([^!=\s]+)\s*(==|=|!=)\s*(\S*)\s*", term):
        return {"key": compared[1], "operator": "NotIn" if compared[2] == "!=" else "In", "values": [compared[3]]}
    name = term.strip()
    return {"key": name.removeprefix("!"), "operator": "DoesNotExist" if name.startswith("!") else "Exists"}


def expression_holds(expression: Object, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy one of ``matchExpressions``.

    Raises:
        ValueError: its operator is not known here.
    """
    value, values = labels.get(expression["key"]), expression.get("values", [])
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"unknown operator: {expression['operator']}")


def fields_match(selector: str, item: Object) -> bool:
    """Whether fields are what a selector such as ``metadata.name=a,status.phase!=Failed`` asks for."""
    return all(_field_matches(term, item) for term in selector.split(",") if term)


def _field_matches(term: str, item: Object) -> bool:
    path, operator, wanted = re.split(r"(!=|==|=)", term, maxsplit=1)
    value: Any = item
    for step in path.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    return (str(value) == wanted) == (operator != "!=")
