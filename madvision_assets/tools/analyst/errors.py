"""Every way in which the OpenAI SDK fails, as a leaf of the taxonomy.

status  400 413 422        the request, which holds one video's transcript: that video's matter, unless the API
                           names a parameter that we set for all
        401 403            the key; a 403 in nobody's words (a firewall before the API) is that video's matter too
        404 and the rest   the model: somebody must change the configuration
        402, 429 quota     the account
        408 409 429 5xx    wait; the SDK's own retries are already spent
200     with an error       as if it had been sent with the status that it names (``domain.hidden_errors``)
        no completion       as an outage
answer  refusal, filter    the same again next time: permanent
        cut off, no JSON   asked again later
"""

import re
from json import JSONDecodeError
from typing import TYPE_CHECKING

from pydantic import ValidationError

from madvision_assets.domain.failures import (
    AnalystBadAnswerError,
    AnalystMisconfiguredError,
    AnalystRateLimitedError,
    AnalystRejectedError,
    AnalystUnavailableError,
    ApiKeyInvalidError,
    Failure,
    PolicyRefusalError,
    QuotaExhaustedError,
    TranscriptTooLargeError,
    UnexpectedError,
)
from madvision_assets.domain.retry_after import retry_after_s

if TYPE_CHECKING:
    import openai

QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
POLICY_CODES = frozenset({"content_filter", "content_policy_violation"})
# What the API names where it minds what is the same for every video.
CONFIGURED_PARAMETERS = frozenset(
    {"model", "temperature", "seed", "response_format", "max_completion_tokens", "max_tokens"}
)
MODEL_CODES = frozenset({"model_not_found", "invalid_model"})
TOO_LARGE_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
# The same in the words of vLLM, llama.cpp, Ollama and others, which have no codes.
_TOO_LARGE_WORDS = re.compile(
    r"context.?(length|size|window|limit|shift)|too many (input )?tokens"
    r"|(prompt|input|request)( \([^)]{0,40}\))? is too (long|large)"
    r"|request too large|token limit|reduce the length|tokens must be reduced|exceeds? the maximum (number of )?tokens"
    r"|(input )?token count.{0,20} exceeds|max_new_tokens. must be <=|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
# Servers that tell what is the operator's with a 400, and have no code for it: what they begin with, since further on
# a message may quote the transcript.
_OF_THE_OPERATOR: tuple[tuple[re.Pattern[str], type[Failure]], ...] = (
    (re.compile(r"API key not valid|Authentication Error\b"), ApiKeyInvalidError),
    (re.compile(r"Your credit balance is too low|Budget has been exceeded"), QuotaExhaustedError),
    (
        re.compile(r"(litellm\.\w+: )?LLM Provider NOT provided|invalid model ID", re.IGNORECASE),
        AnalystMisconfiguredError,
    ),
    (re.compile(r"litellm\.ContentPolicyViolationError"), PolicyRefusalError),
)
# What is minded is the prompt, whatever words of it the message quotes.
PROMPT_CODES = frozenset({"invalid_prompt"})
# Parameters without which a question can be asked as well.
LEFT_OUT = ("temperature", "seed", "max_completion_tokens", "max_tokens", "response_format")
_FORM_WORDS = ("json_schema", "json_object", "structured output")
# Further on a message may quote the transcript.
_OWN_WORDS_CHARS = 200
_OF_THE_REQUEST = frozenset({400, 413, 422})
# With which some servers tell of too long a prompt: llama.cpp, Ollama, and an API whose tokens a minute it surpasses.
_OF_LENGTH_TOO = frozenset({429, 500})
_TOO_LARGE = 413
_WRAPPINGS = 3  # [{"error": {"message": …}}]
_FORBIDDEN = 403
_SERVER_ERRORS = 500
_BY_STATUS: dict[int, type[Failure]] = {
    401: ApiKeyInvalidError,
    402: QuotaExhaustedError,
    403: ApiKeyInvalidError,
    408: AnalystUnavailableError,
    409: AnalystUnavailableError,
    429: AnalystRateLimitedError,
}


def classify_openai(error: Exception) -> Failure:
    """The failure that an exception of the OpenAI SDK, or of reading its answer, stands for.

    Args:
        error: whatever a call raised, and what making the client raised.

    Returns:
        A leaf with the API's own words as details and, where the API asks for it, a waiting time. To be raised ``from``
        the error.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error)
    for kinds, leaf, details in _without_status():
        if isinstance(error, kinds):
            return leaf(details or str(error))
    return UnexpectedError(f"{type(error).__name__} while asking the language model")


def _without_status() -> tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[Failure], str], ...]:
    """Leaf and details (else the exception's own words) by class; the first that fits decides."""
    import openai

    sockets = (openai.WebSocketConnectionClosedError, openai.WebSocketQueueFullError)
    return (
        (openai.ContentFilterFinishReasonError, PolicyRefusalError, "its content filter stopped the answer"),
        (openai.LengthFinishReasonError, AnalystBadAnswerError, "the answer was cut off at its length limit"),
        (openai.APIResponseValidationError, AnalystBadAnswerError, "the response is not of the API's form"),
        # Their own words quote the answer, and so the transcript.
        (ValidationError, AnalystBadAnswerError, "the answer does not fit its schema"),
        ((JSONDecodeError, UnicodeDecodeError), AnalystBadAnswerError, "the answer is not JSON"),
        (openai.InvalidWebhookSignatureError, AnalystBadAnswerError, ""),
        ((openai.APIError, *sockets), AnalystUnavailableError, ""),
        (openai.OpenAIError, AnalystMisconfiguredError, ""),
    )


def _of_status(error: "openai.APIStatusError") -> Failure:
    details = f"{error.status_code}: {_said(error) or error.message}"
    code, kind = _word(error.code), _word(error.type)
    if code in QUOTA_CODES or kind in QUOTA_CODES:
        return QuotaExhaustedError(details)
    if code in POLICY_CODES:
        return PolicyRefusalError(details)
    of_request = error.status_code in _OF_THE_REQUEST
    begins = next((leaf for words, leaf in _OF_THE_OPERATOR if of_request and words.match(_said(error))), None)
    if begins is not None and code not in PROMPT_CODES:
        return begins(details)
    if error.status_code in _OF_LENGTH_TOO and _is_too_large(error):
        return TranscriptTooLargeError(details)
    if _is_about_one_video(error):
        too_large = error.status_code == _TOO_LARGE or _is_too_large(error)
        return (TranscriptTooLargeError if too_large else AnalystRejectedError)(details)
    fallback = AnalystUnavailableError if error.status_code >= _SERVER_ERRORS else AnalystMisconfiguredError
    leaf = _BY_STATUS.get(error.status_code, fallback)
    return leaf(details, retry_after_s=retry_after_s(error.response.headers))


def _is_about_one_video(error: "openai.APIStatusError") -> bool:
    """Whether it may mind the words of this transcript, so that another video may fare better."""
    if error.status_code == _FORBIDDEN:
        return not (error.code or error.type)
    of_all = _word(error.code) in MODEL_CODES or (
        _word(error.param) in CONFIGURED_PARAMETERS and not _is_too_large(error)
    )
    return error.status_code in _OF_THE_REQUEST and not of_all


def _is_too_large(error: "openai.APIStatusError") -> bool:
    if _word(error.code) in PROMPT_CODES:
        return False
    may_be = error.status_code in _OF_THE_REQUEST | _OF_LENGTH_TOO
    return _word(error.code) in TOO_LARGE_CODES or (may_be and _TOO_LARGE_WORDS.search(_own_words(error)) is not None)


def minded_parameter(failure: Failure) -> str | None:
    """The parameter that the API minded and that can be left out; None where it minded another thing.

    Args:
        failure: as ``classify_openai`` made it, and as it was raised.
    """
    import openai

    error = failure.__cause__
    if not isinstance(error, openai.APIStatusError) or error.status_code not in _OF_THE_REQUEST:
        return None
    # One video's length, or words, change nothing in how others are asked.
    if isinstance(failure, TranscriptTooLargeError) or _word(error.code) in PROMPT_CODES:
        return None
    named = _word(error.param).split(".")[0]
    if named in LEFT_OUT:
        return named
    words = _own_words(error)
    if any(form in words for form in _FORM_WORDS):
        return "response_format"
    return next((name for name in LEFT_OUT if name in words), None)


def _own_words(error: "openai.APIStatusError") -> str:
    return f"{_word(error.param)} {_said(error) or error.message}"[:_OWN_WORDS_CHARS]


def _word(value: object) -> str:
    """A code, type or parameter; servers put anything there."""
    return value if isinstance(value, str) else ""


def _said(error: "openai.APIStatusError") -> str:
    """The server's own message, whatever it is wrapped in; blank where it is not where one expects it."""
    body: object = error.body
    for _ in range(_WRAPPINGS):
        if isinstance(body, list):
            body = next(iter(body), None)
        elif isinstance(body, dict):
            body = next((body[key] for key in ("message", "detail", "error") if body.get(key)), None)
    return _word(body)


def _of_connection(error: "openai.APIConnectionError") -> Failure:
    """No connection; an address that cannot be one is the operator's to mend."""
    cause = type(error.__cause__).__name__
    if cause in {"UnsupportedProtocol", "LocalProtocolError"}:
        return AnalystMisconfiguredError(f"OPENAI_BASE_URL or the key is malformed ({cause})")
    return AnalystUnavailableError(f"{error.message.rstrip('.')} ({cause})")
