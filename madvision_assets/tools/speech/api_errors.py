"""Every way in which the OpenAI SDK fails at a transcription, as a leaf of the taxonomy.

status  400 413 415 422    the request, which holds one video's sound: that video's matter, unless the API names a
                           parameter that we set for all
        401 403            the key; a 403 in nobody's words (a firewall before the API) is that video's matter too
        404 and the rest   the model or the address: somebody must change the configuration
        402, 429 quota     the account
        408 409 429 5xx    wait; the session has tried again within seconds
answer  refused, filtered  the same again next time: permanent
        of another form    asked again later
"""

from json import JSONDecodeError
from typing import TYPE_CHECKING

from pydantic import ValidationError

from madvision_assets.domain.failures import (
    Failure,
    SpeechApiBadAnswerError,
    SpeechApiKeyInvalidError,
    SpeechApiMisconfiguredError,
    SpeechApiQuotaExhaustedError,
    SpeechApiRateLimitedError,
    SpeechApiRejectedError,
    SpeechApiUnavailableError,
    SpeechRefusedError,
    UnexpectedError,
)
from madvision_assets.domain.retry_after import retry_after_s

if TYPE_CHECKING:
    import openai

QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
POLICY_CODES = frozenset({"content_filter", "content_policy_violation"})
MODEL_CODES = frozenset({"model_not_found", "invalid_model"})
# What says in which form we want the answer; a server that cannot give it may be asked for a simpler one.
FORM_PARAMETERS = ("response_format", "timestamp_granularities")
_OF_ALL = frozenset({"model", "temperature"})
_OF_THE_REQUEST = frozenset({400, 413, 415, 422})
_BAD_REQUEST, _FORBIDDEN, _SERVER_ERRORS = 400, 403, 500
_UNPROCESSABLE = 422
_BY_STATUS: dict[int, type[Failure]] = {
    401: SpeechApiKeyInvalidError,
    402: SpeechApiQuotaExhaustedError,
    403: SpeechApiKeyInvalidError,
    408: SpeechApiUnavailableError,
    409: SpeechApiUnavailableError,
    429: SpeechApiRateLimitedError,
}


def classify_openai(error: Exception) -> Failure:
    """The failure that an exception of the OpenAI SDK, or of reading its answer, stands for.

    Returns:
        A leaf with the API's own words as details and, where the API asks for it, a waiting time. To be raised ``from``
        the error.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error)
    # Their own words quote the answer, and so what was said.
    no_answer = (openai.APIResponseValidationError, ValidationError, JSONDecodeError, UnicodeDecodeError)
    if isinstance(error, no_answer):
        return SpeechApiBadAnswerError("the answer is not of the API's form")
    if isinstance(error, openai.APIError):
        return SpeechApiUnavailableError(str(error))
    if isinstance(error, openai.OpenAIError):
        return SpeechApiMisconfiguredError(str(error))
    return UnexpectedError(f"{type(error).__name__} while asking the transcription API")


def minds_the_form(error: "openai.APIStatusError") -> bool:
    """Whether it minds the form in which we want the answer, which not every model has."""
    if error.status_code not in {_BAD_REQUEST, _UNPROCESSABLE}:
        return False
    told = f"{error.param} {error.message}"
    return any(name in told for name in FORM_PARAMETERS)


def _of_status(error: "openai.APIStatusError") -> Failure:
    details = f"{error.status_code}: {error.message}"
    if error.code in QUOTA_CODES or error.type in QUOTA_CODES:
        return SpeechApiQuotaExhaustedError(details)
    if error.code in POLICY_CODES:
        return SpeechRefusedError(details)
    if _is_about_one_video(error):
        return SpeechApiRejectedError(details)
    fallback = SpeechApiUnavailableError if error.status_code >= _SERVER_ERRORS else SpeechApiMisconfiguredError
    leaf = _BY_STATUS.get(error.status_code, fallback)
    return leaf(details, retry_after_s=retry_after_s(error.response.headers))


def _is_about_one_video(error: "openai.APIStatusError") -> bool:
    """Whether it may mind the sound or the options of this video, so that another may fare better."""
    if error.status_code == _FORBIDDEN:
        return not (error.code or error.type)
    return (
        error.status_code in _OF_THE_REQUEST
        and error.code not in MODEL_CODES
        and error.param not in _OF_ALL
        and not minds_the_form(error)
    )


def _of_connection(error: "openai.APIConnectionError") -> Failure:
    """No connection; an address that cannot be one is the operator's to mend."""
    cause = type(error.__cause__).__name__
    if cause in {"UnsupportedProtocol", "LocalProtocolError"}:
        return SpeechApiMisconfiguredError(f"OPENAI_BASE_URL or the key is malformed ({cause})")
    return SpeechApiUnavailableError(f"{error.message.rstrip('.')} ({cause})")
