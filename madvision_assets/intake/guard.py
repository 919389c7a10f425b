"""What every request passes first and last: limits, a body that is whole, headers, one line of log, figures."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madvision_assets.domain.redaction import without_secrets
from madvision_assets.intake.hosts import Hosts
from madvision_assets.intake.limits import (
    ClientGoneError,
    RateLimits,
    as_meant,
    brings_file,
    check_headers,
    read_body,
)
from madvision_assets.intake.metrics import HttpFigures
from madvision_assets.intake.problems import ProblemError

BODILESS = {"GET", "HEAD", "OPTIONS", "TRACE"}
UNMATCHED = "unmatched"
GONE_STATUS = 499  # as nginx logs it; nobody is there to be answered
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cache-Control": "no-store",
}

Render = Callable[[Request, ProblemError], Response]


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        limits: how often a client may ask.
        hosts: the names that requests may give for this server.
        figures: where requests are counted.
        render: how a problem is told to this client.
    """

    def __init__(self, app: ASGIApp, limits: RateLimits, hosts: Hosts, figures: HttpFigures, render: Render) -> None:
        self._app = app
        self._hosts = hosts
        self._limits = limits
        self._figures = figures
        self._render = render
        self._log: Any = structlog.get_logger("madvision.intake")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope = as_meant(scope)
        answer = _Answer(send)
        try:
            await self._handle(scope, receive, answer)
        except ClientGoneError:
            answer.status = GONE_STATUS
        except Exception as error:  # the last resort: the client gets no traceback, the log does
            self._log.error("request_failed", route=_route(scope), error=without_secrets(repr(error)), exc_info=error)
            if answer.status:  # the client sees that the body broke off
                raise
            await self._tell(scope, receive, answer, ProblemError("internal_error"))
        finally:
            self._note(scope, answer.status, time.perf_counter() - started)

    async def _handle(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            self._limits.admit(scope)
            self._hosts.check(scope)
            if brings_file(scope):
                receive = answer.before_whole(receive)
            elif scope["method"] not in BODILESS:
                check_headers(scope, dict(scope["headers"]))
                receive = _replayed(await read_body(scope, receive), receive)
        except ProblemError as error:
            await self._tell(scope, receive, answer, error)
            return
        await self._app(scope, receive, answer)

    async def _tell(self, scope: Scope, receive: Receive, answer: "_Answer", error: ProblemError) -> None:
        await self._render(Request(scope), error)(scope, receive, answer)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = _route(scope), scope["method"]
        self._figures.count(route, method, status, seconds)
        client = scope.get("client")
        # The route's pattern and not its path: tokens stand in paths and query strings.
        self._log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            client=client[0] if client else None,
        )


class _Answer:
    """Passes an answer on with the headers that every one has; remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._body_is_whole = True
        self.status = 0

    def before_whole(self, receive: Receive) -> Receive:
        """The body, which comes while it is handled: an answer before its end closes the connection."""
        self._body_is_whole = False

        async def noted() -> Message:
            message = await receive()
            self._body_is_whole = self._body_is_whole or not message.get("more_body", False)
            return message

        return noted

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if not self._body_is_whole:
                headers["Connection"] = "close"
        await self._send(message)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message; after it, whatever the client does."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _route(scope: Scope) -> str:
    """The pattern of the route that took the request."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))
