"""The API server: Kubernetes' HTTP protocol over the store."""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from madvision_assets_tests.cluster.access import Access, Ask
from madvision_assets_tests.cluster.admission import VERSION, admit, check_update, validate
from madvision_assets_tests.cluster.deletion import delete
from madvision_assets_tests.cluster.objects import BY_PLURAL, KINDS, Kind, Object, merge
from madvision_assets_tests.cluster.pods import random_suffix
from madvision_assets_tests.cluster.store import ApiError, Change, Store, selected

CLIENT_TIMEOUT_S = 60.0
WATCH_LIMIT_S = 300.0
STEP_S = 0.1  # how soon an answer without end notices that the server closes
JSON = ("", "application/json")
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")

Logs = Callable[[Object, str, int | None, bool], Iterator[bytes]]


@dataclass(frozen=True)
class Target:
    """What an address names: objects of a kind, one of them, or a part of one."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


class Api:
    """The server.

    Args:
        store: the objects.
        access: who may do what.
        logs: reads a pod's log: the pod, the container, the last so many lines or None, whether to follow it.
    """

    def __init__(self, store: Store, access: Access, logs: Logs) -> None:
        self.store = store
        self.access = access
        self.logs = logs
        self.submitted_jobs: list[Object] = []
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="api")

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End every answer, and wait for its thread."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def create(self, target: Target, body: Object) -> Object:
        """Take a new object.

        Raises:
            ApiError: it is invalid or there already.
        """
        metadata = merge(body.get("metadata", {}), {"namespace": target.namespace or None})
        if not metadata.get("name") and (prefix := metadata.get("generateName")):
            metadata["name"] = prefix + random_suffix()
        item = {"apiVersion": target.kind.api_version, "kind": target.kind.name, **body, "metadata": metadata}
        validate(item)
        if target.kind.name == "Job":
            self.submitted_jobs.append(body)
        return self.store.create(admit(self.store, item))

    def change(self, target: Target, body: Object, *, whole: bool) -> Object:
        """Put an object in the place of another, or merge a patch into it.

        Raises:
            ApiError: it is not there, invalid, or cannot be changed like that.
        """
        before = self.store.get(target.kind.name, target.namespace, target.name)
        after = merge(before, body)
        if target.subresource == "status":
            after = {**before, "status": after.get("status", {})}
        elif whole:
            kept = {key: before["metadata"][key] for key in ("uid", "creationTimestamp", "generation")}
            after = {**body, "metadata": merge(body["metadata"], {"namespace": target.namespace or None, **kept})}
            after |= {"status": before["status"]} if "status" in before else {}
        validate(after)
        check_update(before, after)
        return self.store.replace(before, after)

    def delete(self, target: Target, options: Object) -> Object:
        """Delete an object; it as it was then, which for a pod may be on its way out."""
        item = self.store.get(target.kind.name, target.namespace, target.name)
        delete(
            self.store, item, grace_s=options.get("gracePeriodSeconds"), propagation=options.get("propagationPolicy")
        )
        return self.store.find(target.kind.name, target.namespace, target.name) or item

    def watch(self, target: Target, query: dict[str, str]) -> Iterator[bytes]:
        """Every change from a version on (without one: first what there is), as a line of JSON each."""
        selectors = query.get("labelSelector", ""), query.get("fieldSelector", "")
        version = int(query.get("resourceVersion") or 0)
        if not version:
            version = self.store.version
            for item in self.store.select(target.kind.name, target.namespace, *selectors):
                yield _line("ADDED", item)
        left = round(float(query.get("timeoutSeconds") or WATCH_LIMIT_S) / STEP_S)
        while left > 0 and not self.closing.is_set():
            changes = self.store.changes(version)
            version += len(changes)
            for change in changes:
                if change.kind == target.kind.name:
                    yield from _seen(change, target.namespace, *selectors)
            if self.store.wait(version, STEP_S) == version:
                left -= 1


def _seen(change: Change, namespace: str, labels: str, fields: str) -> Iterator[bytes]:
    """A change as those see it who watch a selection: what leaves the selection is deleted for them."""

    def matches(item: Object | None) -> bool:
        here = item is not None and namespace in {"", item["metadata"].get("namespace", "")}
        return here and item is not None and selected(item, labels, fields)

    was, is_now = matches(change.before), matches(change.after)
    item = change.after or change.before
    if item and (was or is_now):
        yield _line(("MODIFIED" if was else "ADDED") if is_now else "DELETED", item)


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _target(path: str) -> Target:
    """What a path names.

    Raises:
        ApiError: nothing that is known here.
    """
    steps = [unquote(step) for step in path.strip("/").split("/")]
    version, rest = ("v1", steps[2:]) if steps[0] == "api" else ("/".join(steps[1:3]), steps[3:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and (version, rest[2]) in BY_PLURAL:
        namespace, rest = rest[1], rest[2:]
    kind = BY_PLURAL.get((version, rest[0])) if rest else None
    if kind is None or steps[0] not in {"api", "apis"}:
        raise ApiError(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource")
    name, subresource = ([*rest[1:], "", ""])[:2]
    return Target(kind, namespace, name, subresource)


def _discovery(path: str) -> Object | None:
    """What the API says of itself at a path; None for any other path."""
    major, minor = VERSION.split(".")
    versions = sorted({kind.api_version for kind in KINDS if kind.group})
    groups = []
    for version in versions:
        entry = {"groupVersion": version, "version": version.rpartition("/")[2]}
        groups.append({"name": version.partition("/")[0], "versions": [entry], "preferredVersion": entry})
    answers: dict[str, Object] = {
        "/version": {"major": major, "minor": minor, "gitVersion": f"v{VERSION}.0", "platform": "linux/amd64"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }
    for version in ("v1", *versions):
        resources = [
            {"name": kind.plural, "singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name}
            | {"verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}
            for kind in KINDS
            if kind.api_version == version
        ]
        address = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answers[address] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    return answers.get(path.rstrip("/"))


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128

    def __init__(self, api: Api) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless it is only that a client left early, as killed ones do."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            try:
                self._answer()
            except ApiError as error:
                self._send(error.code, error.status())

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's naming

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        body = self._body()
        user = self.server.api.access.user(self.headers.get("Authorization", ""))
        if self.command == "GET" and (found := _discovery(url.path)):
            self._send(HTTPStatus.OK, found)
            return
        target = _target(url.path)
        verb = _verb(self.command, target, query)
        self.server.api.access.check(Ask(user, verb, target.kind, target.subresource, target.namespace, target.name))
        if verb == "watch":
            self._stream("application/json", self.server.api.watch(target, query))
        elif target.subresource == "log":
            self._log(target, query)
        else:
            self._send(*self._done(verb, target, query, body))

    def _done(self, verb: str, target: Target, query: dict[str, str], body: Object) -> tuple[HTTPStatus, Object]:
        api = self.server.api
        if verb == "create" and not target.name:
            return HTTPStatus.CREATED, api.create(target, body)
        if verb in {"update", "patch"}:
            return HTTPStatus.OK, api.change(target, body, whole=verb == "update")
        if verb == "delete":
            return HTTPStatus.OK, api.delete(target, {**_delete_options(query), **body})
        if verb == "get":
            return HTTPStatus.OK, api.store.get(target.kind.name, target.namespace, target.name)
        if verb == "list":
            selectors = query.get("labelSelector", ""), query.get("fieldSelector", "")
            head = {"kind": f"{target.kind.name}List", "apiVersion": target.kind.api_version}
            version = str(api.store.version)
            items = api.store.select(target.kind.name, target.namespace, *selectors)
            return HTTPStatus.OK, {**head, "metadata": {"resourceVersion": version}, "items": items}
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", "the server does not allow this method")

    def _log(self, target: Target, query: dict[str, str]) -> None:
        pod = self.server.api.store.get("Pod", target.namespace, target.name)
        tail = int(query["tailLines"]) if "tailLines" in query else None
        lines = self.server.api.logs(pod, query.get("container", ""), tail, _is_set(query, "follow"))
        self._stream("text/plain", lines)

    def _body(self) -> Object:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type", "")
        if sent and kind.partition(";")[0] not in (PATCHES if self.command == "PATCH" else JSON):
            message = f"the body of the request was in an unknown format: {kind}"
            raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
        try:
            body = json.loads(sent or b"{}")
        except ValueError as error:
            raise ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", f"not JSON: {error}") from error
        return body if isinstance(body, dict) else {}

    def _send(self, code: HTTPStatus, item: Object) -> None:
        sent = json.dumps(item).encode()
        self._head(code, "application/json", {"Content-Length": str(len(sent))})
        self.wfile.write(sent)

    def _stream(self, content_type: str, pieces: Iterator[bytes]) -> None:
        self._head(HTTPStatus.OK, content_type, {"Transfer-Encoding": "chunked"})
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, code: HTTPStatus, content_type: str, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": content_type, "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's naming
        """Nothing: events say what matters."""


def _verb(method: str, target: Target, query: dict[str, str]) -> str:
    """What Kubernetes' roles call a request."""
    if method == "GET" and not target.name:
        return "watch" if _is_set(query, "watch") else "list"
    if method == "DELETE" and not target.name:
        return "deletecollection"
    return {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]


def _is_set(query: dict[str, str], name: str) -> bool:
    return query.get(name, "").lower() in {"true", "1"}


def _delete_options(query: dict[str, str]) -> Object:
    grace = {"gracePeriodSeconds": int(query["gracePeriodSeconds"])} if "gracePeriodSeconds" in query else {}
    return grace | ({"propagationPolicy": query["propagationPolicy"]} if "propagationPolicy" in query else {})
