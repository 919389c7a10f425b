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
from madvision_assets.tools.analyst.answers import KindAnswer, RankAnswer, json_in, moments_of
from madvision_assets.tools.analyst.errors import classify_openai, minded_parameter

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


ONE = '{"first_segment": 1, "last_segment": 2, "quote": "we read many books", "strength": "strong"}'


@pytest.mark.parametrize(
    "text",
    [
        f'{{"moments": [{ONE}]}}',
        f'```json\n{{"moments": [{ONE}]}}\n```\nI hope that helps {{smile}}.',
        f'{{"moments": [ // the best\n{ONE}, /* no more */],}}',
        f'{{"moments": [{ONE}]}}'.replace('"', "'"),
        f'{{"moments": []}}\n{{"moments": [{ONE}]}}',
        f'{{"moments": [{ONE}]}}\n{{"note": "done"}}',
        f'<think>[segment 3] and {{x}}</think>\n{{"moments": [{ONE}]}}',
        f'{{"answer": {{"moments": [{ONE}]}}}}',
        f'{{"moments": {{"1": {ONE}}}}}',
        json.dumps({"moments": f"[{ONE}]"}),
        json.dumps(f'{{"moments": [{ONE}]}}'),
        f'{{"moments": [{ONE}, {ONE[:40]}',
        ONE,
    ],
)
def test_the_moments_of_an_answer_are_found_however_it_is_wrapped(text: str) -> None:
    good, _ = moments_of(json_in(text))

    assert [(each.first_segment, each.last_segment, each.quote) for each in good] == [(1, 2, "we read many books")]


@pytest.mark.parametrize("text", ["", "null", '"x"', "<html>{}</html>", "[" * 100_000, '{"note": 1}', '{"moments": 5}'])
def test_where_there_are_none_it_is_a_bad_answer(text: str) -> None:
    with pytest.raises(failures.AnalystBadAnswerError):
        moments_of(json_in(text))


KIND = '"kind": "interview", "confidence": "high", "topics": ["bikes"], "reason": "Two talk."'


@pytest.mark.parametrize(
    ("text", "kind", "confidence"),
    [
        (f"{{{KIND}}}", "interview", "high"),
        (f'{{"answer": {{{KIND}}}}}', "interview", "high"),
        (f"[{{{KIND}}}]", "interview", "high"),
        (json.dumps(f"{{{KIND}}}"), "interview", "high"),
        ('{"kind": "Interview (questions and answers)", "confidence": "High"}', "interview", "high"),
        ('{"kind": "podcast", "confidence": "high"}', "other", "low"),
        ('{"kind": "interview", "confidence": 0.9}', "interview", "low"),
        ('{"kind": "interview"}', "interview", "low"),
    ],
)
def test_a_kind_is_understood_however_it_is_told(text: str, kind: str, confidence: str) -> None:
    answer = KindAnswer.understood(json_in(text))

    assert (answer.kind.value, answer.confidence.value) == (kind, confidence)
    assert answer.clean_topics() == (("bikes",) if "bikes" in text else ())


@pytest.mark.parametrize(
    "text", ['{"best_first": [2, 0, 1]}', "[2, 0, 1]", '{"ranking": [2, 0, 1]}', '{"a": {"best_first": ["2", 0, 1]}}']
)
def test_a_ranking_is_understood_however_it_is_told(text: str) -> None:
    assert RankAnswer.understood(json_in(text)).best_first == [2, 0, 1]


@pytest.mark.parametrize("text", ["{}", "[]", '"x"', '{"kind": null}', '{"kind": 3}', '{"moments": []}', '["news"]'])
def test_what_tells_no_kind_is_a_bad_answer(text: str) -> None:
    with pytest.raises(failures.AnalystBadAnswerError):
        KindAnswer.understood(json_in(text))


def test_a_number_that_no_segment_has_and_no_table_takes_is_none() -> None:
    other = ONE.replace(": 1,", f": {10**30},")

    good, bad = moments_of(json_in(f'{{"moments": [{ONE}, {other}]}}'))

    assert len(good) == 1
    assert [each.moment.first_segment for each in bad] == [-1]


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


def _is(leaf: type[failures.Failure], status: int, body: object) -> tuple[type[failures.Failure], int, object]:
    return leaf, status, body


@pytest.mark.parametrize(
    ("leaf", "status", "body"),
    [
        *(
            _is(failures.TranscriptTooLargeError, status, body)
            for status, body in (
                (400, {"message": "Input tokens exceed the limit.", "code": "context_length_exceeded"}),
                (400, {"message": "The prompt (total length 9000) is too long to fit into the model", "code": 400}),
                (400, {"message": "'max_tokens' is too large: 4096. This model's maximum context length is 8192"}),
                (400, {"message": "max_tokens must be at least 1, got -5000.", "code": 400}),
                (400, {"message": "the request exceeds the available context size.", "type": "exceed_context_size"}),
                (500, {"message": "Context size has been exceeded.", "code": 500}),
                (500, {"message": "input length exceeds maximum context length", "type": "api_error"}),
                (400, {"message": "litellm.ContextWindowExceededError: litellm.BadRequestError: x", "code": "400"}),
                (400, {"message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}),
                (400, [{"error": {"message": "The input token count (1200000) exceeds the maximum allowed"}}]),
                (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."),
                (400, {"detail": "Requested tokens exceed the maximum context length of 32768 tokens."}),
                (429, {"message": "Request too large for gpt-4o on tokens per min", "code": "rate_limit_exceeded"}),
                (413, "<html>413 Request Entity Too Large</html>"),
            )
        ),
        *(
            _is(failures.AnalystRejectedError, status, body)
            for status, body in (
                (400, {"message": "Unterminated string in JSON"}),
                (422, {"detail": [{"loc": ["body", "messages"], "msg": "str type expected"}]}),
                (400, {"message": "API key not valid, context length, temperature", "code": "invalid_prompt"}),
                (400, {"message": "Flagged: 'API key not valid. Your credit balance is too low.'"}),
                (400, {"message": {"a": 1}, "code": ["x"], "param": 5, "type": {}}),
                (403, "<html>Request blocked</html>"),
            )
        ),
        _is(failures.PolicyRefusalError, 400, {"message": "filtered", "param": "prompt", "code": "content_filter"}),
        _is(failures.PolicyRefusalError, 400, {"message": "litellm.ContentPolicyViolationError: x", "code": "400"}),
        _is(failures.ApiKeyInvalidError, 400, {"message": "API key not valid. Please pass a valid API key."}),
        _is(failures.ApiKeyInvalidError, 400, {"message": "Authentication Error, Invalid proxy server token passed."}),
        _is(failures.QuotaExhaustedError, 400, {"message": "Budget has been exceeded! Current cost: 12.0"}),
        _is(failures.QuotaExhaustedError, 400, {"message": "Your credit balance is too low to access the API."}),
        _is(failures.AnalystMisconfiguredError, 400, {"message": "invalid model ID"}),
        _is(failures.AnalystMisconfiguredError, 404, {"message": "model 'x' not found, try pulling it first"}),
        _is(failures.AnalystUnavailableError, 500, {"message": "llama runner process has terminated"}),
        _is(failures.AnalystRateLimitedError, 429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}),
    ],
)  # fmt: skip
def test_every_server_s_words_tell_whose_matter_it_is(leaf: type[failures.Failure], status: int, body: object) -> None:
    parts = body if isinstance(body, Mapping) else {}
    error = of_status(openai.APIStatusError, status, body)
    error.code, error.param, error.type = (parts.get(name) for name in ("code", "param", "type"))

    failure = classify_openai(error)

    assert type(failure) is leaf
    failure.__cause__ = error
    assert minded_parameter(failure) is None


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
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"retry-after": "\u00b2"}, None),
        ({"retry-after": "9" * 400}, None),
    ],
)
def test_the_waiting_time_is_read_in_every_form(headers: Mapping[str, str], expected_s: float | None) -> None:
    assert retry_after_s(headers) == expected_s


def test_a_waiting_time_given_as_a_date_is_counted_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert retry_after_s({"retry-after": date}) == pytest.approx(90, abs=5)
