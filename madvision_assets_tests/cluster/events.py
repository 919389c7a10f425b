"""Events: what `kubectl describe` shows below an object."""

import hashlib

from madvision_assets_tests.cluster.objects import Object, age_s, now
from madvision_assets_tests.cluster.store import Store

AGAIN_AFTER_S = 1.0  # the same again within this time is not counted


def record(store: Store, about: Object, reason: str, message: str, *, source: str, warning: bool = False) -> None:
    """Note that something happened to an object, or that it happened again."""
    metadata = about["metadata"]
    same = hashlib.sha256(f"{metadata['uid']} {reason} {message}".encode()).hexdigest()[:16]
    namespace = metadata.get("namespace", "default")
    name = f"{metadata['name']}.{same}"
    if old := store.find("Event", namespace, name):
        if age_s(old["lastTimestamp"]) > AGAIN_AFTER_S:
            store.patch(old, {"count": old["count"] + 1, "lastTimestamp": now()})
        return
    store.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "namespace": namespace,
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
    )
