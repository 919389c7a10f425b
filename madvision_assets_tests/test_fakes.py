"""The fakes do what the real services do, as far as we use them."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel, ConfigDict

from madvision_assets_tests import openai_faults
from madvision_assets_tests.fakes import KEY, MODELS, FakeOpenAI
from madvision_assets_tests.waiting import wait_for


class Moments(BaseModel):
    """What the analyst reads, as far as these tests look."""

    model_config = ConfigDict(extra="forbid")
    moments: list[dict[str, Any]]


SCHEMA = {
    "type": "object",
    "properties": {"moments": {"type": "array"}},
    "required": ["moments"],
    "additionalProperties": False,
}
TEXTS = [f"Sentence {n} says something of its own." for n in range(30)]


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def request_body(**changes: Any) -> dict[str, Any]:
    data = "\n".join(json.dumps({"id": 100 + n, "text": text}) for n, text in enumerate(TEXTS))
    form = {"name": "Moments", "strict": True, "schema": SCHEMA}
    return {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Choose."}, {"role": "user", "content": data}],
        "response_format": {"type": "json_schema", "json_schema": form},
        **changes,
    }


def call(fake: FakeOpenAI, body: Any = None, *, path: str = "/v1/chat/completions", key: str = KEY) -> tuple[int, Any]:
    """Status and JSON of one request; a GET where there is no body."""
    connection = http.client.HTTPConnection(urlsplit(fake.base_url).netloc, timeout=60)
    try:
        payload = body if isinstance(body, str | None) else json.dumps(body)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, payload, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_every_answer_is_billed_and_no_refusal_is(fake: FakeOpenAI) -> None:
    _, first = call(fake, request_body())
    call(fake, request_body(), key="sk-wrong")
    fake.script(openai_faults.slow(0.2))
    _, second = call(fake, request_body())

    assert fake.billed == [answer["usage"]["total_tokens"] for answer in (first, second)]


def test_moments_quote_the_transcript_that_came_with_the_request(fake: FakeOpenAI) -> None:
    status, answer = call(fake, request_body())

    assert status == 200
    assert answer["model"] == "gpt-4o-2024-11-20"
    assert answer["usage"]["total_tokens"] > 100
    moments = Moments.model_validate_json(answer["choices"][0]["message"]["content"]).moments
    assert len(moments) == 5
    for m in moments:
        assert m["quote"] in TEXTS[m["first_segment"] - 100 : m["last_segment"] - 99]


def test_the_kind_is_answered_where_the_schema_asks_for_it(fake: FakeOpenAI) -> None:
    properties = {name: {"type": "string"} for name in ("reason", "kind", "confidence", "topics")}
    schema = {**SCHEMA, "properties": properties, "required": list(properties)}
    form = {"type": "json_schema", "json_schema": {"name": "Kind", "strict": True, "schema": schema}}
    _, answer = call(fake, request_body(response_format=form))

    assert set(json.loads(answer["choices"][0]["message"]["content"])) == set(properties)


def test_requests_are_recorded(fake: FakeOpenAI) -> None:
    call(fake, request_body(seed=7))

    (request,) = fake.completions
    assert request.body["seed"] == 7
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_wrong_key_is_refused(fake: FakeOpenAI) -> None:
    status, answer = call(fake, request_body(), key="sk-other")

    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{not json", 400),
        ("[]", 400),
        (request_body(model="gpt-99"), 404),
        (request_body(messages=[]), 400),
        (request_body(response_format={"type": "text"}), 400),
    ],
)
def test_a_request_that_openai_refuses_is_refused(fake: FakeOpenAI, body: Any, status: int) -> None:
    assert call(fake, body)[0] == status


def test_a_schema_that_is_not_strict_is_refused(fake: FakeOpenAI) -> None:
    form = {"name": "Moments", "strict": True, "schema": {**SCHEMA, "additionalProperties": True}}
    status, answer = call(fake, request_body(response_format={"type": "json_schema", "json_schema": form}))

    assert (status, answer["error"]["code"]) == (400, "invalid_json_schema")


def test_faults_happen_in_the_order_of_the_script_and_then_end(fake: FakeOpenAI) -> None:
    fake.script(openai_faults.server_error(), None, openai_faults.insufficient_quota())

    assert [call(fake, request_body())[0] for _ in range(4)] == [500, 200, 429, 200]


def test_a_closed_connection_gives_no_response(fake: FakeOpenAI) -> None:
    fake.script(openai_faults.closed_connection())

    with pytest.raises(http.client.RemoteDisconnected):
        call(fake, request_body())


def test_a_lasting_fault_holds_for_all_that_the_script_does_not_name_until_it_ends(fake: FakeOpenAI) -> None:
    fake.always(openai_faults.rate_limited({"retry-after": "7"}))
    fake.script(openai_faults.server_error())

    assert [call(fake, request_body())[0] for _ in range(3)] == [500, 429, 429]
    fake.always(None)
    assert call(fake, request_body())[0] == 200


def test_a_server_that_went_away_refuses_connections_and_comes_back_at_the_same_address(fake: FakeOpenAI) -> None:
    address = fake.base_url
    fake.go_away()
    with pytest.raises(ConnectionRefusedError):
        call(fake, request_body())

    fake.come_back()
    assert (fake.base_url, call(fake, request_body())[0]) == (address, 200)


def test_a_response_that_is_held_back_when_the_server_goes_away_never_comes(fake: FakeOpenAI) -> None:
    fake.script(openai_faults.slow(5.0))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call, fake, request_body())
        wait_for(lambda: fake.completions, 60)
        fake.go_away()
        with pytest.raises(http.client.RemoteDisconnected):
            answer.result(5)


def test_what_was_asked_before_it_forgot_is_neither_recorded_nor_billed_after(fake: FakeOpenAI) -> None:
    fake.script(openai_faults.slow(5.0), openai_faults.dribbling(5.0), openai_faults.server_error())
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(call, fake, request_body()) for _ in range(2)]
        wait_for(lambda: len(fake.completions) == 2, 60)
        fake.forget()
        assert (fake.requests, fake.bills, fake.billed, fake.is_scripted) == ([], [], [], False)
    assert {answer.exception() is None for answer in answers} == {True, False}

    assert call(fake, request_body())[0] == 200
    assert len(fake.bills) == 1


def test_models_are_listed_and_found_by_name(fake: FakeOpenAI) -> None:
    assert {model["id"] for model in call(fake, path="/v1/models")[1]["data"]} == {*MODELS}
    assert call(fake, path="/v1/models/gpt-4o")[1]["id"] == "gpt-4o"
    assert call(fake, path="/v1/models/gpt-99")[0] == 404
    assert call(fake, path="/v1/nothing")[0] == 404


def test_it_runs_by_itself_and_prints_its_address() -> None:
    command = [sys.executable, "-m", "madvision_assets_tests.fakes", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=60)
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
        status = connection.getresponse().status
        connection.close()
        process.terminate()
        process.wait(timeout=60)

    assert status == 200
