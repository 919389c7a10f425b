"""What came back from a chat completion: the SDK takes whatever JSON a server sends, so that nothing is sure."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from madvision_assets.domain.failures import AnalystBadAnswerError, AnalystUnavailableError, PolicyRefusalError
from madvision_assets.domain.hidden_errors import hidden_error
from madvision_assets.domain.plain_text import cleaned

if TYPE_CHECKING:
    import httpx2
    from openai.types.chat import ChatCompletion

MAX_MODEL_CHARS = 200
CUT_OFF = "the answer was cut off at its length limit"


class CutOffError(AnalystBadAnswerError):
    """The answer reached its length limit; told like its kind."""


class NoCompletionError(AnalystUnavailableError):
    """No model answered, and nobody charges for it: a web page, nothing at all; told like its kind."""


def refuse_what_is_none(response: "httpx2.Response") -> None:
    """Raise what a response of status 200 is where it is no completion.

    Raises:
        NoCompletionError: it holds none, and none was begun.
        AnalystUnavailableError: it broke off, and may have been paid for.
        openai.APIStatusError: it holds an error instead, as proxies send it with status 200.
    """
    import httpx2
    import openai

    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError) as error:
        kind = AnalystUnavailableError if response.content.lstrip().startswith(b"{") else NoCompletionError
        raise kind("the server does not answer as the OpenAI API does") from error
    if not isinstance(body, Mapping):
        raise NoCompletionError("the server does not answer as the OpenAI API does")
    hidden = hidden_error(body)
    if hidden:
        status, told = hidden
        as_sent = httpx2.Response(status, headers=response.headers, request=response.request)
        raise openai.APIStatusError("an error with status 200", response=as_sent, body=told)
    if not body.get("choices") and not body.get("usage"):
        raise NoCompletionError("the response has no choices")


def can_be(told: tuple[object, ...], counted: tuple[int, ...], most: int) -> bool:
    """Whether these are numbers of tokens that a call can have: read, out of a cache, and written."""
    if not all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= most for each in told):
        return False
    read, cached, written = told
    return cached <= read and not (read == 0 and counted[0]) and not (written == 0 and counted[2] > 1)  # type: ignore[operator]


def text_of(completion: "ChatCompletion") -> str:
    """What the model wrote; the SDK takes whatever JSON a server sends, so that nothing is sure to be there."""
    choices = completion.choices if isinstance(completion.choices, list) else []
    content = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    return content if isinstance(content, str) else ""


def name_of(told: object) -> str:
    """The name of a model as a server tells it, fit to be read; empty where it tells none."""
    return cleaned(told, MAX_MODEL_CHARS) if isinstance(told, str) else ""


def refuse_unfinished(completion: "ChatCompletion") -> None:
    """Raise what speaks against an answer before anybody reads it.

    Raises:
        PolicyRefusalError: the model declined, or was stopped.
        CutOffError: it had no more room.
        AnalystBadAnswerError: there is no answer, though it was paid for.
    """
    if not completion.choices or not getattr(completion.choices[0], "message", None):
        raise AnalystBadAnswerError("the response has no choices")
    choice = completion.choices[0]
    if choice.message.refusal:
        raise PolicyRefusalError(str(choice.message.refusal))
    if choice.finish_reason == "content_filter":
        raise PolicyRefusalError("its content filter stopped the answer")
    if choice.finish_reason == "length":
        raise CutOffError(CUT_OFF)
