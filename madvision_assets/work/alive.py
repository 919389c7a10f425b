"""Whether a part has done its work lately: how one asks it, and how one that serves nothing else answers.

Each part answers out of the very process that does its work, so that one that hangs gives no answer.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_LIMIT_S = 6.0
# What a code server calls itself to whoever asks for its health.
CODE_SERVICE = "DagsterApi"

# Says why a part does not work; None while it does.
Complaint = Callable[[], str | None]


class Part(StrEnum):
    """The parts that can be asked."""

    CODE_SERVER = "code-server"
    DAEMON = "daemon"
    WEBSERVER = "webserver"
    INTAKE = "intake"
    CONSUMER = "consumer"


# The webserver's is a query of its API, the others' touch what they work with.
PATHS = {
    Part.DAEMON: "/",
    Part.WEBSERVER: "/graphql?query=%7Bversion%7D",
    Part.INTAKE: "/healthz",
    Part.CONSUMER: "/",
}


def complaint_of(part: Part, host: str, port: int) -> str | None:
    """Ask a part; what is the matter with it, or None."""
    if part is Part.CODE_SERVER:
        return _ask_code_server(host, port)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_LIMIT_S)
    try:
        connection.request("GET", PATHS[part])
        answer = connection.getresponse()
        told = answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"gives no answer ({type(error).__name__})"
    finally:
        connection.close()
    return None if answer.status == HTTPStatus.OK else f"answers {answer.status}: {told}"


def _ask_code_server(host: str, port: int) -> str | None:
    """It is answered by one of the threads that sensors and launches run in: where all of them hang, nobody answers."""
    import grpc  # type: ignore[import-untyped]  # the intake's image goes without it
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse  # type: ignore[import-untyped]
    from grpc_health.v1.health_pb2_grpc import HealthStub  # type: ignore[import-untyped]

    try:
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            answer = HealthStub(channel).Check(HealthCheckRequest(service=CODE_SERVICE), timeout=ANSWER_LIMIT_S)
    except grpc.RpcError as error:
        return f"gives no answer ({error.code().name})"
    return None if answer.status == HealthCheckResponse.SERVING else "says that it does not serve"


@contextmanager
def answering(complaint: Complaint, host: str, port: int | None) -> Iterator[None]:
    """Answer whoever asks over HTTP, at any path: 200, or 503 with what is the matter; without a port, nobody."""
    if port is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wrong = complaint()
            body = (wrong or "alive").encode()
            self.send_response(HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: it is asked every few seconds."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
