"""How objects go: grace for pods, propagation to what they own, and collection of what nobody owns."""

from collections.abc import Iterable

from madvision_assets_tests.cluster.objects import BY_NAME, FINISHED, Object, now, phase
from madvision_assets_tests.cluster.store import Store

FOREGROUND = "foregroundDeletion"


def delete(store: Store, item: Object, *, grace_s: int | None = None, propagation: str | None = None) -> None:
    """Delete an object as the API does.

    Args:
        store: where it is.
        item: the object.
        grace_s: for a pod that runs: seconds from SIGTERM to SIGKILL, its own unless given; 0 takes it out at once.
        propagation: ``Background``, ``Foreground`` or ``Orphan``; for Jobs the API's default is Orphan, which is why
            Dagster deletes the pods of its Jobs itself.
    """
    policy = propagation or ("Orphan" if item["kind"] == "Job" else "Background")
    if policy == "Orphan":
        _orphan(store, item)
    if item["kind"] == "Pod" and item["spec"].get("nodeName") and phase(item) not in FINISHED and grace_s != 0:
        grace_s = item["spec"].get("terminationGracePeriodSeconds", 30) if grace_s is None else grace_s
        leaving = {"deletionGracePeriodSeconds": grace_s, "deletionTimestamp": _leaving_since(item)}
        store.patch(item, {"metadata": leaving})
    elif policy == "Foreground":
        store.patch(item, {"metadata": {"finalizers": [FOREGROUND], "deletionTimestamp": _leaving_since(item)}})
    else:
        store.remove(item)


def collect_garbage(store: Store) -> None:
    """Delete what lost its owners or its namespace, and what waited for its dependents to go."""
    everything = store.everything()
    for item in everything:
        metadata = item["metadata"]
        owners = metadata.get("ownerReferences", [])
        namespace = metadata.get("namespace", "")
        orphaned = owners and not any(store.exists(owner["uid"]) for owner in owners)
        homeless = BY_NAME[item["kind"]].namespaced and store.find("Namespace", "", namespace) is None
        if (orphaned or homeless) and "deletionTimestamp" not in metadata:
            delete(store, item, propagation="Background")
        elif FOREGROUND in metadata.get("finalizers", []):
            _finish_foreground(store, item, everything)


def owned_by(owner: Object, items: Iterable[Object]) -> list[Object]:
    """Those that an object owns."""
    uid = owner["metadata"]["uid"]
    return [item for item in items if uid in (ref["uid"] for ref in item["metadata"].get("ownerReferences", []))]


def _finish_foreground(store: Store, owner: Object, everything: list[Object]) -> None:
    dependents = [item for item in owned_by(owner, everything) if store.exists(item["metadata"]["uid"])]
    for item in dependents:
        if "deletionTimestamp" not in item["metadata"]:
            delete(store, item, propagation="Foreground" if item["kind"] != "Pod" else None)
    if not dependents:
        store.remove(owner)


def _orphan(store: Store, owner: Object) -> None:
    for item in owned_by(owner, store.everything()):
        others = [ref for ref in item["metadata"]["ownerReferences"] if ref["uid"] != owner["metadata"]["uid"]]
        store.patch(item, {"metadata": {"ownerReferences": others}})


def _leaving_since(item: Object) -> str:
    return str(item["metadata"].get("deletionTimestamp") or now())
