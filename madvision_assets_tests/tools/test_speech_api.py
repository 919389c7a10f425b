"""Claims about the engine ``api``: real HTTP to a server that hears what it is told to."""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from openai import _exceptions as exceptions
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ValidationError

from madvision_assets.domain import failures as f
from madvision_assets.domain.heard import Asked, HeardWord
from madvision_assets.domain.languages import NAMES, language_code
from madvision_assets.domain.segments import clean_segments
from madvision_assets.tools.speech import EngineOptions
from madvision_assets.tools.speech.api import RATE_HZ, UNTIMED_S, SpeechApi, cuts
from madvision_assets.tools.speech.api_errors import classify_openai
from madvision_assets.tools.speech.api_prices import billed_s, cost_usd, usd_per_minute
from madvision_assets.tools.speech.registry import find_engine
from madvision_assets_tests import openai_faults
from madvision_assets_tests.openai_faults import Fault
from madvision_assets_tests.transcription_server import (
    HIDDEN_TEXT_ONLY,
    KEY,
    MODELS,
    SEGMENTS_ONLY,
    SILENTLY_TEXT_ONLY,
    TEXT_ONLY,
    TRANSLATIONS,
    WHISPER,
    FakeTranscriptions,
)

Samples = NDArray[np.float32]
PLAIN = Asked()
BEFORE_SPLIT_S = 1.0

SAID: Mapping[str, Any] = {
    "text": " Measure first. Then change, one thing.",
    "language": "english",
    "segments": [
        {"text": " Measure first.", "start": 0.0, "end": 1.2, "avg_logprob": -0.2, "no_speech_prob": 0.01},
        {"text": " Then change, one thing.", "start": 1.5, "end": 3.0, "avg_logprob": -0.4, "no_speech_prob": 0.01},
    ],
    "words": [
        {"word": "Measure", "start": 0.1, "end": 0.6},
        {"word": "first", "start": 0.6, "end": 1.1},
        {"word": "Then", "start": 1.5, "end": 1.7},
        {"word": "change", "start": 1.7, "end": 2.1},
        {"word": "one", "start": 2.3, "end": 2.5},
        {"word": "thing", "start": 2.5, "end": 2.9},
    ],
}
BEYOND = [{"word": "Measure", "start": 900.0, "end": 901.0}]
NOWHERE = {"word": "Measure", "start": None, "end": math.inf}
UNTIMED = [{"text": " Measure first."}, {"start": None, "end": 3.0, "text": " Then change, one thing."}]


def tone(length_s: float) -> Samples:
    """A tone that pauses for half a second at each fifth one, so that there is something to cut at."""
    at = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    loud = at % 5 < 4.5
    return (0.3 * np.sin(2 * np.pi * 440 * at) * loud).astype(np.float32)


def told(_samples: Samples, _asked: Asked) -> Mapping[str, Any]:
    return SAID


@pytest.fixture
def server() -> Iterator[FakeTranscriptions]:
    with FakeTranscriptions(told) as fake:
        yield fake


def api(server: FakeTranscriptions, model: str = WHISPER, key: str = KEY, **options: Any) -> SpeechApi:
    return SpeechApi(model, key, server.base_url, **options)


def texts(words: tuple[HeardWord, ...]) -> list[str]:
    return [word.text.strip() for word in words]


# --- what is heard ---


def test_words_have_their_times_and_the_marks_of_the_text_that_they_lie_in(server: FakeTranscriptions) -> None:
    heard = api(server).transcribe(tone(4), PLAIN)

    first, second = heard.segments
    assert heard.language == "en"
    assert texts(first.words + second.words) == ["Measure", "first.", "Then", "change,", "one", "thing."]
    assert [(w.start_s, w.end_s) for w in second.words] == [(1.5, 1.7), (1.7, 2.1), (2.3, 2.5), (2.5, 2.9)]
    assert first.words[0].probability == pytest.approx(np.exp(-0.2))
    assert not any(word.estimated for word in first.words + second.words)
    (sent,) = server.sent
    assert sent.fields["response_format"] == "verbose_json"
    assert sent.fields["timestamp_granularities[]"] == ["word", "segment"]
    assert len(sent.samples) == 4 * RATE_HZ
    assert np.abs(sent.samples - tone(4)).max() < 0.001


def test_what_is_asked_of_it_is_sent_along(server: FakeTranscriptions) -> None:
    api(server).transcribe(tone(4), Asked("de", vocabulary=("Dagster", "MadVision")))

    fields = server.sent[0].fields
    assert (fields["language"], fields["prompt"]) == ("de", "Dagster, MadVision.")


def test_a_server_without_times_of_words_is_asked_for_segments_and_remembered(server: FakeTranscriptions) -> None:
    engine = api(server, SEGMENTS_ONLY)

    heard = engine.transcribe(tone(4), PLAIN)
    engine.transcribe(tone(4), PLAIN)

    assert [segment.words for segment in heard.segments] == [(), ()]
    assert [segment.start_s for segment in heard.segments] == [0.0, 1.5]
    assert ["timestamp_granularities[]" in sent.fields for sent in server.sent] == [True, False, False]
    first, _ = clean_segments(heard.segments, 0.0, [(0.0, 4.0)])
    assert [word.text for word in first.words] == ["Measure", "first."]
    assert first.estimated


@pytest.mark.parametrize("model", [TEXT_ONLY, HIDDEN_TEXT_ONLY, SILENTLY_TEXT_ONLY])
def test_a_model_that_gives_text_alone_is_sent_short_pieces_cut_in_pauses(
    server: FakeTranscriptions, model: str
) -> None:
    engine = api(server, model)
    heard = engine.transcribe(tone(60), PLAIN)

    short = [sent for sent in server.sent if sent.fields["response_format"] == "json"]
    lengths = [len(sent.samples) / RATE_HZ for sent in short if len(sent.samples) <= UNTIMED_S * RATE_HZ]
    assert sum(lengths) == pytest.approx(60)
    assert len(heard.segments) == len(lengths) > 2
    edges = [segment.start_s for segment in heard.segments][1:]
    assert all(edge % 5 >= 4.5 for edge in edges)
    assert heard.segments[-1].end_s == pytest.approx(60)
    before = len(server.sent)
    engine.transcribe(tone(60), PLAIN)
    assert len(server.sent) - before == len(lengths)  # it is known by now


def test_silence_is_not_sent_to_a_model_that_would_make_words_of_it(server: FakeTranscriptions) -> None:
    samples = np.concatenate([tone(10), np.zeros(60 * RATE_HZ, np.float32), tone(10)])

    api(server, TEXT_ONLY).transcribe(samples, PLAIN)

    assert 0 < len(server.sent) < 4


def test_a_file_is_under_the_limit_and_times_count_from_the_start_of_the_window(server: FakeTranscriptions) -> None:
    server.max_file_bytes = 200_000
    heard = api(server, max_file_bytes=200_000).transcribe(tone(20), PLAIN)

    assert len(server.sent) > 3
    assert max(sent.size_bytes for sent in server.sent) <= 200_000
    assert sum(len(sent.samples) for sent in server.sent) == 20 * RATE_HZ
    starts = np.cumsum([0.0, *[len(sent.samples) / RATE_HZ for sent in server.sent[:-1]]])
    assert [s.words[0].start_s for s in heard.segments[::2]] == pytest.approx(list(starts + 0.1))


def test_cuts_lie_in_pauses_and_lose_nothing() -> None:
    found = list(cuts(tone(100), 30.0))

    assert found[0][0] == 0
    assert found[-1][1] == 100 * RATE_HZ
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(last / RATE_HZ % 5 >= 4.5 for _, last in found[:-1])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"text": "", "segments": [], "words": []}, []),
        ({"text": " ", "segments": None, "words": None}, []),
        ({"segments": SAID["segments"], "words": []}, ["Measure first.", "Then change, one thing."]),
        ({"segments": [], "words": SAID["words"]}, ["Measure first. Then change, one thing."]),
        ({"words": SAID["words"][::-1]}, ["Measure first.", "Then change, one thing."]),
        (
            {"words": [*BEYOND, *SAID["words"][1:]]},
            ["Measure first.", "Then change, one thing."],
        ),
        (
            {"segments": [SAID["segments"][0], {**SAID["segments"][1], "start": 77.0, "end": 99.0}]},
            ["Measure first."],
        ),
        (
            {"segments": [SAID["segments"][0], {**SAID["segments"][1], "no_speech_prob": 0.9, "avg_logprob": -1.5}]},
            ["Measure first."],
        ),
        ({"segments": [{**each, "no_speech_prob": 0.9, "avg_logprob": -1.5} for each in SAID["segments"]]}, []),
        (
            {"segments": [SAID["segments"][0], {**SAID["segments"][1], "start": None}], "words": SAID["words"]},
            ["Measure first. Then change, one thing."],
        ),
        (
            {"segments": [{**SAID["segments"][0], "end": math.nan}, SAID["segments"][1]], "words": SAID["words"]},
            ["Measure first. Then change, one thing."],
        ),
        (
            {"segments": [{**each, "avg_logprob": math.nan} for each in SAID["segments"]], "words": SAID["words"]},
            ["Measure first.", "Then change, one thing."],
        ),
        (
            {"words": [NOWHERE, *SAID["words"][1:]]},
            ["Measure first.", "Then change, one thing."],
        ),
        (
            {"segments": [{"start": 0, "end": 1, "text": " "}, *UNTIMED], "words": []},
            ["Measure first. Then change, one thing."],
        ),
        (
            {"segments": [{**SAID["segments"][0], "no_speech_prob": 0.9, "avg_logprob": -1.5}, *UNTIMED]},
            ["Measure first. Then change, one thing."],
        ),
    ],
    ids=[
        *("empty", "blank", "no words", "no segments", "out of order", "word beyond", "segment beyond", "no speech"),
        *("no speech at all", "segment without start", "segment that ends nowhere", "odd logprob", "word without time"),
        *("time of a blank alone", "time of no speech alone"),
    ],
)
def test_whatever_a_server_leaves_out_or_gets_wrong_times_rise_and_lie_in_the_sound(
    server: FakeTranscriptions, answer: Mapping[str, Any], expected: list[str]
) -> None:
    server.script(Fault(change=answer))

    heard = api(server).transcribe(tone(4), PLAIN)

    assert [segment.text.strip() for segment in heard.segments] == expected
    words = [word for segment in heard.segments for word in segment.words]
    # What is told in any order is kept; the time beyond the sound alone is not.
    assert sum(word.estimated for word in words) == ((answer.get("words") or [None])[0] in (*BEYOND, NOWHERE))
    times = [time_s for word in words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(0 <= time_s <= 4 for time_s in times)
    if words:
        assert [word for segment in heard.segments for word in segment.text.split()] == texts(tuple(words))


def test_segments_without_any_time_are_sent_again_in_short_pieces(server: FakeTranscriptions) -> None:
    server.script(Fault(change={"segments": [{"text": "Measure first."}, {"text": "Then change."}], "words": []}))

    heard = api(server).transcribe(tone(60), PLAIN)

    assert len(server.sent) > 2
    assert heard.segments[-1].end_s == pytest.approx(60)


def test_a_translation_is_asked_for_where_it_is_made_and_its_language_is_not_taken_for_the_spoken_one(
    server: FakeTranscriptions,
) -> None:
    engine = api(server)
    heard = engine.transcribe(tone(4), Asked(translate=True))
    engine.transcribe(tone(4), PLAIN)

    assert heard.language == ""
    translated, plain = server.sent
    assert translated.path == TRANSLATIONS
    assert "language" not in translated.fields
    assert "timestamp_granularities[]" in plain.fields


@pytest.mark.parametrize("model", [TEXT_ONLY, SEGMENTS_ONLY])
def test_a_model_that_makes_no_translations_says_so_for_good(server: FakeTranscriptions, model: str) -> None:
    with pytest.raises(f.TranslationUnavailableError, match=model):
        api(server, model).transcribe(tone(4), Asked("de", translate=True))


def test_every_language_is_told_by_code_tag_or_name() -> None:
    assert all(language_code(code) == language_code(name.title()) == code for code, name in NAMES.items())
    assert [language_code(each) for each in ("pt-BR", "zh_Hans", "Burmese", "Klingon", "")] == [
        "pt",
        "zh",
        "my",
        "",
        "",
    ]


# --- what it costs ---


def test_each_second_that_was_sent_is_counted_and_paid_for() -> None:
    assert usd_per_minute(WHISPER, "api.openai.com") == 0.006
    assert usd_per_minute("gpt-4o-mini-transcribe-2025-12-15", "api.openai.com") == 0.003
    assert usd_per_minute(WHISPER, "speech.example") is None
    assert (billed_s(59.2), billed_s(60.0)) == (60, 60)
    assert cost_usd(600, 0.006) == 0.06
    assert cost_usd(600, None) == 0


def test_usage_counts_the_requests_and_the_seconds_of_all_files(server: FakeTranscriptions) -> None:
    heard = api(server, SILENTLY_TEXT_ONLY).transcribe(tone(60), PLAIN)

    assert heard.usage["requests"] == len(server.sent)
    assert heard.usage["audio_s"] >= 120  # the first answer had no times, and was paid for
    assert heard.cost_usd == 0  # at no known price


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("fault", "leaf"),
    [
        (openai_faults.server_error(), f.SpeechApiUnavailableError),
        (openai_faults.server_error(503), f.SpeechApiUnavailableError),
        (openai_faults.rate_limited(), f.SpeechApiRateLimitedError),
        (openai_faults.insufficient_quota(), f.SpeechApiQuotaExhaustedError),
        (openai_faults.refused(401, "invalid_api_key"), f.SpeechApiKeyInvalidError),
        (openai_faults.refused(403, "unsupported_country_region_territory"), f.SpeechApiKeyInvalidError),
        (openai_faults.refused(403, "", kind=""), f.SpeechApiRejectedError),
        (openai_faults.refused(404, "model_not_found"), f.SpeechApiMisconfiguredError),
        (openai_faults.refused(400, "invalid_value", parameter="model"), f.SpeechApiMisconfiguredError),
        (openai_faults.refused(400, "invalid_value", parameter="file"), f.SpeechApiRejectedError),
        (openai_faults.refused(413, "request_too_large"), f.SpeechApiRejectedError),
        (openai_faults.refused(415, "unsupported_media_type"), f.SpeechApiRejectedError),
        (openai_faults.refused(422, "invalid_value"), f.SpeechApiRejectedError),
        (openai_faults.refused(400, "content_policy_violation"), f.SpeechRefusedError),
        (openai_faults.refused(402, "payment_required"), f.SpeechApiQuotaExhaustedError),
        (openai_faults.web_page(), f.SpeechApiUnavailableError),
        (Fault(body=""), f.SpeechApiUnavailableError),
        (openai_faults.with_200({"message": "Provider returned error", "code": 502}), f.SpeechApiUnavailableError),
        (openai_faults.with_200({"message": "Slow down", "code": 429}), f.SpeechApiRateLimitedError),
        (Fault(body='{"text": '), f.SpeechApiBadAnswerError),
        (Fault(body='\ufeff{"text": '), f.SpeechApiBadAnswerError),
        (Fault(body="[" * 100_000), f.SpeechApiBadAnswerError),
        (Fault(change={"text": None}), f.SpeechApiBadAnswerError),
    ],
)
def test_what_goes_wrong_at_the_api_is_a_leaf_of_the_taxonomy(
    server: FakeTranscriptions, fault: Fault, leaf: type[f.Failure]
) -> None:
    server.script(fault, fault, fault)

    with pytest.raises(leaf) as caught:
        api(server).transcribe(tone(4), PLAIN)

    assert caught.value.code == leaf.code
    assert caught.value.details


def test_a_server_error_is_retried_within_seconds_by_one_part_alone(server: FakeTranscriptions) -> None:
    server.script(*[openai_faults.server_error()] * 9)

    with pytest.raises(f.SpeechApiUnavailableError):
        api(server).transcribe(tone(4), PLAIN)

    assert len(server.sent) == 3


def test_the_waiting_time_that_the_api_asks_for_is_handed_on(server: FakeTranscriptions) -> None:
    server.script(openai_faults.rate_limited({"retry-after": "300"}))

    with pytest.raises(f.SpeechApiRateLimitedError) as caught:
        api(server).transcribe(tone(4), PLAIN)

    assert caught.value.retry_after_s == 300


@pytest.mark.parametrize("fault", [openai_faults.closed_connection(), openai_faults.slow(3)], ids=["closed", "slow"])
def test_a_lost_or_stalled_connection_is_an_api_that_cannot_be_reached(
    server: FakeTranscriptions, fault: Fault
) -> None:
    server.script(fault)

    with pytest.raises(f.SpeechApiUnavailableError):
        api(server, max_retries=0, timeout_s=0.5).transcribe(tone(4), PLAIN)


def test_a_server_that_does_not_listen_cannot_be_reached_and_a_wrong_address_is_told() -> None:
    with pytest.raises(f.SpeechApiUnavailableError):
        SpeechApi(WHISPER, KEY, "http://127.0.0.1:1/v1", max_retries=0).transcribe(tone(1), PLAIN)
    with pytest.raises(f.SpeechApiMisconfiguredError, match="OPENAI_BASE_URL"):
        SpeechApi(WHISPER, KEY, "127.0.0.1/v1", max_retries=0).transcribe(tone(1), PLAIN)


@pytest.mark.parametrize(("key", "said"), [("", "no key is set"), ("sk bad", "characters"), ("sk-wrong", "401")])
def test_a_key_that_does_not_open_is_the_operators_to_mend_and_is_told_nowhere(
    server: FakeTranscriptions, key: str, said: str
) -> None:
    engine = api(server, key=key)
    with pytest.raises(f.SpeechApiKeyInvalidError, match=said) as caught:
        engine.transcribe(tone(1), PLAIN)

    assert caught.value.resource is f.Resource.SPEECH
    for text in (str(caught.value), repr(engine), repr(engine.recipe())):
        assert not key or key not in text


def test_doctor_names_the_models_that_there_are_where_ours_is_none_of_them(server: FakeTranscriptions) -> None:
    ready, told_of = api(server).check()
    assert ready
    assert "whisper-1 of 127.0.0.1, at a price that is not known, by api" in told_of

    with pytest.raises(
        f.SpeechApiMisconfiguredError, match=r"no model 'tiny\.en'; it has gpt-4o-transcribe, whisper-1"
    ):
        api(server, "tiny.en").check()
    assert server.sent == []


def test_a_server_that_lists_no_models_is_no_fault() -> None:
    with FakeTranscriptions(told, lists_models=False) as server:
        ready, told_of = api(server).check()

    assert not ready
    assert "the first transcript tells" in told_of


def test_the_engine_is_made_by_its_name_with_the_model_that_apis_have() -> None:
    descriptor = find_engine("api")

    assert descriptor.default_model == WHISPER in MODELS
    made = descriptor.make(EngineOptions(WHISPER, models_folder=Path(), api_key=KEY))
    recipe = made.recipe()
    assert (recipe.engine, recipe.model) == ("api", WHISPER)
    assert recipe.parameters == {"server": "api.openai.com", "temperature": 0, "price_known": True}


# --- every exception of the SDK ---

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/audio/transcriptions")
COMPLETION = ChatCompletion(id="1", choices=[], created=0, model="gpt-4o", object="chat.completion")


def of_status(kind: type[openai.APIStatusError], status: int) -> openai.APIStatusError:
    return kind("No.", response=httpx2.Response(status, request=REQUEST), body=None)


EXPECTED: dict[str, tuple[Exception, type[f.Failure]]] = {
    "APIConnectionError": (openai.APIConnectionError(request=REQUEST), f.SpeechApiUnavailableError),
    "APIError": (openai.APIError("No.", REQUEST, body=None), f.SpeechApiUnavailableError),
    "APIResponseValidationError": (
        openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), body=None),
        f.SpeechApiBadAnswerError,
    ),
    "APIStatusError": (of_status(openai.APIStatusError, 418), f.SpeechApiMisconfiguredError),
    "APITimeoutError": (openai.APITimeoutError(request=REQUEST), f.SpeechApiUnavailableError),
    "AuthenticationError": (of_status(openai.AuthenticationError, 401), f.SpeechApiKeyInvalidError),
    "BadRequestError": (of_status(openai.BadRequestError, 400), f.SpeechApiRejectedError),
    "ConflictError": (of_status(openai.ConflictError, 409), f.SpeechApiUnavailableError),
    "ContentFilterFinishReasonError": (openai.ContentFilterFinishReasonError(), f.SpeechApiMisconfiguredError),
    "InternalServerError": (of_status(openai.InternalServerError, 500), f.SpeechApiUnavailableError),
    "InvalidWebhookSignatureError": (openai.InvalidWebhookSignatureError("No."), f.UnexpectedError),
    "LengthFinishReasonError": (openai.LengthFinishReasonError(completion=COMPLETION), f.SpeechApiMisconfiguredError),
    "NotFoundError": (of_status(openai.NotFoundError, 404), f.SpeechApiMisconfiguredError),
    "OAuthError": (
        openai.OAuthError(response=httpx2.Response(401, request=REQUEST), body=None),
        f.SpeechApiKeyInvalidError,
    ),
    "OpenAIError": (openai.OpenAIError("No."), f.SpeechApiMisconfiguredError),
    "PermissionDeniedError": (of_status(openai.PermissionDeniedError, 403), f.SpeechApiRejectedError),
    "RateLimitError": (of_status(openai.RateLimitError, 429), f.SpeechApiRateLimitedError),
    "SubjectTokenProviderError": (exceptions.SubjectTokenProviderError("No."), f.SpeechApiMisconfiguredError),
    "UnprocessableEntityError": (of_status(openai.UnprocessableEntityError, 422), f.SpeechApiRejectedError),
    "WebSocketConnectionClosedError": (
        openai.WebSocketConnectionClosedError("No.", unsent_messages=[]),
        f.SpeechApiMisconfiguredError,
    ),
    "WebSocketQueueFullError": (openai.WebSocketQueueFullError("No."), f.SpeechApiMisconfiguredError),
}


def test_the_list_of_exceptions_is_the_sdks_own() -> None:
    found = {**vars(openai), **vars(exceptions)}
    exported = {
        name
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, Exception) and name[0] != "_"
    }
    assert exported == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_exception_has_its_leaf(name: str) -> None:
    error, leaf = EXPECTED[name]

    assert type(classify_openai(error)) is leaf


def test_an_answer_of_another_form_quotes_nothing_that_was_said() -> None:
    class Form(BaseModel):
        number: int

    with pytest.raises(ValidationError) as caught:
        Form.model_validate({"number": "what somebody said"})

    assert "somebody" not in classify_openai(caught.value).details
