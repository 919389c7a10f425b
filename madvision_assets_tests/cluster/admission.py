"""What the API checks and fills in before it takes an object."""

from http import HTTPStatus
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]

from madvision_assets_tests.cluster.objects import BY_NAME, Object, merge
from madvision_assets_tests.cluster.store import ApiError, Store, not_found

VERSION = "1.32"
RECONCILED = ("Job", "Deployment", "DaemonSet")  # they have a status from the first moment on
IMMUTABLE = {"Job": ("template", "selector", "completions"), "Pod": ("nodeName", "nodeSelector")}


def validate(item: Object) -> None:
    """Refuse what Kubernetes' own schema, taken strictly, does not allow.

    Raises:
        ApiError: it names no kind that is known here, no name, or has a field that is wrong or unknown.
    """
    kind = BY_NAME.get(item.get("kind", ""))
    if kind is None or kind.api_version != item.get("apiVersion"):
        message = f'no matches for kind "{item.get("kind")}" in version "{item.get("apiVersion")}"'
        raise ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message)
    if not item.get("metadata", {}).get("name"):
        raise invalid(item, "metadata.name: Required value: name or generateName is required")
    try:
        kubernetes_validate.validate(item, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(map(str, error.path))
        raise invalid(item, f"{where}: Invalid value: {error.message}") from error


def admit(store: Store, item: Object) -> Object:
    """A valid new object with the API's defaults.

    Raises:
        ApiError: it names a namespace, a service account or a priority class that is not there.
    """
    kind, namespace = BY_NAME[item["kind"]], item["metadata"].get("namespace", "")
    if kind.namespaced and store.find("Namespace", "", namespace) is None:
        raise not_found(BY_NAME["Namespace"], namespace)
    if item["kind"] == "Pod":
        return _admit_pod(store, item)
    return {"status": {}, **item} if item["kind"] in RECONCILED else item


def check_update(before: Object, after: Object) -> None:
    """Refuse to change what cannot be changed, or what somebody else has changed since it was read.

    Raises:
        ApiError: 409 for another version, 422 for a field that cannot be changed.
    """
    kind, name = BY_NAME[before["kind"]], before["metadata"]["name"]
    if (
        after["metadata"].get("resourceVersion", before["metadata"]["resourceVersion"])
        != (before["metadata"]["resourceVersion"])
    ):
        message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": the object has been modified'
        raise ApiError(HTTPStatus.CONFLICT, "Conflict", message)
    for field in IMMUTABLE.get(before["kind"], ()):
        if before["spec"].get(field) != after["spec"].get(field):
            raise invalid(before, f"spec.{field}: Invalid value: field is immutable")


def invalid(item: Object, message: str) -> ApiError:
    """The error for an object that is not as it must be."""
    name = item.get("metadata", {}).get("name", "")
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", f'{item["kind"]} "{name}" is invalid: {message}')


def _admit_pod(store: Store, pod: Object) -> Object:
    spec, metadata = pod["spec"], pod["metadata"]
    defaults: dict[str, Any] = {
        "serviceAccountName": "default",
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "priority": 0,
    }
    spec = {**defaults, **spec}
    account = spec["serviceAccountName"]
    if store.find("ServiceAccount", metadata["namespace"], account) is None:
        raise _forbidden(pod, f'serviceaccount "{account}" not found')
    if name := spec.get("priorityClassName"):
        found = store.find("PriorityClass", "", name)
        if found is None:
            raise _forbidden(pod, f"no PriorityClass with name {name} was found")
        spec["priority"] = found["value"]
        spec["preemptionPolicy"] = found.get("preemptionPolicy", "PreemptLowerPriority")
    return merge({**pod, "spec": spec}, {"status": {"phase": "Pending"}})  # type: ignore[no-any-return]


def _forbidden(pod: Object, message: str) -> ApiError:
    return ApiError(HTTPStatus.FORBIDDEN, "Forbidden", f'pods "{pod["metadata"]["name"]}" is forbidden: {message}')
