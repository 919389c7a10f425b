"""The scheduler: where each pod runs, by selectors, taints and what it requests, most important pods first.

Not here: affinity between pods, spreading, volumes, quotas.
"""

from collections import Counter
from collections.abc import Mapping

from madvision_assets_tests.cluster.deletion import delete
from madvision_assets_tests.cluster.events import record
from madvision_assets_tests.cluster.objects import FINISHED, Object, expression_holds, phase, quantity, with_condition
from madvision_assets_tests.cluster.pods import leaving
from madvision_assets_tests.cluster.store import Store

SOURCE = "default-scheduler"


def schedule(store: Store) -> None:
    """Bind every pod that fits somewhere; say of the others why they do not."""
    pods, nodes = store.select("Pod"), store.select("Node")
    free = {node["metadata"]["name"]: _free(node, pods) for node in nodes}
    waiting = [pod for pod in pods if not pod["spec"].get("nodeName") and not leaving(pod)]
    for pod in sorted(waiting, key=lambda pod: -pod["spec"].get("priority", 0)):
        wanted = requests(pod)
        reasons = {node["metadata"]["name"]: unsuitable(pod, node) for node in nodes}
        for name, reason in reasons.items():
            reasons[name] = reason or _lacks(wanted, free[name])
        fitting = [name for name, reason in reasons.items() if not reason]
        if fitting:
            node_name = max(fitting, key=lambda name: (free[name].get("cpu", 0), free[name].get("memory", 0)))
            _bind(store, pod, node_name)
            free[node_name] = _less(free[node_name], wanted)
        elif not _make_room(store, pod, nodes, pods):
            _explain(store, pod, [*reasons.values()])


def _make_room(store: Store, pod: Object, nodes: list[Object], pods: list[Object]) -> bool:
    """Take less important pods off a node where that lets a pod fit; true also while they are on their way out."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return False
    choices = [found for node in nodes if not unsuitable(pod, node) and (found := _victims(pod, node, pods))]
    if not choices:
        return False
    # The least important victims, and of those the fewest; who leaves already comes first, and costs nobody.
    victims = min(choices, key=lambda found: (max(map(_cost, found)), len(found)))
    for victim in victims:
        if not leaving(victim):
            message = f"Preempted by pod {pod['metadata']['name']} on node {victim['spec']['nodeName']}"
            conditions = with_condition(victim, "DisruptionTarget", "PreemptionByScheduler", message)
            store.patch(victim, {"status": {"conditions": conditions}})
            record(store, victim, "Preempted", message, source=SOURCE)
            delete(store, victim)
    return True


def _victims(pod: Object, node: Object, pods: list[Object]) -> list[Object]:
    """The pods that would have to leave a node for a pod to fit, the least important first; none if it never fits."""
    name, priority = node["metadata"]["name"], pod["spec"].get("priority", 0)
    there = [other for other in pods if other["spec"].get("nodeName") == name and phase(other) not in FINISHED]
    weaker = sorted((other for other in there if other["spec"].get("priority", 0) < priority), key=_cost)
    for count in range(1, len(weaker) + 1):
        gone = {victim["metadata"]["uid"] for victim in weaker[:count]}
        staying = [other for other in there if other["metadata"]["uid"] not in gone]
        if not _lacks(requests(pod), _free(node, staying)):
            return weaker[:count]
    return []


def _cost(pod: Object) -> float:
    """How bad it is to take a pod away."""
    return float("-inf") if leaving(pod) else float(pod["spec"].get("priority", 0))


def requests(pod: Object) -> dict[str, float]:
    """What a pod requests: its containers together, or its greediest init container."""
    spec = pod["spec"]
    total: Counter[str] = Counter({"pods": 1})
    for container in spec["containers"]:
        total.update(_requests(container))
    for container in spec.get("initContainers", []):
        for name, amount in _requests(container).items():
            total[name] = max(total[name], amount)  # type: ignore[assignment]
    return dict(total)


def unsuitable(pod: Object, node: Object) -> list[str]:
    """Why a pod may not run on a node, however empty it is; empty if it may."""
    if node["spec"].get("unschedulable"):
        return ["node(s) were unschedulable"]
    for taint in node["spec"].get("taints", []):
        if taint["effect"] != "PreferNoSchedule" and not _tolerates(pod, taint):
            return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
    return [] if _selects(pod, node) else ["node(s) didn't match Pod's node affinity/selector"]


def evict_untolerated(store: Store) -> None:
    """Take pods off nodes with a ``NoExecute`` taint that they do not tolerate."""
    nodes = {node["metadata"]["name"]: node for node in store.select("Node")}
    for pod in store.select("Pod"):
        node = nodes.get(pod["spec"].get("nodeName", ""), {"spec": {}})
        taints = [taint for taint in node["spec"].get("taints", []) if taint["effect"] == "NoExecute"]
        if not all(_tolerates(pod, taint) for taint in taints) and not leaving(pod):
            record(store, pod, "TaintManagerEviction", "Marking for deletion Pod", source="taint-eviction-controller")
            delete(store, pod)


def _requests(container: Object) -> dict[str, float]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}  # a limit is a request by default
    return {name: quantity(amount) for name, amount in asked.items()}


def _free(node: Object, pods: list[Object]) -> dict[str, float]:
    """What a node has left beside the pods that are bound to it and have not ended."""
    free = {name: quantity(amount) for name, amount in node["status"]["allocatable"].items()}
    for pod in pods:
        if pod["spec"].get("nodeName") == node["metadata"]["name"] and phase(pod) not in FINISHED:
            free = _less(free, requests(pod))
    return free


def _less(free: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    return {name: amount - wanted.get(name, 0) for name, amount in free.items()}


def _lacks(wanted: Mapping[str, float], free: Mapping[str, float]) -> list[str]:
    lacking = sorted(name for name, amount in wanted.items() if amount > free.get(name, 0) + 1e-9)
    return ["Too many pods" if name == "pods" else f"Insufficient {name}" for name in lacking]


def _tolerates(pod: Object, taint: Object) -> bool:
    for toleration in pod["spec"].get("tolerations", []):
        if toleration.get("effect") not in {None, "", taint["effect"]}:
            continue
        exists = toleration.get("operator") == "Exists"
        same_key = toleration.get("key") == taint["key"] or (exists and not toleration.get("key"))
        if same_key and (exists or toleration.get("value", "") == taint.get("value", "")):
            return True
    return False


def _selects(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    selector = pod["spec"].get("nodeSelector") or {}
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    return selector.items() <= labels.items() and (
        terms is None
        or any(all(expression_holds(rule, labels) for rule in term.get("matchExpressions", [])) for term in terms)
    )


def _bind(store: Store, pod: Object, node: str) -> None:
    conditions = with_condition(pod, "PodScheduled")
    store.patch(pod, {"spec": {"nodeName": node}, "status": {"conditions": conditions}})
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    record(store, pod, "Scheduled", f"Successfully assigned {name} to {node}", source=SOURCE)


def _explain(store: Store, pod: Object, reasons: list[list[str]]) -> None:
    counted = Counter(reason for of_node in reasons for reason in of_node)
    why = ", ".join(sorted(f"{count} {reason}" for reason, count in counted.items()))
    message = f"0/{len(reasons)} nodes are available: {why}." if reasons else "no nodes available to schedule pods"
    conditions = with_condition(pod, "PodScheduled", "Unschedulable", message, value=False)
    if conditions != pod.get("status", {}).get("conditions"):
        store.patch(pod, {"status": {"conditions": conditions}})
        record(store, pod, "FailedScheduling", message, source=SOURCE, warning=True)
