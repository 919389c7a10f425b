"""Servers in processes of their own, and a client that costs little beside them."""

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from system import free_port, launch, listens, local_environment, python, stop, wait_until

JSON_BODY = {"Content-Type": "application/json"}


@contextmanager
def serving(name: str, arguments: Sequence[str], environment: Mapping[str, str], home: Path) -> Iterator[int]:
    """A server of ours or of the peer, from start to stop; its port, which is its last argument.

    Raises:
        RuntimeError: it did not start; with the end of its log.
    """
    port = free_port(0)
    part = launch(name, python(*arguments, str(port)), environment, home / "logs")
    try:
        wait_until(partial(listens, port), "its port", part)
        yield port
    finally:
        stop(part)


@contextmanager
def intake(database_url: str, home: Path) -> Iterator[int]:
    """`madvision serve`, without a limit of requests; its port."""
    ours = {"MADVISION_DATABASE_URL": database_url, "MADVISION_REQUESTS_PER_MINUTE": "0"}
    environment = {**local_environment(home), **ours}
    with serving("intake", ["-m", "madvision_assets.command.main", "serve", "--port"], environment, home) as port:
        yield port


class Client:
    """One connection, kept alive; use it as ``with closing(Client(port))``."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def post(self, path: str, asked: Mapping[str, Any]) -> float:
        """Post JSON that is accepted; seconds that it took."""
        return self._take("POST", path, 202, json.dumps(asked).encode(), JSON_BODY)

    def get(self, path: str, token: str) -> float:
        """Get what is there, with a token; seconds that it took."""
        return self._take("GET", path, 200, None, {"Authorization": f"Bearer {token}"})

    def _take(self, method: str, path: str, expected: int, body: bytes | None, headers: dict[str, str]) -> float:
        started_s = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        taken_s = time.perf_counter() - started_s
        if answer.status != expected:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return taken_s


def connected(port: int) -> closing[Client]:
    """A client, for as long as it is used."""
    return closing(Client(port))
