"""Requests and texts at the intake's door, and what the command line and the pages show of them.

``make`` is given the running intake and the canaries, does it, and gives what was answered, or the text that is shown.
"""

import base64
import http
import io
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from madvision_assets.command.display import VisibleConsole
from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.intake import limits
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.rows import Attack, End, Ended, Family, Play
from madvision_assets_tests.intake.sending import UPLOAD, VERSION
from madvision_assets_tests.intake.serving import ADDRESS, Intake, serving, settings_in

JSON = {"content-type": "application/json"}
DOOR = (End.AT_THE_DOOR,)
DOOR_OR_HARMLESS = (End.AT_THE_DOOR, End.HARMLESS)
WAIT_S = 5.0
OBEYED = frozenset("\x1b\x07\x9b\x00\x08\u202e\u2066\u2028\u200b")
HOSTILE = "talk\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\u2028\u200b\x00.mp4"
# Once each took up to a second; a batch of them is done within the wall time of a row.
DEAR_ADDRESSES = 15 * (
    "https://a.example/?q=&" + "amp;" * 1000,
    "https://a.example/#" + "/" * 4000,
    "https://vimeo.com/channels/staffpicks/123456789?" + "app&" * 1000,
    "https://www.gaia.com/video/" + "-" * 4000,
)
SCRIPT = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def _at(intake: Intake, method: str, path: str, **sent: object) -> Ended:
    """A client's request: its answer is a refusal, or harmless."""
    answer: httpx.Response = intake.client.request(method, path, **sent)  # type: ignore[arg-type] # of httpx
    return _judged(answer.status_code, f"{answer.status_code} {dict(answer.headers)} {answer.text}")


def _judged(status: int, told: str) -> Ended:
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return Ended(None, told)
    return Ended(End.AT_THE_DOOR if status >= http.HTTPStatus.BAD_REQUEST else End.HARMLESS, told)


def _raw(said: bytes) -> Callable[[Intake, Canaries], Ended]:
    """Bytes on a connection of their own, and whatever comes back."""

    def make(intake: Intake, _: Canaries) -> Ended:
        with socket.create_connection(("127.0.0.1", intake.port), timeout=WAIT_S) as connection:
            answer = b""
            with suppress(OSError):
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    answer += piece
        status = answer[9:12]
        return _judged(int(status) if status.isdigit() else 400, answer.decode("utf-8", "replace"))

    return make


def _bodies() -> Iterator[Attack]:
    kind = "bodies"
    deep = b'{"url": ' + b"[" * 30_000
    for name, body in {
        "nothing": b"",
        "half of one": b"{",
        "no UTF-8": b"\xff\xfe",
        "no number": b'{"url": "https://a.example/", "priority": NaN}',
        "an endless number": b'{"url": "https://a.example/", "priority": 1e999}',
        "5,000 digits": b'{"url": 1, "priority": ' + b"9" * 5000 + b"}",
        "lists in each other": deep,
        "objects in each other": b'{"a":' * 10_000,
        "half of a pair": b'{"url": "https://a.example/\\ud800"}',
        "a name of half a pair": b'{"\\ud800": 1, "url": "https://a.example/"}',
        "NUL": b'{"url": "https://a.example/\\u0000"}',
        "priority 100": json.dumps({"url": ADDRESS, "priority": 100}).encode(),
        "priority 1": json.dumps({"url": ADDRESS, "priority": 1}).encode(),
        "unknown names": json.dumps({"url": ADDRESS, "__proto__": {"admin": True}}).encode(),
        "a list": b"[]",
        "a word": b'"a"',
        "over the limit": b'{"url": "' + b"a" * limits.MAX_BODY_BYTES + b'"}',
        "an address of 100 kB": json.dumps({"url": "https://a.example/" + "a" * 60_000}).encode(),
        "clips of no length": json.dumps({"url": ADDRESS, "options": {"max_clip_s": 0}}).encode(),
    }.items():
        yield Attack(name, kind, _posted(body), DOOR)
    for name, batch in {
        "a batch of 1,001": {"videos": [{"url": ADDRESS}] * 1001},
        "a batch of nothing": {"videos": []},
        "a batch of batches": {"videos": [{"videos": []}]},
        "a batch of dear addresses": {"videos": [{"url": address} for address in DEAR_ADDRESSES]},
    }.items():
        yield Attack(
            name, kind, _posted(json.dumps(batch).encode(), "/public/videos"), DOOR_OR_HARMLESS
        )  # each is told
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        yield Attack(f"as {media_type or 'nothing'}", kind, _typed(media_type), DOOR)


def _posted(body: bytes, path: str = "/public/video") -> Callable[[Intake, Canaries], Ended]:
    return lambda intake, _: _at(intake, "POST", path, content=body, headers=JSON)


def _typed(media_type: str) -> Callable[[Intake, Canaries], Ended]:
    body = json.dumps({"url": ADDRESS}).encode()
    return lambda intake, _: _at(intake, "POST", "/public/video", content=body, headers={"content-type": media_type})


def _hosts() -> Iterator[Attack]:
    for host in (
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@localhost",
        "localhost@evil.example",
        "evil.example#localhost",
        "localhost, evil.example",
    ):
        make = _raw(f"GET /public/video/status?token=x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        yield Attack(host, "names of others", make, DOOR)


def _no_http() -> Iterator[Attack]:
    kind = "requests that are none"
    head = b"POST /public/video HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for name, said in {
        "two lengths": head + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        "a length and chunks": head
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        "a negative length": head + b"Content-Length: -1\r\n\r\n",
        "a length of 10^30": head + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        "chunks of no size": head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "a chunk of 2^64": head + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
        "another version": b"GET / HTTP/9.9\r\n\r\n",
        "no version": b"GET /\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a head of 1 MB": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        "10,000 headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        "NUL in a head": b"GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n",
        "a line of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "folded headers": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
        "a proxy's request": b"GET http://169.254.169.254/latest/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
        "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n",
        "TRACE": b"TRACE / HTTP/1.1\r\nHost: localhost\r\nX: canary\r\n\r\n",
        "WebSocket": b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    }.items():
        yield Attack(name, kind, _raw(said), DOOR_OR_HARMLESS)


def _asked() -> Iterator[Attack]:
    kind = "what is not for them"
    for name, method, path in (
        ("internal without a key", "POST", "/internal/perform-video-processing"),
        ("a token that is none", "GET", "/public/video/status?token=x"),
        ("no token", "GET", "/public/video/status"),
        ("an upload of another", "HEAD", f"{UPLOAD}/{'a' * 43}"),
        ("a way out", "GET", "/../../../../etc/passwd"),
        ("an encoded way out", "GET", "/%2e%2e/%2e%2e/etc/passwd"),
        ("a way out of the pages", "GET", "/static/..%2f..%2f..%2fsettings.py"),
        ("a clip by a path", "GET", "/video/x/clips/..%2f..%2fsecret"),
        ("a token with a path", "GET", "/video/..%2f..%2f"),
        ("a token of 100 kB", "GET", "/public/video/status?token=" + "a" * 60_000),
        ("another method", "DELETE", "/public/video"),
        ("environment", "GET", "/.env"),
        ("git", "GET", "/.git/config"),
    ):
        yield Attack(name, kind, _request(method, path), DOOR)
    yield Attack(
        "a wrong key",
        kind,
        lambda i, _: _at(
            i,
            "POST",
            "/internal/perform-video-processing",
            json={"video_id": "web-a"},
            headers={"Authorization": "Bearer x"},
        ),
        DOOR,
    )
    for url in (
        "http://user:password@a.example/",
        "ftp://a.example/",
        "https://a.example:0x50/",
        "https://a.example/\r\nX: y",
        "https://metadata.google.internal/",
    ):
        yield Attack(f"a callback to {url!r}", kind, _called(url), DOOR)


def _request(method: str, path: str) -> Callable[[Intake, Canaries], Ended]:
    return lambda intake, _: _at(intake, method, path)


def _called(url: str) -> Callable[[Intake, Canaries], Ended]:
    return lambda intake, _: _at(intake, "POST", "/public/video", json={"url": ADDRESS, "callback_url": url})


def _uploads() -> Iterator[Attack]:
    kind = "files that are announced"
    for name, length, metadata in (
        ("of no bytes", "0", ""),
        ("of less than none", "-1", ""),
        ("of 10^30 bytes", "9" * 30, ""),
        ("of a word", "abc", ""),
        ("of 100 TB", "1" + "0" * 14, ""),
        ("without base64", "9", "filename ///"),
        ("with priority 1", "9", "priority MQ=="),
        ("with a list of options", "9", "options W10="),
        ("with a callback to loopback", "9", "callback_url aHR0cDovLzEyNy4wLjAuMS8="),
    ):
        yield Attack(name, kind, _announced(length, metadata), DOOR)
    for name in ("../../../../etc/passwd", HOSTILE, SCRIPT, "a" * 40_000, "con", ".", "%s%n.mp4", "a\r\nX: y"):
        shown = name[:24].encode("ascii", "backslashreplace").decode()
        encoded = base64.b64encode(name.encode()).decode()
        yield Attack(f"called {shown}", kind, _announced("9", f"filename {encoded}"), DOOR_OR_HARMLESS)


def _announced(length: str, metadata: str) -> Callable[[Intake, Canaries], Ended]:
    headers = {**VERSION, "Upload-Length": length, "Upload-Metadata": metadata}

    def make(intake: Intake, _: Canaries) -> Ended:
        ended = _at(intake, "POST", UPLOAD, headers=headers)
        return Ended(None, ended.told) if "passwd" in ended.told.partition("location")[2][:200] else ended

    return make


def _texts() -> Iterator[Attack]:
    kind = "texts that give orders, or tell secrets"
    yield Attack("escapes, printed", kind, lambda *_: _printed(HOSTILE), (End.HARMLESS,))
    yield Attack(
        "escapes in a failure, printed", kind, lambda *_: _printed(str(CorruptMediaError(HOSTILE))), (End.HARMLESS,)
    )
    yield Attack("markup, printed", kind, lambda *_: _printed("[link=http://evil]a[/link][red]"), (End.HARMLESS,))
    for path in (f"/?url={SCRIPT}", f"/video/{SCRIPT}", "/?error=" + SCRIPT):
        yield Attack(f"a script by {path[:8]}", kind, _page(path), DOOR_OR_HARMLESS)
    yield Attack("a script as an address", kind, _form(f"https://a.example/{SCRIPT}"), DOOR_OR_HARMLESS)
    yield Attack("a script that is no address", kind, _form(SCRIPT), DOOR_OR_HARMLESS)
    for name, told in {
        "a variable of ours": "KEY={}",
        "a header": "Authorization: Bearer {}",
        "an address": "https://user:{}@a.example/",
        "a parameter": "https://a.example/?X-Amz-Signature={}",
        "a field": '{{"password": "{}"}}',
    }.items():
        yield Attack(f"a secret in {name}, told by a failure", kind, _told(told), (End.HARMLESS,))
    yield Attack("the environment, by health and metrics", kind, _operating, (End.HARMLESS,))


def _printed(text: str) -> Ended:
    out = io.StringIO()
    VisibleConsole(file=out, color_system=None, width=200, markup=False).print(text)
    obeyed = OBEYED & set(out.getvalue())
    return Ended(None if obeyed else End.HARMLESS, f"{out.getvalue()!r}")


def _shown(answer: httpx.Response) -> Ended:
    """A page in which no tag of theirs is one."""
    through = "<script>alert" in answer.text or "<img src=x" in answer.text
    return Ended(None, answer.text) if through else _judged(answer.status_code, answer.text[:200])


def _page(path: str) -> Callable[[Intake, Canaries], Ended]:
    return lambda intake, _: _shown(intake.client.get(path))


def _form(address: str) -> Callable[[Intake, Canaries], Ended]:
    return lambda intake, _: _shown(intake.client.post("/", data={"url": address}, follow_redirects=True))


def _told(text: str) -> Callable[[Intake, Canaries], Ended]:
    return lambda _, canaries: Ended(End.HARMLESS, str(CorruptMediaError(text.format(canaries.secret))))


def _operating(intake: Intake, _: Canaries) -> Ended:
    told = "".join(intake.client.get(path).text for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"))
    return Ended(End.HARMLESS, told)


@contextmanager
def opened(folder: Path, canaries: Canaries) -> Iterator[Play]:
    """The intake over HTTP, which has to answer after each attack."""
    with serving(settings_in(folder, internal_key="internal", uploads_per_client=1000)) as intake:

        def play(attack: Attack, _: Path, ready: Callable[[], None]) -> Ended:
            ready()
            ended = attack.make(intake, canaries)
            healthy = intake.client.get("/healthz").status_code == http.HTTPStatus.OK
            assert isinstance(ended, Ended)
            return ended if healthy else Ended(None, f"it does not answer any more: {ended.told}")

        yield play


ATTACKS = [*_bodies(), *_hosts(), *_no_http(), *_asked(), *_uploads(), *_texts()]
FAMILY = Family("door", ATTACKS, opened, wall_s=10.0)
