"""A small filtering HTTP proxy on loopback: the only way out for a process that fetches what strangers ask for."""

import contextlib
import selectors
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from madvision_assets.domain import egress as words
from madvision_assets.domain.failures import HostUnresolvedError, RefusedAddressError
from madvision_assets.domain.networks import Network
from madvision_assets.tools.egress import messages
from madvision_assets.tools.egress.messages import AnswerHead, ProxyRequest
from madvision_assets.tools.egress.tokens import TokenProvider
from madvision_assets.tools.egress.upstream import UpstreamError, through
from madvision_assets.tools.egress.vetting import Resolve, resolve_host, vet

CONNECT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 60.0
CHUNK_BYTES = 256 * 1024
MAX_ADDRESSES_TRIED = 4
SHUTDOWN_S = 5.0

Connect = Callable[[str, int], socket.socket]


def connect_to(address: str, port: int) -> socket.socket:
    """A connection to an IP address.

    Raises:
        OSError: refused, unreachable, or not there within ``CONNECT_TIMEOUT_S``.
    """
    return socket.create_connection((address, port), timeout=CONNECT_TIMEOUT_S)


class EgressProxy:
    """Serves CONNECT tunnels and absolute ``http://`` requests to vetted addresses while its context is open.

    One thread for each connection, one request for each plain connection (answers carry ``Connection: close``), bodies
    streamed. Refusals answer 403 with ``X-MadVision-Refused``; hosts that do not resolve or answer get a 502.

    Args:
        allow_private: let private and loopback addresses through.
        resolve: turns host and port into addresses; asked once for each connection.
        connect: opens the connection to an address that was vetted.
        idle_timeout_s: a connection without a byte for so long is closed.
        refused: networks that are refused whatever is allowed.
        upstream: another proxy, through which the vetted addresses are reached; with its password, where it wants one.
        token_provider: the operator's, which is asked by requests without a host; ``http://HOST:PORT``.
    """

    def __init__(
        self,
        allow_private: bool,
        *,
        resolve: Resolve = resolve_host,
        connect: Connect = connect_to,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        refused: Sequence[Network] = (),
        upstream: str | None = None,
        token_provider: str | None = None,
    ) -> None:
        self.received_bytes = 0
        self.refusals: list[str] = []
        self.unresolved: list[str] = []
        self.upstream_troubles: list[str] = []
        self.token_troubles: list[str] = []
        self._tokens = TokenProvider(token_provider, upstream) if token_provider else None
        self._allow_private = allow_private
        self._refused = refused
        self._resolve = resolve
        self._connect = through(upstream) if upstream else connect
        self._idle_timeout_s = idle_timeout_s
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def url(self) -> str:
        """Address for the client's proxy setting."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        """Starts serving."""
        self._server = _Server(self._serve)
        self._acceptor = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="egress-proxy", daemon=True
        )
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops serving, closes every connection and waits for its thread, at most ``SHUTDOWN_S`` each."""
        self._server.shutdown()
        self._acceptor.join(SHUTDOWN_S)
        self._server.server_close()
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(SHUTDOWN_S)

    def _serve(self, client: socket.socket) -> None:
        """Serves one connection of a client, in its own thread."""
        threading.current_thread().name = "egress-connection"
        with self._lock:
            self._threads.add(threading.current_thread())
        try:
            with self._tracked(client), contextlib.suppress(OSError):
                self._answer(client)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _answer(self, client: socket.socket) -> None:
        try:
            head, rest = _read_head(client)
            if self._tokens and messages.has_no_host(head):
                client.sendall(self._ask(self._tokens, head, rest, client))
                return
            request = messages.parse_request(head)
        except ValueError:
            client.sendall(messages.own_answer(400, words.BAD_REQUEST))
            return
        upstream = self._reach(client, request)
        if upstream is None:
            return
        with upstream, self._tracked(upstream):
            if request.tunnel:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                upstream.sendall(rest)
                self._relay(client, upstream, _unchanged)
            else:
                upstream.sendall(request.head + rest)
                self._relay_answer(client, upstream)

    def _ask(self, provider: TokenProvider, head: bytes, rest: bytes, client: socket.socket) -> bytes:
        try:
            return provider.ask(head, rest, lambda: client.recv(CHUNK_BYTES))
        except OSError as error:
            self.token_troubles.append(f"the provider of tokens does not answer: {error}")
            return messages.own_answer(502, words.UNREACHABLE)

    def _reach(self, client: socket.socket, request: ProxyRequest) -> socket.socket | None:
        """A connection to where the request leads; without one, the client has been told why."""
        host = request.host
        try:
            addresses = vet(host, request.port, self._allow_private, refused=self._refused, resolve=self._resolve)
            return self._connect_first(addresses, request.port)
        except RefusedAddressError:
            self.refusals.append(host)
            client.sendall(messages.own_answer(403, words.REFUSED, "X-MadVision-Refused: non-public address"))
        except HostUnresolvedError:
            self.unresolved.append(host)
            client.sendall(messages.own_answer(502, words.UNRESOLVED))
        except OSError as error:
            if isinstance(error, UpstreamError):
                self.upstream_troubles.append(str(error))
            client.sendall(messages.own_answer(502, words.UNREACHABLE))
        return None

    def _connect_first(self, addresses: Sequence[str], port: int) -> socket.socket:
        """The first connection that works; the vetted addresses themselves, so nothing resolves twice."""
        problem = OSError("no address")
        for address in addresses[:MAX_ADDRESSES_TRIED]:
            try:
                return self._connect(address, port)
            except OSError as error:
                problem = error
        raise problem

    def _relay_answer(self, client: socket.socket, upstream: socket.socket) -> None:
        head = AnswerHead()
        with contextlib.suppress(ValueError):
            self._relay(client, upstream, head.feed)
        if not head.complete:
            client.sendall(messages.own_answer(502, words.BROKEN_ANSWER))

    def _relay(self, client: socket.socket, upstream: socket.socket, to_client: Callable[[bytes], bytes]) -> None:
        """Passes bytes both ways until one side ends or nothing comes for the idle timeout."""
        routes = {client: (upstream, _unchanged), upstream: (client, to_client)}
        for each in routes:
            each.settimeout(self._idle_timeout_s)
        with selectors.DefaultSelector() as selector:
            for each in routes:
                selector.register(each, selectors.EVENT_READ)
            while ready := selector.select(self._idle_timeout_s):
                for key, _ in ready:
                    source = key.fileobj
                    if not isinstance(source, socket.socket) or not (data := source.recv(CHUNK_BYTES)):
                        return
                    if source is upstream:
                        with self._lock:
                            self.received_bytes += len(data)
                    target, change = routes[source]
                    target.sendall(change(data))

    @contextlib.contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[None]:
        """Lets the shutdown end what still runs."""
        connection.settimeout(self._idle_timeout_s)
        with self._lock:
            if self._closed:  # accepted in the very moment of the shutdown
                raise ConnectionAbortedError
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)


class _Server(socketserver.ThreadingTCPServer):
    """Accepts connections on a free loopback port and gives each to ``serve`` in a thread of its own."""

    daemon_threads = True  # a name server that hangs must not keep the interpreter alive; we join them ourselves
    request_queue_size = 64

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Serves; the base class then closes the connection."""
        del client_address
        if isinstance(request, socket.socket):
            self._serve(request)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """Head of a request, with its empty line, and what came after it.

    Raises:
        ValueError: the head is too long, or the client left.
    """
    data = b""
    while messages.END_OF_HEAD not in data:
        more = client.recv(CHUNK_BYTES)
        if not more or len(data) > messages.MAX_HEAD_BYTES:
            raise ValueError("no head")
        data += more
    head, end, rest = data.partition(messages.END_OF_HEAD)
    return head + end, rest


def _unchanged(data: bytes) -> bytes:
    return data
