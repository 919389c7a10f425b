"""How often a client may ask, and how much it may send."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.types import Receive, Scope

from madvision_assets.intake.problems import ProblemError
from madvision_assets.work.clock import Clock

BATCH_PATH = "/public/videos"
EDIT_PATH = "/public/video/clips"
TAKING_JSON = {
    ("POST", "/public/video"),
    ("POST", BATCH_PATH),
    ("PATCH", EDIT_PATH),
    ("POST", "/internal/perform-video-processing"),
}
UPLOAD_PATH = "/public/upload"
SUBMITTING = {
    ("POST", "/public/video"),
    ("POST", BATCH_PATH),
    ("POST", "/"),
    ("POST", UPLOAD_PATH),
    ("PATCH", EDIT_PATH),
}
FREE = {"/healthz", "/readyz", "/metrics"}
OTHER_REQUESTS = 10  # times as many as submissions
ADDRESSES_PER_HIT = 100
MAX_BODY_BYTES = 64 * 1024
MAX_BATCH_BYTES = 4 * 1024 * 1024
BODY_LIMIT_S = 10.0
IPV6_CUSTOMER_BITS = 64  # RFC 6177: what one customer has at least


class RateLimits:
    """Requests of each client in the last minute; kept in this process.

    Args:
        per_minute: submissions; ten times as many other requests; 0 is no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._clock = Clock()
        self._limiter = MovingWindowRateLimiter(MemoryStorage()) if per_minute else None
        self._submissions = RateLimitItemPerMinute(max(1, per_minute), namespace="submissions")
        self._others = RateLimitItemPerMinute(max(1, per_minute) * OTHER_REQUESTS, namespace="others")

    def admit(self, scope: Scope) -> None:
        """Count a request.

        Raises:
            ProblemError: ``too_many_requests``.
        """
        if scope["path"] in FREE:
            return
        submits = (scope["method"], scope["path"]) in SUBMITTING
        self._hit(self._submissions if submits else self._others, client_of(scope), 1)

    def admit_addresses(self, scope: Scope, addresses: int) -> None:
        """Count a batch of so many addresses, which was counted as one request already.

        Raises:
            ProblemError: ``too_many_requests``.
        """
        more = math.ceil(addresses / ADDRESSES_PER_HIT) - 1
        if more > 0:
            self._hit(self._submissions, client_of(scope), more)

    def _hit(self, item: RateLimitItemPerMinute, client: str, cost: int) -> None:
        if self._limiter is None:
            return
        if self._clock.was_set_back():  # hits that lie in the future would count until they have come
            self._limiter, self._clock = MovingWindowRateLimiter(MemoryStorage()), Clock()
        if self._limiter.hit(item, client, cost=min(cost, item.amount)):
            return
        free_at = self._limiter.get_window_stats(item, client).reset_time
        wait_s = max(1, math.ceil(free_at - time.time()))
        raise ProblemError(
            "too_many_requests",
            f"{item.amount} a minute are taken from one client. Go on in {wait_s} s.",
            headers={"Retry-After": str(wait_s)},
        )


class CallbackLimits:
    """Callbacks that each client asked for in the last minute, so that no third party is called a thousand times.

    Args:
        per_minute: so many; 0 is no limit.
        hosts_per_minute: to so many hosts.
    """

    def __init__(self, per_minute: int, hosts_per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage()) if per_minute else None
        self._callbacks = RateLimitItemPerMinute(max(1, per_minute), namespace="callbacks")
        self._hosts = RateLimitItemPerMinute(hosts_per_minute, namespace="hosts")
        self._known = RateLimitItemPerMinute(1, namespace="known")

    def admit(self, scope: Scope, urls: Sequence[str | None]) -> None:
        """Count the callbacks that one request asks for, all of them or none.

        Raises:
            ProblemError: ``too_many_requests``.
        """
        asked = [url for url in urls if url]
        if self._limiter is None or not asked:
            return
        client = client_of(scope)
        hosts = {_host_of(url) for url in asked}
        new = [host for host in hosts if self._limiter.test(self._known, client, host)]
        too_many = not self._limiter.test(self._callbacks, client, cost=len(asked))
        if too_many or (new and not self._limiter.test(self._hosts, client, cost=len(new))):
            limits = f"{self._callbacks.amount} callbacks to {self._hosts.amount} host(s)"
            detail = f"{limits} a minute may be asked for by one client."
            raise ProblemError("too_many_requests", detail, headers={"Retry-After": "60"})
        self._limiter.hit(self._callbacks, client, cost=len(asked))
        for host in new:
            self._limiter.hit(self._known, client, host)
            self._limiter.hit(self._hosts, client)


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url.strip()).hostname or "").lower()
    except ValueError:
        return ""


def client_of(scope: Scope) -> str:
    """Who asks: the address, of which IPv6 gives every customer a whole network.

    Whoever comes by 6to4 has 65,536 of these by one address of IPv4, and is known by that; likewise by Teredo.
    """
    host = str((scope.get("client") or ("unknown",))[0])
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    tunnelled = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    return str(tunnelled or IPv6Network((int(address), IPV6_CUSTOMER_BITS), strict=False))


def limit_callbacks(request: Request, urls: Sequence[str | None]) -> None:
    """Count the callbacks that a request asks for; raises as ``CallbackLimits.admit``."""
    limits: CallbackLimits = request.app.state.callback_limits
    limits.admit(request.scope, urls)


def brings_file(scope: Scope) -> bool:
    """Whether the body is a part of a file, whose size and speed its own route bounds."""
    return bool(scope["method"] == "PATCH" and scope["path"].startswith(f"{UPLOAD_PATH}/"))


def as_meant(scope: Scope) -> Scope:
    """The request with the method that it means: behind proxies that know few, tus clients name it in a header."""
    named = dict(scope["headers"]).get(b"x-http-method-override", b"").decode("latin-1").upper()
    is_upload = scope["method"] == "POST" and scope["path"].startswith(f"{UPLOAD_PATH}/")
    return {**scope, "method": named} if is_upload and named in {"PATCH", "DELETE", "HEAD"} else scope


def body_limit_bytes(scope: Scope) -> int:
    """How large the body of a request may be."""
    return MAX_BATCH_BYTES if scope["path"] == BATCH_PATH else MAX_BODY_BYTES


def check_headers(scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body by what its headers say of it.

    Raises:
        ProblemError: ``body_too_large``, or ``unsupported_media_type`` where JSON is asked for.
    """
    size = headers.get(b"content-length", b"0")
    if size.isdigit() and int(size) > body_limit_bytes(scope):
        raise _too_large(scope)
    takes_json = (scope["method"], scope["path"]) in TAKING_JSON
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if takes_json and not (media_type == b"application/json" or _is_json_suffix(media_type)):
        raise ProblemError("unsupported_media_type", "Send the body with Content-Type: application/json.")


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body; the client has ten seconds for it.

    Raises:
        ProblemError: ``body_too_large``, ``body_timeout``.
        ClientGoneError: the client hung up.
    """
    limit = body_limit_bytes(scope)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(scope)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError as error:
        detail = f"The body did not arrive within {BODY_LIMIT_S:g} s."
        raise ProblemError("body_timeout", detail, headers={"Connection": "close"}) from error


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


def _is_json_suffix(media_type: bytes) -> bool:
    return media_type.startswith(b"application/") and media_type.endswith(b"+json")


def _too_large(scope: Scope) -> ProblemError:
    detail = f"The body may have {body_limit_bytes(scope)} bytes here."
    return ProblemError("body_too_large", detail, headers={"Connection": "close"})
