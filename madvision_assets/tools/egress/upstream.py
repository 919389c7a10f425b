"""The way through another proxy, which an operator gave: a tunnel to the very address that was vetted."""

import base64
import socket
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

CONNECT_TIMEOUT_S = 15.0
MAX_HEAD_BYTES = 16 * 1024
DEFAULT_PORT = 8080
SERVER_ERROR = 500


class UpstreamError(OSError):
    """The operator's proxy is not there, or does not let us through; its address is not told."""


def through(upstream: str) -> Callable[[str, int], socket.socket]:
    """What opens connections through a proxy.

    Args:
        upstream: ``http://[user:password@]host[:port]``.
    """
    parts = urlsplit(upstream)
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    login = f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n" if parts.username else ""

    def connect(address: str, port: int) -> socket.socket:
        try:
            connection = socket.create_connection((parts.hostname, parts.port or DEFAULT_PORT), CONNECT_TIMEOUT_S)
        except OSError as error:
            raise UpstreamError("the proxy for this site cannot be reached") from error
        try:
            target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode())
            status = _status(connection)
        except BaseException:
            connection.close()
            raise
        if status == HTTPStatus.OK:
            return connection
        connection.close()
        if status >= SERVER_ERROR:
            raise ConnectionError  # it could not reach the host
        raise UpstreamError(f"the proxy for this site answers {status}")

    return connect


def _status(connection: socket.socket) -> int:
    """Status of the answer; nothing comes after its head before we speak."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(4096)
        if not more or len(head) > MAX_HEAD_BYTES:
            raise UpstreamError("the proxy for this site gives no answer")
        head += more
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - version and status
        raise UpstreamError("the proxy for this site gives no answer")
    return int(words[1])
