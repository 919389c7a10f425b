"""The few lines of HTTP that the proxy reads and writes itself; bodies pass untouched."""

from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_HEAD_BYTES = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"
DEFAULT_HTTP_PORT = 80
FIRST_FINAL_STATUS = 200
# RFC 9110, 7.6.1: fields that concern one connection and are not passed on. We close every connection after one answer.
CONNECTION_FIELDS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"te",
        b"upgrade",
    }
)


@dataclass(frozen=True)
class ProxyRequest:
    """What a client asks of a proxy.

    Attributes:
        host: where to, without brackets.
        port: where to.
        head: what to send there before the rest; empty for a tunnel.
        tunnel: whether the client asked for one (CONNECT).
    """

    host: str
    port: int
    head: bytes = b""
    tunnel: bool = False


def has_no_host(head: bytes) -> bool:
    """Whether a request is what a server is asked (``GET /ping``), and not what a proxy is."""
    words = head.split(b" ", 2)
    return len(words) > 1 and words[1].startswith(b"/")


def parse_request(head: bytes) -> ProxyRequest:
    """The request that a head (with its empty line) stands for.

    Raises:
        ValueError: not a CONNECT, and not an absolute ``http://`` address.
    """
    line, *fields = head.removesuffix(END_OF_HEAD).split(b"\r\n")
    method, target, version = line.decode("ascii").split(" ")
    if method == "CONNECT":
        parts = urlsplit(f"//{target}")
        if not parts.hostname or parts.port is None:
            raise ValueError(target)
        return ProxyRequest(parts.hostname, parts.port, tunnel=True)
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(target)
    origin_form = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = f"Host: {parts.netloc.rpartition('@')[2]}"
    kept = [field for field in fields if _name(field) not in CONNECTION_FIELDS | {b"host"}]
    lines = [f"{method} {origin_form} {version}".encode(), host.encode(), *kept, b"Connection: close"]
    return ProxyRequest(parts.hostname, parts.port or DEFAULT_HTTP_PORT, b"\r\n".join(lines) + END_OF_HEAD)


class AnswerHead:
    """Makes an answer say that the connection closes after it, whatever the server says; the body passes unchanged."""

    def __init__(self) -> None:
        self._pending = b""
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Bytes to pass on for bytes that came.

        Raises:
            ValueError: no HTTP answer, or its head is too long.
        """
        if self.complete:
            return data
        self._pending += data
        passed = b""
        while not self.complete and END_OF_HEAD in self._pending:
            head, _, self._pending = self._pending.partition(END_OF_HEAD)
            passed += self._rewrite(head)
        if self.complete:
            rest, self._pending = self._pending, b""
            return passed + rest
        if len(self._pending) > MAX_HEAD_BYTES:
            raise ValueError("the head is too long")
        return passed

    def _rewrite(self, head: bytes) -> bytes:
        line, *fields = head.split(b"\r\n")
        status = int(line.split(b" ")[1]) if line.startswith(b"HTTP/1.") and b" " in line else 0
        if not status:
            raise ValueError("not HTTP/1")
        if status < FIRST_FINAL_STATUS:  # 100 Continue and the like: the answer itself is yet to come
            return head + END_OF_HEAD
        self.complete = True
        kept = [field for field in fields if _name(field) not in CONNECTION_FIELDS]
        return b"\r\n".join([line, *kept, b"Connection: close"]) + END_OF_HEAD


def own_answer(status: int, reason: str, *fields: str) -> bytes:
    """An answer of the proxy itself, without a body; the reason is in the status line, where every client shows it."""
    lines = [f"HTTP/1.1 {status} {reason}", *fields, "Content-Length: 0", "Connection: close"]
    return "\r\n".join(lines).encode() + END_OF_HEAD


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()
