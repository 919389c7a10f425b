"""One window's calls of a transcription API: asked, accounted for, kept, and the failures that they end in.

A request is set aside in the books before it is sent and settled after it, whatever happened; its answer is kept before
that. So that each try has its row, the SDK's own retries are off.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from madvision_assets.domain.failures import (
    Failure,
    SpeechApiBadAnswerError,
    SpeechApiKeyInvalidError,
    SpeechApiMisconfiguredError,
    SpeechApiRateLimitedError,
    SpeechApiUnavailableError,
    TranslationUnavailableError,
)
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.hidden_errors import hidden_error
from madvision_assets.domain.paying import Came, Desk, Planned
from madvision_assets.tools.speech.api_answers import Answer, NoAnswerError, read_answer
from madvision_assets.tools.speech.api_errors import MODEL_CODES, classify_openai, minds_the_form
from madvision_assets.tools.speech.api_prices import cost_usd

if TYPE_CHECKING:
    import httpx2
    from openai import OpenAI

FILE_NAME, MEDIA_TYPE = "speech.flac", "audio/flac"
# What a server answers that has no such route, or makes no translations with this model.
_NO_ROUTE = frozenset({404, 405, 501})
# After the time of a request whoever asks settles it himself; by then he is dead.
GRACE_S = 120.0
# Whoever asks for a longer wait is not waited for here: the queue does that.
MAX_RETRY_AFTER_S = 60.0


class Detail(IntEnum):
    """How much of an answer is asked for."""

    TEXT = 0  # json
    SEGMENTS = 1  # verbose_json
    WORDS = 2  # likewise, with the time of each word


@dataclass(frozen=True)
class Account:
    """Who pays.

    Attributes:
        desk: where requests are accounted for, and their answers kept.
        video_id: for whom they are made.
        step: the stage that makes them.
    """

    desk: Desk = field(default_factory=Desk)
    video_id: str = ""
    step: str = ""


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask; ``SpeechApi`` explains the fields.

    Attributes:
        usd_per_minute: of sound, US dollars; None where that is not known.
    """

    api_key: str = field(repr=False)
    base_url: str
    model: str
    timeout_s: float
    max_retries: int
    usd_per_minute: float | None = None


class Session:
    """A context manager: leaving it closes the connections.

    Args:
        endpoint: where to ask.
        account: who pays.

    Raises:
        Failure: entering it and every call in it raise the leaves for transcription APIs, what the books raise, and
            nothing else.
    """

    def __init__(self, endpoint: Endpoint, account: Account | None = None) -> None:
        self._endpoint = endpoint
        self._account = account or Account()

    def __enter__(self) -> Self:
        """Open the client."""
        self._client = self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self._client.close()

    def hear(self, flac: bytes, length_s: int, asked: Asked, detail: Detail) -> tuple[Answer, Detail]:
        """What is heard in a file, and in how much detail that was to be had.

        Args:
            flac: the file.
            length_s: of its sound, as it is paid for, seconds.
            asked: what is wanted of it.
            detail: the most to ask for; a server that minds it is asked for less.
        """
        import openai

        if asked.translate:
            detail = min(detail, Detail.SEGMENTS)  # there are no times of words in a translation
        while True:
            try:
                return self._answer(flac, length_s, asked, _wanted(asked, detail)), detail
            except Failure as failure:
                minded = failure.__cause__
                if detail is Detail.TEXT or not isinstance(minded, openai.APIStatusError) or not minds_the_form(minded):
                    raise
                detail = Detail(detail - 1)

    def model_names(self) -> list[str] | None:
        """The models that the server has; None where it does not list them."""
        import openai

        with self._told_as_failures():
            try:
                return [model.id for model in self._client.models.list()]
            except openai.NotFoundError:
                return None

    # --- one request ---

    def _answer(self, flac: bytes, length_s: int, asked: Asked, wanted: Mapping[str, Any]) -> Answer:
        """The answer that is kept, else one that is asked for, again within seconds where that may help."""
        import stamina

        key = self._key(flac, asked, wanted)
        kept = self._account.desk.answers.recall(self._account.video_id, key)
        if kept is not None:
            with suppress(SpeechApiBadAnswerError):  # an older version understood it
                return read_answer(kept.encode())
        for attempt in stamina.retry_context(
            on=_passes_soon,
            attempts=1 + self._endpoint.max_retries,
            timeout=self._endpoint.timeout_s,
            wait_initial=0.5,
            wait_max=8.0,
        ):
            with attempt:
                answer = self._paid(flac, length_s, asked, wanted, key)
        return answer

    def _paid(self, flac: bytes, length_s: int, asked: Asked, wanted: Mapping[str, Any], key: str) -> Answer:
        """One request, in the books from before it is sent until it is known what it came to.

        The answer is kept before the books are closed: they may be away, and whoever waits for them may be killed.
        """
        endpoint, account = self._endpoint, self._account
        price_usd = cost_usd(length_s, endpoint.usd_per_minute)
        lasts_s = endpoint.timeout_s + GRACE_S
        number = account.desk.books.reserve(
            Planned(account.video_id, account.step, endpoint.model, "", price_usd, lasts_s)
        )
        came = Came(endpoint.model, doubtful_usd=price_usd)
        try:
            body = self._sent(flac, asked, wanted, came)
            answer = read_answer(body)
            came.cost_usd, came.doubtful_usd = price_usd, 0.0
            account.desk.answers.keep(account.video_id, key, body.decode(errors="replace"))
        except Failure as failure:
            came.cause = failure.code
            if isinstance(failure, NoAnswerError):
                came.doubtful_usd = 0.0
            raise
        finally:
            account.desk.books.settle(number, came)
        return answer

    def _sent(self, flac: bytes, asked: Asked, wanted: Mapping[str, Any], came: Came) -> bytes:
        import openai

        route = self._client.audio.translations if asked.translate else self._client.audio.transcriptions
        with self._told_as_failures(translate=asked.translate), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of translations, which whisper-1 alone makes
            try:
                answer = route.with_raw_response.create(
                    file=(FILE_NAME, flac, MEDIA_TYPE), model=self._endpoint.model, temperature=0, **wanted
                )
                body = bytes(answer.content)
                _refuse_hidden(body, answer.http_response)
            except (openai.APIStatusError, openai.APIConnectionError) as error:
                came.refused(error)
                raise
            return body

    def _key(self, flac: bytes, asked: Asked, wanted: Mapping[str, Any]) -> str:
        """A hash of all that decides the answer."""
        sound = hashlib.sha256(flac).hexdigest()
        decides = [self._endpoint.base_url, self._endpoint.model, asked.translate, sound, wanted]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def _opened(self) -> "OpenAI":
        key = self._endpoint.api_key.strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise SpeechApiKeyInvalidError("no key is set" if not key else "it holds characters that no key has")
        import openai

        try:
            return openai.OpenAI(
                api_key=key,
                base_url=self._endpoint.base_url,
                timeout=self._endpoint.timeout_s,
                max_retries=0,
            )
        except Exception as error:
            # Nothing was sent yet: what it minds is what we were configured with.
            raise SpeechApiMisconfiguredError(f"{type(error).__name__}: {error}") from error

    @contextmanager
    def _told_as_failures(self, *, translate: bool = False) -> Iterator[None]:
        import openai
        from pydantic import ValidationError

        try:
            yield
        except (openai.OpenAIError, ValidationError, UnicodeError) as error:
            raise self._told(error, translate=translate) from error
        except (AttributeError, TypeError, ValueError) as error:
            # The SDK trips over answers that are none of the API's, such as a web page.
            raise SpeechApiUnavailableError("the server does not answer as a transcription API does") from error

    def _told(self, error: Exception, *, translate: bool) -> Failure:
        import openai

        if translate and isinstance(error, openai.APIStatusError):
            of_model = error.param == "model" or error.code in MODEL_CODES
            if error.status_code in _NO_ROUTE or of_model:
                return TranslationUnavailableError(f"{error.status_code} for a translation by {self._endpoint.model}")
        failure = classify_openai(error)
        # Servers that speak OpenAI's API may quote a wrong key in full.
        details = failure.details.replace(self._endpoint.api_key.strip() or "\0", "***")
        return type(failure)(details, retry_after_s=failure.retry_after_s)


def _wanted(asked: Asked, detail: Detail) -> Mapping[str, Any]:
    """The form of an answer, and what it is to go by."""
    wanted: dict[str, Any] = {"response_format": "json" if detail is Detail.TEXT else "verbose_json"}
    if detail is Detail.WORDS:
        wanted["timestamp_granularities"] = ["word", "segment"]
    if asked.prompt:
        wanted["prompt"] = asked.prompt
    if asked.language and not asked.translate:
        wanted["language"] = asked.language
    return wanted


def _refuse_hidden(body: bytes, response: "httpx2.Response") -> None:
    """Raise an error that was sent with status 200 as it would have been with its own."""
    import httpx2
    import openai

    with suppress(ValueError, RecursionError):
        hidden = hidden_error(json.loads(body))
        if hidden:
            status, told = hidden
            as_sent = httpx2.Response(status, headers=response.headers, request=response.request)
            raise openai.APIStatusError("an error with status 200", response=as_sent, body=told)


def _passes_soon(error: Exception) -> bool | float:
    """Whether a failure is likely to pass within seconds, or in how many it passes."""
    if not isinstance(error, SpeechApiUnavailableError | SpeechApiRateLimitedError):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s if error.retry_after_s <= MAX_RETRY_AFTER_S else False
