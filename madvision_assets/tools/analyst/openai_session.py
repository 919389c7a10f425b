"""One stage's calls of the OpenAI API: the client while it is open, the failures it raises, the tokens it used."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

from madvision_assets.domain.failures import (
    AnalystBadAnswerError,
    AnalystMisconfiguredError,
    ApiKeyInvalidError,
    PolicyRefusalError,
)
from madvision_assets.domain.provenance import Recipe
from madvision_assets.tools.analyst.answers import Answer
from madvision_assets.tools.analyst.errors import classify_openai
from madvision_assets.tools.analyst.prices import Usage, price_of
from madvision_assets.tools.analyst.prompts import Prompt

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam, ParsedChatCompletion

ENGINE = "openai"
# As close to the same answer every time as the API offers.
TEMPERATURE = 0.0
SEED = 20_261_122
MAX_ANSWER_TOKENS = 8_192

AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask; ``OpenAIAnalyst`` explains the fields."""

    api_key: str
    base_url: str
    model: str
    timeout_s: float
    max_retries: int

    def __repr__(self) -> str:
        """Without the key."""
        return f"Endpoint({self.model} at {self.base_url})"


class Session:
    """A context manager: leaving it closes the connections.

    Args:
        endpoint: where to ask.

    Raises:
        Failure: entering it and every call in it raise the leaves for analysts and nothing else.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._usage = Usage()
        # As asked for until the API says which snapshot answered.
        self._model = endpoint.model

    def __enter__(self) -> Self:
        """Open the client."""
        self._client = self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self._client.close()

    def ask(self, messages: list[dict[str, str]], form: type[AnswerT]) -> AnswerT:
        """The model's answer in the form asked for."""
        with self._told_as_failures():
            completion = self._client.chat.completions.parse(
                model=self._endpoint.model,
                messages=cast("list[ChatCompletionMessageParam]", messages),
                response_format=form,
                temperature=TEMPERATURE,
                seed=SEED,
                max_completion_tokens=MAX_ANSWER_TOKENS,
            )
        self._count(completion)
        return _answer_of(completion)

    def model_name(self) -> str:
        """The model's name as the API has it; costs nothing."""
        with self._told_as_failures():
            return self._client.models.retrieve(self._endpoint.model).id

    def recipe(self, prompt: Prompt, form: type[Answer]) -> Recipe:
        """What did the work so far, and what it cost."""
        import openai

        price = price_of(self._model)
        return Recipe(
            engine=ENGINE,
            engine_version=openai.__version__,
            model=self._model,
            prompt_version=prompt.version,
            prompt_hash=prompt.hash_with(form.model_json_schema()),
            parameters={"temperature": TEMPERATURE, "seed": SEED, "price_known": price is not None},
            cost_usd=self._usage.cost_usd(price),
            usage=self._usage.as_dict(),
        )

    def _opened(self) -> "OpenAI":
        key = self._endpoint.api_key.strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ApiKeyInvalidError("no key is set" if not key else "it holds characters that no key has")
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
            raise AnalystMisconfiguredError(f"{type(error).__name__}: {error}") from error

    def _count(self, completion: "ParsedChatCompletion[AnswerT]") -> None:
        self._model = completion.model or self._model
        used = completion.usage
        cached = used.prompt_tokens_details.cached_tokens if used and used.prompt_tokens_details else 0
        self._usage += Usage(
            requests=1,
            input_tokens=used.prompt_tokens if used else 0,
            cached_input_tokens=cached or 0,
            output_tokens=used.completion_tokens if used else 0,
        )

    @contextmanager
    def _told_as_failures(self) -> Iterator[None]:
        import openai
        from pydantic import ValidationError

        try:
            yield
        except (openai.OpenAIError, ValidationError, UnicodeError) as error:
            failure = classify_openai(error)
            # Servers that speak OpenAI's API may quote a wrong key in full.
            details = failure.details.replace(self._endpoint.api_key, "***")
            raise type(failure)(details, retry_after_s=failure.retry_after_s) from error
        except (AttributeError, TypeError, ValueError) as error:
            # The SDK trips over answers that are no chat completion at all, such as a web page.
            raise AnalystBadAnswerError("the server does not answer as the OpenAI API does") from error


def _answer_of(completion: "ParsedChatCompletion[AnswerT]") -> AnswerT:
    if not completion.choices:
        raise AnalystBadAnswerError("the response has no choices")
    message = completion.choices[0].message
    if message.refusal:
        raise PolicyRefusalError(message.refusal)
    if message.parsed is None:
        raise AnalystBadAnswerError("the answer is empty")
    return message.parsed
