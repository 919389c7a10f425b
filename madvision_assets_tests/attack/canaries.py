"""What nobody may reach: a server inside, files and variables with secrets; each tells when somebody did."""

import ctypes
import os
import secrets
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from madvision_assets_tests import footage

VARIABLES = ("AWS_SECRET_ACCESS_KEY", "MADVISION_INTERNAL_KEY")
BLOCK_BYTES = 1 << 20
# inotify(7): somebody opened or read the file.
IN_ACCESS, IN_OPEN, IN_NONBLOCK = 0x1, 0x20, 0o4000
EVENT = struct.Struct("iIII")


@dataclass(frozen=True)
class Touched:
    """What was touched since the last look.

    Attributes:
        connections: to the inside, each with where it led.
        opened: files that somebody opened.
    """

    connections: tuple[str, ...]
    opened: tuple[str, ...]


class Canaries:
    """Inside servers on loopback and secret files, while the context is open.

    Args:
        folder: of its own, for the files.
    """

    def __init__(self, folder: Path) -> None:
        self.secret = f"canary-{secrets.token_hex(16)}"
        self.folder = folder
        self._held = ExitStack()
        self._connections: list[str] = []

    def __enter__(self) -> Self:
        """Sets them up."""
        self.folder.mkdir(parents=True)
        self._files()
        self._watch = _Watch(self.folder)
        self._held.callback(self._watch.close)
        self.port = self._listen()
        for name in VARIABLES:
            before = os.environ.get(name)
            os.environ[name] = self.secret
            self._held.callback(_put_back, name, before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the servers and puts the variables back."""
        self._held.close()

    @property
    def url(self) -> str:
        """Of the inside server."""
        return f"http://127.0.0.1:{self.port}"

    def file(self, name: str) -> Path:
        """One of the secret files."""
        return self.folder / name

    def connected(self, where: str) -> None:
        """Somebody connects to the inside."""
        self._connections.append(where)

    def touched(self) -> Touched:
        """What was touched since the last look."""
        found, self._connections = tuple(self._connections), []
        return Touched(found, self._watch.opened())

    def shown_in(self, texts: Iterable[str], folders: Iterable[Path]) -> list[str]:
        """Where the secret can be read: in a text, or in a file below a folder."""
        wanted = self.secret.encode()
        places = [text[:80] for text in texts if self.secret in text]
        for folder in folders:
            files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
            places += [path.name for path in files if _holds(path, wanted)]
        return places

    def _files(self) -> None:
        footage.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2", "-metadata",
            f"title={self.secret}", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", self.file("secret.mp4"),
        )  # fmt: skip
        footage.ffmpeg("-i", self.file("secret.mp4"), "-c", "copy", self.file("secret.ts"))
        cue = f"1\n00:00:00,000 --> 00:00:02,000\n{self.secret}\n"
        for name, text in {
            "secret.txt": f"root:{self.secret}:0:0\n", "secret.srt": cue, "secret.env": f"KEY={self.secret}\n",
            "secret.key": self.secret[:16], "secret.ttf": self.secret, "secret.svg": f"<svg>{self.secret}</svg>",
        }.items():  # fmt: skip
            self.file(name).write_text(text)

    def _listen(self) -> int:
        """TCP by both families and UDP at one port; gives it."""
        seen, answer = self.connected, f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{self.secret}".encode()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                seen(f"{self.request.getsockname()[0]}")
                self.request.settimeout(1.0)
                with ExitStack() as passed_over:
                    passed_over.push(lambda kind, *_: kind is not None and issubclass(kind, OSError))
                    self.request.recv(65536)
                    self.request.sendall(answer)

        server = _Server(("127.0.0.1", 0), Handler)
        port = int(server.server_address[1])
        servers: list[socketserver.BaseServer] = [server]
        with ExitStack() as maybe:
            maybe.push(lambda kind, *_: kind is not None and issubclass(kind, OSError))  # there may be no IPv6
            servers.append(_Server6(("::1", port), Handler))
        for each in servers:
            thread = threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            self._held.callback(_stop, each, thread)
        datagrams = self._held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", port))
        threading.Thread(target=_hear, args=(datagrams, seen), daemon=True).start()
        return port


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64
    daemon_threads = True
    allow_reuse_address = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Watch:
    """Who opens the files of a folder, by the kernel's word."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(IN_NONBLOCK)
        if self._handle < 0 or self._libc.inotify_add_watch(self._handle, os.fsencode(folder), IN_OPEN | IN_ACCESS) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def opened(self) -> tuple[str, ...]:
        """Files that were opened since the last look; the folder itself does not count."""
        names: dict[str, None] = {}
        while True:
            try:
                data = os.read(self._handle, 65536)
            except BlockingIOError:
                return tuple(names)
            at = 0
            while at < len(data):
                _, _, _, length = EVENT.unpack_from(data, at)
                name = data[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0").decode()
                at += EVENT.size + length
                if name:
                    names[name] = None

    def close(self) -> None:
        """Stops looking."""
        os.close(self._handle)


def _hear(datagrams: socket.socket, seen: Callable[[str], None]) -> None:
    while True:
        try:
            datagrams.recv(2048)
        except OSError:
            return
        seen("a datagram")


def _stop(server: socketserver.BaseServer, thread: threading.Thread) -> None:
    server.shutdown()
    thread.join()
    server.server_close()


def _put_back(name: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = before


def _holds(path: Path, wanted: bytes) -> bool:
    """Whether a file holds these bytes, read in blocks."""
    tail = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if wanted in tail + block:
                return True
            tail = block[-len(wanted) :]
    return False
