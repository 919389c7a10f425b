"""One window's calls of a transcription API: the client while it is open, and the failures that it raises."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from madvision_assets.domain.failures import (
    Failure,
    SpeechApiBadAnswerError,
    SpeechApiKeyInvalidError,
    SpeechApiMisconfiguredError,
    TranslationUnavailableError,
)
from madvision_assets.domain.heard import Asked
from madvision_assets.tools.speech.api_answers import Answer, read_answer
from madvision_assets.tools.speech.api_errors import MODEL_CODES, classify_openai, minds_the_form

if TYPE_CHECKING:
    from openai import OpenAI

FILE_NAME, MEDIA_TYPE = "speech.flac", "audio/flac"
# What a server answers that has no such route, or makes no translations with this model.
_NO_ROUTE = frozenset({404, 405, 501})


class Detail(IntEnum):
    """How much of an answer is asked for."""

    TEXT = 0  # json
    SEGMENTS = 1  # verbose_json
    WORDS = 2  # likewise, with the time of each word


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask; ``SpeechApi`` explains the fields."""

    api_key: str = field(repr=False)
    base_url: str
    model: str
    timeout_s: float
    max_retries: int


class Session:
    """A context manager: leaving it closes the connections.

    Args:
        endpoint: where to ask.

    Raises:
        Failure: entering it and every call in it raise the leaves for transcription APIs and nothing else.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def __enter__(self) -> Self:
        """Open the client."""
        self._client = self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self._client.close()

    def hear(self, flac: bytes, asked: Asked, detail: Detail) -> tuple[Answer, Detail]:
        """What is heard in a file, and in how much detail that was to be had.

        Args:
            flac: the file.
            asked: what is wanted of it.
            detail: the most to ask for; a server that minds it is asked for less.
        """
        import openai

        if asked.translate:
            detail = min(detail, Detail.SEGMENTS)  # there are no times of words in a translation
        while True:
            try:
                return self._ask(flac, asked, detail), detail
            except openai.APIStatusError as error:
                if detail is Detail.TEXT or not minds_the_form(error):
                    raise self._told(error, translate=asked.translate) from error
                detail = Detail(detail - 1)

    def model_names(self) -> list[str] | None:
        """The models that the server has; None where it does not list them."""
        import openai

        with self._told_as_failures():
            try:
                return [model.id for model in self._client.models.list()]
            except openai.NotFoundError:
                return None

    def _ask(self, flac: bytes, asked: Asked, detail: Detail) -> Answer:
        import openai

        wanted: dict[str, Any] = {"response_format": "json" if detail is Detail.TEXT else "verbose_json"}
        if detail is Detail.WORDS:
            wanted["timestamp_granularities"] = ["word", "segment"]
        if asked.prompt:
            wanted["prompt"] = asked.prompt
        if asked.language and not asked.translate:
            wanted["language"] = asked.language
        route = self._client.audio.translations if asked.translate else self._client.audio.transcriptions
        with self._told_as_failures(but=openai.APIStatusError), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of translations, which whisper-1 alone makes
            answer = route.with_raw_response.create(
                file=(FILE_NAME, flac, MEDIA_TYPE), model=self._endpoint.model, temperature=0, **wanted
            )
            return read_answer(answer.content)

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
                max_retries=self._endpoint.max_retries,
            )
        except Exception as error:
            # Nothing was sent yet: what it minds is what we were configured with.
            raise SpeechApiMisconfiguredError(f"{type(error).__name__}: {error}") from error

    @contextmanager
    def _told_as_failures(self, *, but: type[Exception] | tuple[type[Exception], ...] = ()) -> Iterator[None]:
        import openai
        from pydantic import ValidationError

        try:
            yield
        except but:
            raise
        except (openai.OpenAIError, ValidationError, UnicodeError) as error:
            raise self._told(error) from error
        except (AttributeError, TypeError, ValueError) as error:
            # The SDK trips over answers that are none of the API's, such as a web page.
            raise SpeechApiBadAnswerError("the server does not answer as a transcription API does") from error

    def _told(self, error: Exception, *, translate: bool = False) -> Failure:
        import openai

        if translate and isinstance(error, openai.APIStatusError):
            of_model = error.param == "model" or error.code in MODEL_CODES
            if error.status_code in _NO_ROUTE or of_model:
                return TranslationUnavailableError(f"{error.status_code} for a translation by {self._endpoint.model}")
        failure = classify_openai(error)
        # Servers that speak OpenAI's API may quote a wrong key in full.
        details = failure.details.replace(self._endpoint.api_key.strip() or "\0", "***")
        return type(failure)(details, retry_after_s=failure.retry_after_s)
