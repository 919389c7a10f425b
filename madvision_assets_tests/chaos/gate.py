"""A TCP gate on loopback in front of a server: it can be shut, cut what passes, hold it back, or answer in its place.

with Gate(server_port) as gate:
    gate.mode = Mode.CUT
    ...
    gate.mode = Mode.OPEN
"""

import contextlib
import socket
import struct
import threading
from enum import StrEnum
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024
CUT_AFTER_BYTES = 20_000
SLOW_S = 3.0
POLL_S = 0.05
PATIENCE_S = 10.0
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# Closing with this sends a reset: nobody takes it for the end of an answer.
LINGER_NOT = struct.pack("ii", 1, 0)


class Mode(StrEnum):
    """What becomes of connections."""

    OPEN = "open"
    AWAY = "away"  # refused, and those that are open are reset
    REFUSES = "503"  # answered with it, without asking the server
    CUT = "cut"  # reset after so many bytes in either direction
    SLOW = "slow"  # passed on late
    HANGS = "hangs"  # taken, and never answered


class Gate:
    """Passes connections on to a port of this machine while its context is open.

    Args:
        to_port: the server's.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._mode = Mode.OPEN
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._closing = False
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        """Starts passing on."""
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends every connection."""
        self._closing = True
        self.mode = Mode.AWAY

    @property
    def url(self) -> str:
        """For clients that speak HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mode(self) -> Mode:
        """What becomes of connections just now."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode
            self._changed.set()
            self._changed = threading.Event()
            if mode is not Mode.OPEN and mode is not Mode.SLOW:
                for each in list(self._open):
                    _reset(each)
            if mode is Mode.AWAY and self._listener is not None:
                _reset(self._listener)
                self._listener = None
            elif mode is not Mode.AWAY and self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
            mode, changed = self._mode, self._changed
        try:
            with contextlib.suppress(OSError):
                if mode is Mode.HANGS:
                    changed.wait()
                elif mode is Mode.REFUSES:
                    _refuse(client)
                else:
                    self._pass(client, mode, changed)
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _pass(self, client: socket.socket, mode: Mode, changed: threading.Event) -> None:
        if mode is Mode.SLOW:
            changed.wait(SLOW_S)
        with socket.create_connection(("127.0.0.1", self._to_port), timeout=PATIENCE_S) as server:
            server.settimeout(None)
            budget = _Budget(CUT_AFTER_BYTES if mode is Mode.CUT else None)
            back = threading.Thread(target=_relay, args=(server, client, budget), daemon=True)
            back.start()
            _relay(client, server, budget)
            back.join()


class _Budget:
    """So many bytes may pass; None for any number."""

    def __init__(self, left: int | None) -> None:
        self._left = left
        self._lock = threading.Lock()

    def spend(self, count: int) -> int:
        """How many of so many may pass."""
        with self._lock:
            if self._left is None:
                return count
            passing = min(count, self._left)
            self._left -= passing
            return passing


def _relay(source: socket.socket, target: socket.socket, budget: _Budget) -> None:
    """One direction, to its end; over budget, the end of both."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            passing = budget.spend(len(data))
            target.sendall(data[:passing])
            if passing < len(data):
                _reset(source)
                _reset(target)
                return
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _refuse(client: socket.socket) -> None:
    """Read a request's head and the begin of its body, and answer 503."""
    client.settimeout(PATIENCE_S)
    head = b""
    while b"\r\n\r\n" not in head and (data := client.recv(CHUNK_BYTES)):
        head += data
    client.sendall(REFUSAL)
    client.shutdown(socket.SHUT_WR)
    with contextlib.suppress(TimeoutError):
        client.settimeout(1.0)
        while client.recv(CHUNK_BYTES):  # else what was not read makes a reset of it
            pass


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
    connection.close()
