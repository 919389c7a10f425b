"""Every exception of the OpenAI SDK has its leaf."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import openai
import pytest
from openai import _exceptions as exceptions
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ValidationError

from madvision_assets.domain import failures
from madvision_assets.domain.retry_after import retry_after_s
from madvision_assets.tools.analyst.errors import classify_openai

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
COMPLETION = ChatCompletion(id="1", choices=[], created=0, model="gpt-4o", object="chat.completion")


def of_status(kind: type[openai.APIStatusError], status: int, body: object = None) -> openai.APIStatusError:
    return kind("No.", response=httpx2.Response(status, request=REQUEST), body=body)


# One instance of each; the leaf that it must become.
EXPECTED: dict[str, tuple[Exception, type[failures.Failure]]] = {
    "APIConnectionError": (openai.APIConnectionError(request=REQUEST), failures.AnalystUnavailableError),
    "APIError": (openai.APIError("No.", REQUEST, body=None), failures.AnalystUnavailableError),
    "APIResponseValidationError": (
        openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), body=None),
        failures.AnalystBadAnswerError,
    ),
    "APIStatusError": (of_status(openai.APIStatusError, 418), failures.AnalystMisconfiguredError),
    "APITimeoutError": (openai.APITimeoutError(request=REQUEST), failures.AnalystUnavailableError),
    "AuthenticationError": (of_status(openai.AuthenticationError, 401), failures.ApiKeyInvalidError),
    "BadRequestError": (of_status(openai.BadRequestError, 400), failures.AnalystRejectedError),
    "ConflictError": (of_status(openai.ConflictError, 409), failures.AnalystUnavailableError),
    "ContentFilterFinishReasonError": (openai.ContentFilterFinishReasonError(), failures.PolicyRefusalError),
    "InternalServerError": (of_status(openai.InternalServerError, 500), failures.AnalystUnavailableError),
    "InvalidWebhookSignatureError": (openai.InvalidWebhookSignatureError("No."), failures.AnalystBadAnswerError),
    "LengthFinishReasonError": (
        openai.LengthFinishReasonError(completion=COMPLETION),
        failures.AnalystBadAnswerError,
    ),
    "NotFoundError": (of_status(openai.NotFoundError, 404), failures.AnalystMisconfiguredError),
    "OAuthError": (
        openai.OAuthError(response=httpx2.Response(401, request=REQUEST), body=None),
        failures.ApiKeyInvalidError,
    ),
    "OpenAIError": (openai.OpenAIError("No."), failures.AnalystMisconfiguredError),
    "PermissionDeniedError": (of_status(openai.PermissionDeniedError, 403), failures.AnalystRejectedError),
    "RateLimitError": (of_status(openai.RateLimitError, 429), failures.AnalystRateLimitedError),
    "SubjectTokenProviderError": (exceptions.SubjectTokenProviderError("No."), failures.AnalystMisconfiguredError),
    "UnprocessableEntityError": (of_status(openai.UnprocessableEntityError, 422), failures.AnalystRejectedError),
    "WebSocketConnectionClosedError": (
        openai.WebSocketConnectionClosedError("No.", unsent_messages=[]),
        failures.AnalystUnavailableError,
    ),
    "WebSocketQueueFullError": (openai.WebSocketQueueFullError("No."), failures.AnalystUnavailableError),
}


def exported_exceptions() -> set[str]:
    found = {**vars(openai), **vars(exceptions)}
    return {name for name, value in found.items() if isinstance(value, type) and issubclass(value, Exception)}


def test_every_exception_that_the_sdk_exports_is_expected_here() -> None:
    private = {name for name in exported_exceptions() if name.startswith("_")}

    assert exported_exceptions() - private == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_exception_of_the_sdk_becomes_its_leaf(name: str) -> None:
    error, leaf = EXPECTED[name]

    assert type(error).__name__ == name
    assert type(classify_openai(error)) is leaf


class Form(BaseModel):
    """An answer that wants a number."""

    number: int


def test_an_answer_that_does_not_fit_is_told_without_quoting_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate_json('{"number": "what somebody said"}')

    failure = classify_openai(caught.value)
    assert type(failure) is failures.AnalystBadAnswerError
    assert "somebody" not in str(failure)


def test_what_is_not_json_is_a_bad_answer() -> None:
    assert type(classify_openai(json.JSONDecodeError("No", "{", 0))) is failures.AnalystBadAnswerError


def test_an_exception_of_nobody_is_unexpected_and_named() -> None:
    failure = classify_openai(KeyError("x"))

    assert type(failure) is failures.UnexpectedError
    assert "KeyError" in failure.details


@pytest.mark.parametrize("body", [{"code": "insufficient_quota"}, {"type": "insufficient_quota"}])
def test_an_exhausted_quota_is_told_from_a_rate_limit(body: Mapping[str, str]) -> None:
    error = of_status(openai.RateLimitError, 429, body)

    assert type(classify_openai(error)) is failures.QuotaExhaustedError


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "20"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_the_waiting_time_is_read_in_every_form(headers: Mapping[str, str], expected_s: float | None) -> None:
    assert retry_after_s(headers) == expected_s


def test_a_waiting_time_given_as_a_date_is_counted_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert retry_after_s({"retry-after": date}) == pytest.approx(90, abs=5)
