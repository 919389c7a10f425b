"""Pods that controllers make from templates."""

import secrets
import string

from madvision_assets_tests.cluster.admission import admit
from madvision_assets_tests.cluster.deletion import owned_by
from madvision_assets_tests.cluster.events import record
from madvision_assets_tests.cluster.objects import Object
from madvision_assets_tests.cluster.store import ApiError, Store

NAME_LIMIT = 63
SUFFIX_LENGTH = 5


def random_suffix() -> str:
    """What makes a generated name unique."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(SUFFIX_LENGTH))


def create_pod(store: Store, owner: Object, labels: dict[str, str], node: str = "") -> None:
    """Make a pod from its owner's template, or note on the owner why the API refuses it.

    Args:
        store: where it goes.
        owner: a Job, Deployment or DaemonSet.
        labels: beside the template's.
        node: where it runs, if that is not the scheduler's to say.
    """
    template, kind, metadata = owner["spec"]["template"], owner["kind"], owner["metadata"]
    source = f"{kind.lower()}-controller"
    reference = {"apiVersion": owner["apiVersion"], "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template.get("metadata", {}),
            "name": f"{metadata['name'][: NAME_LIMIT - SUFFIX_LENGTH - 1]}-{random_suffix()}",
            "namespace": metadata["namespace"],
            "labels": {**(template.get("metadata", {}).get("labels") or {}), **labels},
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {**template["spec"], **({"nodeName": node} if node else {})},
    }
    try:
        made = store.create(admit(store, pod))
    except ApiError as error:
        record(store, owner, "FailedCreate", f"Error creating: {error}", source=source, warning=True)
        return
    record(store, owner, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", source=source)


def pods_of(store: Store, owner: Object) -> list[Object]:
    """The pods of an owner that are there, those on their way out included."""
    return owned_by(owner, store.select("Pod", owner["metadata"]["namespace"]))


def leaving(pod: Object) -> bool:
    """Whether a pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]
