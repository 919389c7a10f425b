"""Asking the API: what is refused becomes an error, and what says when to ask again is asked again."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from madvision_assets.client.answers import Problem, read
from madvision_assets.client.errors import ProblemError, UnreachableError

T = TypeVar("T")

USUAL_PAUSE_S = 10.0
LEAST_TIMEOUT_S = 1.0  # for an answer, also where the limit is about over
# Nothing was sent then, and whatever was asked for may be asked for again; else only what changes nothing.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
SAFE = frozenset({"GET", "HEAD"})


class Asking:
    """Requests to one server.

    Args:
        base_url: of the server.
        timeout_s: for one answer to begin, and to go on.
        patience_s: for one request with all its tries: too many requests, parts that are away, connections that break.
        transport: of httpx, for proxies or certificates of one's own; None is the usual one.
    """

    def __init__(
        self, base_url: str, timeout_s: float, patience_s: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, follow_redirects=True, transport=transport)
        self._timeout_s = timeout_s
        self._patience_s = patience_s

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, kind: type[T], path: str, *, within_s: float | None = None, **asked: Any) -> T:
        """What is answered to a GET, as a value of this kind; raises as ``ask`` does.

        Args:
            kind: of the value.
            path: on the server.
            within_s: with all tries; None is as long as there is patience.
            asked: as httpx has it.
        """
        return self.value(kind, self.ask("GET", path, within_s=within_s, **asked))

    def ask(self, method: str, path: str, *, within_s: float | None = None, **asked: Any) -> httpx.Response:
        """The answer to a request; ``within_s`` and ``asked`` as in ``get``.

        Raises:
            ProblemError: it was refused.
            UnreachableError: nobody answered.
        """
        with self.stream(method, path, within_s=within_s, **asked) as response:
            try:
                response.read()
            except httpx.HTTPError as error:
                raise unreachable(error) from error
        return response

    @contextmanager
    def stream(
        self, method: str, path: str, *, within_s: float | None = None, **asked: Any
    ) -> Iterator[httpx.Response]:
        """A good answer, to be read bit by bit; raises as ``ask`` does."""
        response = self._answered(method, path, within_s, asked)
        try:
            yield response
        finally:
            response.close()

    def once(self, method: str, path: str, **asked: Any) -> httpx.Response:
        """The answer to a request that is tried once: a good one, of which nothing is read yet.

        Raises:
            ProblemError: it was refused.
            httpx.HTTPError: nobody answered.
        """
        try:
            response = self._http.send(self._http.build_request(method, path, **asked), stream=True)
        except httpx.InvalidURL as error:
            raise UnreachableError(f"{host_of(path)} is no address: {error}") from error
        if response.is_success:
            return response
        try:
            response.read()
            raise ProblemError(_problem(response), retry_after_s(response.headers))
        finally:
            response.close()

    def value(self, kind: type[T], response: httpx.Response) -> T:
        """What an answer says.

        Raises:
            UnreachableError: it is none of the API's.
        """
        try:
            return read(kind, response.json())
        except ValueError as error:
            raise UnreachableError(
                f"{host_of(str(response.url))} does not answer as MadVision does: {error}"
            ) from error

    def _answered(self, method: str, path: str, within_s: float | None, asked: dict[str, Any]) -> httpx.Response:
        pause_s = 1.0
        deadline_s = time.monotonic() + (self._patience_s if within_s is None else within_s)
        while True:
            if within_s is not None:
                left_s = max(deadline_s - time.monotonic(), LEAST_TIMEOUT_S)
                asked["timeout"] = min(self._timeout_s, left_s)
            try:
                return self.once(method, path, **asked)
            except ProblemError as refused:
                if not refused.is_temporary:
                    raise
                wait_s = USUAL_PAUSE_S if refused.retry_after_s is None else refused.retry_after_s
                if time.monotonic() + wait_s > deadline_s:
                    raise
            except httpx.HTTPError as error:
                wait_s, pause_s = pause_s, 2 * pause_s
                may_be_repeated = isinstance(error, NEVER_SENT) or method in SAFE
                if not may_be_repeated or time.monotonic() + wait_s > deadline_s:
                    raise unreachable(error) from error
            time.sleep(wait_s)


def unreachable(error: httpx.HTTPError) -> UnreachableError:
    """Why there is no answer, without the address, which may hold a token."""
    whom = "The server"
    with suppress(RuntimeError):  # it is none of a request
        whom = host_of(str(error.request.url))
    return UnreachableError(f"{whom} does not answer: {type(error).__name__}: {error}", is_temporary=True)


def host_of(address: str) -> str:
    """The host of an address, for people; tokens stand behind it."""
    return urlsplit(address).netloc.rpartition("@")[2] or "the server"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """For how many seconds to wait; None where nobody says so."""
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdecimal():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time()) if told else None
    except ValueError:
        return None


def _problem(response: httpx.Response) -> Problem:
    """Why it was refused; in our words where somebody in between refused it."""
    try:
        return read(Problem, response.json())
    except ValueError:
        told = f"The server answered {response.status_code} {response.reason_phrase}".strip() + "."
        return Problem("about:blank", told, response.status_code, told, "no_problem_document")
