"""What etcd is to Kubernetes: every object, and every change in order, for those who watch."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from madvision_assets_tests.cluster.objects import (
    BY_NAME,
    Kind,
    Object,
    fields_match,
    labels_match,
    merge,
    now,
)


class ApiError(Exception):
    """What the API refuses, as its clients get it.

    Args:
        code: HTTP status.
        reason: Kubernetes' word for it, such as ``AlreadyExists``.
        message: for people.
    """

    def __init__(self, code: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    def status(self) -> Object:
        """The ``Status`` object that says so."""
        head = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure"}
        return {**head, "message": str(self), "reason": self.reason, "code": int(self.code)}


@dataclass(frozen=True)
class Change:
    """One change: what an object was before and is after; None where there was or is none."""

    kind: str
    before: Object | None
    after: Object | None


class Store:
    """Objects by kind, namespace and name; safe to use from many threads.

    Attributes:
        ever_pods: the last state of every pod that ever was, by UID.
    """

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._uids: set[str] = set()
        self._changes: list[Change] = []  # the change at index n made version n + 1
        self._changed = threading.Condition(threading.RLock())
        self.ever_pods: dict[str, Object] = {}

    @property
    def version(self) -> int:
        """How many changes there were; the newest resource version."""
        return len(self._changes)

    def wait(self, version: int, limit_s: float) -> int:
        """Wait until there is something newer than a version, or for so many seconds; the newest version."""
        with self._changed:
            self._changed.wait_for(lambda: self.version > version, limit_s)
            return self.version

    def changes(self, version: int) -> list[Change]:
        """Every change after a version."""
        return self._changes[version:]

    def notify(self) -> None:
        """Wake up those who wait, though nothing changed."""
        with self._changed:
            self._changed.notify_all()

    def exists(self, uid: str) -> bool:
        """Whether an object with this UID is there."""
        return uid in self._uids

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """An object, if it is there; the namespace of what has none is empty."""
        return self._objects.get((kind, namespace, name))

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """An object.

        Raises:
            ApiError: there is none.
        """
        if (found := self.find(kind, namespace, name)) is None:
            raise not_found(BY_NAME[kind], name)
        return found

    def select(self, kind: str, namespace: str = "", labels: str = "", fields: str = "") -> list[Object]:
        """The objects of a kind, oldest first, in one namespace or in all."""
        with self._changed:
            found = [item for key, item in self._objects.items() if key[0] == kind and namespace in {"", key[1]}]
        return [item for item in found if selected(item, labels, fields)]

    def everything(self) -> list[Object]:
        """Every object there is."""
        with self._changed:
            return [*self._objects.values()]

    def create(self, item: Object) -> Object:
        """Put a new object in.

        Raises:
            ApiError: one of its name is there.
        """
        key = _key(item)
        with self._changed:
            if key in self._objects:
                message = f'{BY_NAME[key[0]].qualified} "{key[2]}" already exists'
                raise ApiError(HTTPStatus.CONFLICT, "AlreadyExists", message)
            born = {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
            return self._write(None, merge(item, {"metadata": born}))

    def patch(self, item: Object, change: Object | Callable[[Object], Object]) -> Object | None:
        """Merge a change, or what a function makes of the object as it is now; None if the object is gone."""
        with self._changed:
            before = self._objects.get(_key(item))
            if before is None or before["metadata"]["uid"] != item["metadata"]["uid"]:
                return None
            return self.replace(before, merge(before, change(before) if callable(change) else change))

    def replace(self, before: Object, after: Object) -> Object:
        """Put an object in the place of another state of it; the same again is no change."""
        if after == before:
            return before
        with self._changed:
            if before.get("spec") != after.get("spec"):
                generation = before["metadata"].get("generation", 1) + 1
                after = merge(after, {"metadata": {"generation": generation}})
            return self._write(before, after)

    def remove(self, item: Object) -> None:
        """Take an object out; one that is gone already is fine."""
        with self._changed:
            before = self._objects.get(_key(item))
            if before is None or before["metadata"]["uid"] != item["metadata"]["uid"]:
                return
            del self._objects[_key(item)]
            self._uids.remove(before["metadata"]["uid"])
            self._changes.append(Change(before["kind"], before, None))
            if before["kind"] == "Pod":
                self.ever_pods[before["metadata"]["uid"]] = merge(
                    before, {"metadata": {"deletionTimestamp": before["metadata"].get("deletionTimestamp", now())}}
                )
            self._changed.notify_all()

    def _write(self, before: Object | None, after: Object) -> Object:
        after = merge(after, {"metadata": {"resourceVersion": str(self.version + 1)}})
        uid = after["metadata"]["uid"]
        self._objects[_key(after)] = after
        self._uids.add(uid)
        self._changes.append(Change(after["kind"], before, after))
        if after["kind"] == "Pod":
            self.ever_pods[uid] = after
        self._changed.notify_all()
        return after


def selected(item: Object, labels: str, fields: str) -> bool:
    """Whether an object is what selectors ask for."""
    return labels_match(labels, item["metadata"].get("labels") or {}) and fields_match(fields, item)


def not_found(kind: Kind, name: str) -> ApiError:
    """The error for what is not there."""
    return ApiError(HTTPStatus.NOT_FOUND, "NotFound", f'{kind.qualified} "{name}" not found')


def _key(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]
