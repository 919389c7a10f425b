"""The SDK's client, with an end: no answer takes longer than its deadline, or is larger than an answer can be.

Its own timeout is of each single read, of which an answer may have any number. So a clock runs beside each call, that
hangs up at the deadline, whatever is being read then. Answers are taken as they are, not compressed, so that the bytes
that are counted are those that they have; of a compressed error those are counted that it is unpacked to.
"""

import socket
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.failures import AnalystMisconfiguredError, AnalystUnavailableError, ApiKeyInvalidError
from madvision_assets.tools.analyst.errors import classify_openai

if TYPE_CHECKING:
    import httpx2
    from openai import OpenAI

MAX_ANSWER_BYTES = 8 * 1024 * 1024
# What the SDK's client would unpack.
_PACKED = frozenset({"gzip", "deflate", "br", "zstd"})
_TOO_LATE = "the answer did not end before the deadline of the call"


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        api_key: sent as a bearer token and written nowhere.
        base_url: of the API.
        model: as it is asked for.
        deadline_s: of one question, from its first byte to the last of its answer, with all tries.
        max_retries: on lost connections, 408, 409, 429 and 5xx, within seconds. The SDK's own are off: a try that it
            makes unseen may be paid for, and would stand in no book.
    """

    api_key: str = field(repr=False)
    base_url: str
    model: str
    deadline_s: float
    max_retries: int


@dataclass
class Sending:
    """One call under way.

    Attributes:
        ends_s: its deadline, on the monotonic clock.
        was_sent: whether anything may have reached the API.
    """

    ends_s: float
    was_sent: bool = False

    @property
    def left_s(self) -> float:
        """Until the deadline; 0 from then on."""
        return max(0.0, self.ends_s - time.monotonic())


class Client:
    """A context manager: leaving it closes the connections.

    Args:
        endpoint: where to ask.

    Raises:
        Failure: entering it raises what is wrong with the endpoint.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._sending: Sending | None = None
        self._lines: list[socket.socket] = []
        self._cutting = Lock()
        self.sdk = self._opened()

    def close(self) -> None:
        """Close the connections."""
        self.sdk.close()
        self._hang_up()

    @contextmanager
    def sending(self, ends_s: float) -> Iterator[Sending]:
        """Surrounds one call; what the SDK raises leaves it as a leaf of the taxonomy."""
        import openai

        self._sending = Sending(ends_s)
        clock = Timer(self._sending.left_s, self._hang_up)
        clock.daemon = True
        clock.start()
        try:
            yield self._sending
        except (openai.OpenAIError, UnicodeEncodeError) as error:
            if isinstance(error, openai.APIConnectionError) and not self._sending.left_s:
                raise AnalystUnavailableError(_TOO_LATE) from error
            failure = classify_openai(error)
            # Servers that speak OpenAI's API may quote a wrong key in full.
            details = failure.details.replace(self._endpoint.api_key.strip() or "\0", "***")
            raise type(failure)(details, retry_after_s=failure.retry_after_s) from error
        except (AttributeError, TypeError, ValueError) as error:
            # The SDK trips over answers that are none of the API's, such as a web page.
            raise AnalystUnavailableError("the server does not answer as the OpenAI API does") from error
        finally:
            clock.cancel()
            clock.join()
            self._sending = None

    def _opened(self) -> "OpenAI":
        key = self._endpoint.api_key.strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ApiKeyInvalidError("no key is set" if not key else "it holds characters that no key has")
        import openai

        try:
            return openai.OpenAI(
                api_key=key,
                base_url=self._endpoint.base_url,
                timeout=self._endpoint.deadline_s,
                max_retries=0,
                http_client=openai.DefaultHttpxClient(
                    event_hooks={"request": [self._before], "response": [self._after]},
                ),
            )
        except Exception as error:
            # Nothing was sent yet: what it minds is what we were configured with.
            raise AnalystMisconfiguredError(f"{type(error).__name__}: {error}") from error

    def _before(self, request: "httpx2.Request") -> None:
        import httpx2

        if self._sending is not None:
            left_s = self._sending.left_s
            if not left_s:
                raise httpx2.ReadTimeout("the deadline of the call has passed", request=request)
            request.extensions["timeout"] = httpx2.Timeout(left_s).as_dict()
            request.extensions["trace"] = self._noticed
            request.headers["accept-encoding"] = "identity"
            self._sending.was_sent = True

    def _noticed(self, event: str, about: Mapping[str, Any]) -> None:
        """Keep a second end of each connection: the first one is handed over where it becomes a TLS one."""
        if event.endswith("connect_tcp.complete"):
            self._hang_up()  # what was open is not used again
            with self._cutting:
                self._lines.append(about["return_value"].get_extra_info("socket").dup())

    def _hang_up(self) -> None:
        """Whoever reads or writes reads no more, and ends."""
        with self._cutting:
            while self._lines:
                with self._lines.pop() as line, suppress(OSError):  # which the other side has ended
                    line.shutdown(socket.SHUT_RDWR)

    def _after(self, response: "httpx2.Response") -> None:
        import httpx2

        if self._sending is not None:
            told = response.headers.get("content-encoding", "")
            packed = {each.strip().lower() for each in told.split(",")} & _PACKED
            if packed and response.status_code < HTTPStatus.BAD_REQUEST:
                raise httpx2.RemoteProtocolError("its answer is compressed, which was not asked for")
            if packed:  # an error is one all the same; it is unpacked where its bytes are counted
                del response.headers["content-encoding"]
            response.stream = _bounded(response.stream, self._sending, is_gzip=packed == {"gzip"})


def _unpacked(stream: Iterable[bytes]) -> Iterator[bytes]:
    """What is packed by gzip, no piece larger than an answer can be; it ends where it is broken."""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    with suppress(zlib.error):
        for chunk in stream:
            yield unpacking.decompress(chunk, MAX_ANSWER_BYTES + 1)


def _bounded(stream: Any, sending: Sending, *, is_gzip: bool) -> "httpx2.SyncByteStream":
    """The bytes of an answer, as long as there is time for them and they are not too many."""
    import httpx2

    class Bounded(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for chunk in _unpacked(stream) if is_gzip else stream:
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    raise httpx2.RemoteProtocolError(f"its answer is larger than {MAX_ANSWER_BYTES} bytes")
                if not sending.left_s:
                    break
                yield chunk
            if not sending.left_s:  # an answer that is hung up on ends as one that is whole
                raise httpx2.ReadTimeout(_TOO_LATE)

        def close(self) -> None:
            stream.close()

    return Bounded()
