"""The operator's provider of proof-of-origin tokens, which a child asks by what looks like the proxy itself.

Plugins that ask one go past every proxy, which a child cannot. So the proxy's own address is given them as the
provider's: a request without a host in it (``GET /ping``) is meant for the provider, and goes there as it stands.
"""

import http.client
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from madvision_assets.tools.egress.messages import END_OF_HEAD

TIMEOUT_S = 30.0  # a token takes seconds to make
MAX_BODY_BYTES = 4 << 20
PASSED_ON = ("accept", "content-type", "user-agent")
PROXY_FIELD = "proxy"


@dataclass(frozen=True)
class TokenProvider:
    """Asks the provider.

    Attributes:
        address: ``http://HOST:PORT`` or https.
        upstream: the proxy that it is to reach the site through; None for none. Ours is nothing to it.
    """

    address: str
    upstream: str | None = None

    def ask(self, head: bytes, rest: bytes, more: Callable[[], bytes]) -> bytes:
        """The whole answer to a request.

        Args:
            head: of the request, with its empty line.
            rest: what came after it.
            more: reads on; empty at the end.

        Raises:
            ValueError: no request that is passed on.
            OSError: the provider does not answer.
        """
        line, _, fields = head.partition(b"\r\n")
        method, target, _ = line.decode("ascii").split(" ")
        told = http.client.parse_headers(io.BytesIO(fields))
        body = self._body(_read(int(told.get("Content-Length") or 0), rest, more))
        parts = urlsplit(self.address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body or None, {name: told[name] for name in PASSED_ON if told[name]})
            answer = connection.getresponse()
            content = answer.read(MAX_BODY_BYTES)
        except http.client.HTTPException as error:
            raise OSError(repr(error)) from error
        finally:
            connection.close()
        lines = [
            f"HTTP/1.1 {answer.status} {answer.reason}",
            f"Content-Type: {answer.getheader('Content-Type', 'application/json')}",
            f"Content-Length: {len(content)}",
            "Connection: close",
        ]
        return "\r\n".join(lines).encode("latin-1") + END_OF_HEAD + content

    def _body(self, body: bytes) -> bytes:
        """With the operator's proxy in the place of ours, which only the child reaches."""
        try:
            said = json.loads(body)
        except ValueError:
            return body
        if not isinstance(said, dict) or not said.get(PROXY_FIELD):
            return body
        return json.dumps({**said, PROXY_FIELD: self.upstream}).encode()


def _read(size_bytes: int, rest: bytes, more: Callable[[], bytes]) -> bytes:
    if not 0 <= size_bytes <= MAX_BODY_BYTES:
        raise ValueError("too large")
    while len(rest) < size_bytes:
        data = more()
        if not data:
            raise ValueError("broken off")
        rest += data
    return rest[:size_bytes]
