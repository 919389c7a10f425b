"""A real web site on loopback for tests: files with ranges, pages, redirects, playlists, and the ways sites break.

with Site() as site:
    address = site.serve("/talk.mp4", data, content_type="video/mp4", cut_after_bytes=1000, cuts=1)
    ...
    assert site.hits("/talk.mp4")[-1].range_start == 1000
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

CHUNK_BYTES = 64 * 1024
CLIENT_TIMEOUT_S = 10.0


@dataclass
class Page:
    """What a path answers.

    Attributes:
        body: its bytes; a list of chunks is sent one after the other, so that one large block can stand for many.
        status: HTTP status; 200 becomes 206 where a range was asked for.
        headers: sent with it.
        cut_after_bytes: the connection is cut after so many bytes of an answer that promised more.
        cuts: how many answers are cut; None for every one.
        bytes_per_s: sent at about this speed; None for full speed.
        reason: the words beside the status; None for the usual ones.
        framing: how its end is known: ``length``, ``chunked``, or ``close``, by which a cut looks like the end.
        ranges: whether it gives a part where a part is asked for.
        extra_bytes: so many more are promised than there are.
        answers: how many it gives before its address has expired (403); None for every one.
    """

    body: bytes | Sequence[bytes] = b""
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after_bytes: int | None = None
    cuts: int | None = None
    bytes_per_s: int | None = None
    reason: str | None = None
    framing: Literal["length", "chunked", "close"] = "length"
    ranges: bool = True
    extra_bytes: int = 0
    answers: int | None = None


NOTHING_HERE = Page(b"nothing here", HTTPStatus.NOT_FOUND)
EXPIRED = Page(b"expired", HTTPStatus.FORBIDDEN)


@dataclass
class Hit:
    """One request.

    Attributes:
        path: with its query.
        method: such as ``GET``.
        headers: as they came, names in lower case.
        range_start: first byte that was asked for; None without a range.
        body: what the request carried.
        sent_bytes: of the answer's body.
        status: of the answer, but for what a range makes of it.
        at_s: when it came, by the monotonic clock.
    """

    path: str
    method: str
    headers: Mapping[str, str]
    range_start: int | None
    body: bytes = b""
    sent_bytes: int = 0
    status: int = HTTPStatus.OK
    at_s: float = field(default_factory=time.monotonic)


class Site:
    """Serves its pages from a free loopback port while its context is open; unknown paths answer 404."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._hits: list[Hit] = []
        self._failing: dict[str | None, list[Page]] = {}
        self._closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        """Starts serving."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends every answer and waits for its thread."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def url(self, path: str) -> str:
        """Address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def add(self, path: str, page: Page) -> str:
        """Puts a page at a path (its query included) and returns its address."""
        self._pages[path] = page
        return self.url(path)

    def serve(
        self,
        path: str,
        body: bytes | Sequence[bytes],
        *,
        content_type: str = "application/octet-stream",
        cut_after_bytes: int | None = None,
        cuts: int | None = None,
        bytes_per_s: int | None = None,
    ) -> str:
        """Puts a file at a path; see ``Page`` for the ways in which it can break."""
        headers = {"Content-Type": content_type}
        return self.add(path, Page(body, HTTPStatus.OK, headers, cut_after_bytes, cuts, bytes_per_s))

    def fail(self, path: str, status: int, *, reason: str | None = None, **headers: str) -> str:
        """Makes a path answer with an error, in words of its own; ``Retry_After="7"`` adds a header."""
        return self.add(path, replace(_sorry(status, headers), reason=reason))

    def fail_first(self, count: int, status: int, *, path: str | None = None, **headers: str) -> None:
        """Makes the next so many requests fail, at a path or anywhere, before its pages answer."""
        self._failing[path] = [_sorry(status, headers)] * count

    def redirect(self, path: str, to: str) -> str:
        """Makes a path lead elsewhere."""
        return self.add(path, Page(b"", HTTPStatus.FOUND, {"Location": to}))

    def html(self, path: str, *, title: str = "A page", videos: Sequence[str] = (), head: str = "") -> str:
        """A page that embeds these videos, by their addresses; ``head`` is added to its head as it is."""
        embedded = "".join(f'<video src="{escape(video)}"></video>' for video in videos)
        page = f"<!DOCTYPE html><html><head><title>{escape(title)}</title>{head}</head><body>{embedded}</body></html>"
        return self.serve(path, page.encode(), content_type="text/html; charset=utf-8")

    def hls(
        self, path: str, segments: Sequence[str], *, segment_s: float = 2.0, ended: bool = True, key: str | None = None
    ) -> str:
        """An HLS media playlist of these segment addresses; one that has not ended is a live stream.

        With the address of a ``key`` they are encrypted by AES-128, each with its number as the first block.
        """
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{segment_s:.0f}", "#EXT-X-MEDIA-SEQUENCE:0"]
        lines += [f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"'] if key else []
        for segment in segments:
            lines += [f"#EXTINF:{segment_s:.3f},", segment]
        if ended:
            lines.append("#EXT-X-ENDLIST")
        return self.serve(path, "\n".join(lines).encode(), content_type="application/vnd.apple.mpegurl")

    def hits(self, path: str) -> list[Hit]:
        """The requests for a path, in order."""
        return [hit for hit in self._hits if hit.path == path]

    def answer(self, request: "_Handler") -> None:
        """Answers one request of the server's."""
        page = self._take_failure(request.path) or self._pages.get(request.path) or NOTHING_HERE
        hit = Hit(
            request.path, request.command, _headers(request), _range_start(request), _body(request), status=page.status
        )
        self._hits.append(hit)
        if page.answers == 0:
            page = EXPIRED
        elif page.answers is not None and request.command == "GET":
            page.answers -= 1
        size = len(page.body) if isinstance(page.body, bytes) else sum(map(len, page.body))
        start = (hit.range_start or 0) if page.ranges else 0
        if page.status == HTTPStatus.OK and start >= size > 0:
            request.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            request.end_headers()
            return
        partial = page.status == HTTPStatus.OK and hit.range_start is not None and page.ranges
        request.send_response(HTTPStatus.PARTIAL_CONTENT if partial else page.status, page.reason)
        if partial:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        for name, value in {**page.headers, **_framing(page, size - start), "Connection": "close"}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            self._send(request, page, hit, start)

    def _send(self, request: "_Handler", page: Page, hit: Hit, start: int) -> None:
        cut = self._take_cut(page)
        for chunk in _chunks(page, start, cut):
            hit.sent_bytes += len(chunk)  # before it is sent: a client that has it may look
            request.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if page.framing == "chunked" else chunk)
            if page.bytes_per_s and self._closing.wait(len(chunk) / page.bytes_per_s):
                return
        if page.framing == "chunked" and cut is None:
            request.wfile.write(b"0\r\n\r\n")

    def _take_failure(self, path: str) -> Page | None:
        """How this request is made to fail; None for one that is answered as it should be."""
        for failing in (self._failing.get(path), self._failing.get(None)):
            with contextlib.suppress(IndexError):  # requests come in threads
                if failing:
                    return failing.pop()
        return None

    def _take_cut(self, page: Page) -> int | None:
        """After how many bytes this answer is cut; None for a whole one."""
        if page.cuts == 0:
            return None
        if page.cuts is not None and page.cut_after_bytes is not None:
            page.cuts -= 1
        return page.cut_after_bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 64

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is part of the tests, and not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.server.site.answer(self)

    do_HEAD = do_POST = do_GET  # noqa: N815 - http.server's naming

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's naming
        """Nothing: the hits say it."""


def _framing(page: Page, size_bytes: int) -> dict[str, str]:
    """The fields that say where an answer ends."""
    if page.framing == "length":
        return {"Content-Length": str(size_bytes + page.extra_bytes)}
    return {"Transfer-Encoding": "chunked"} if page.framing == "chunked" else {}


def _sorry(status: int, headers: Mapping[str, str]) -> Page:
    return Page(b"sorry", status, {name.replace("_", "-"): value for name, value in headers.items()})


def _headers(request: _Handler) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _body(request: _Handler) -> bytes:
    return request.rfile.read(int(request.headers.get("Content-Length") or 0))


def _range_start(request: _Handler) -> int | None:
    asked = request.headers.get("Range")
    return int(asked.removeprefix("bytes=").partition("-")[0]) if asked else None


def _chunks(page: Page, start: int, cut_after_bytes: int | None) -> Iterator[bytes]:
    left = cut_after_bytes
    for block in [page.body] if isinstance(page.body, bytes) else page.body:
        if start >= len(block):
            start -= len(block)
            continue
        view = memoryview(block)[start:]
        start = 0
        step = min(CHUNK_BYTES, max(page.bytes_per_s // 20, 1)) if page.bytes_per_s else CHUNK_BYTES
        for at in range(0, len(view), step):
            piece = bytes(view[at : at + step][:left])
            if piece:
                yield piece
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    return


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
