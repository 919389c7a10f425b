"""Claims about the API's description: what it says is what happens, with good requests and with bad ones."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # now: with other threads about, ast.parse of Python 3.11 may fail
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from madvision_assets_tests.intake.conftest import INTERNAL_KEY
from madvision_assets_tests.intake.serving import Intake, serving, settings_in

EXAMPLES = 15
OPERATIONS = [
    ("post", "/public/video"),
    ("delete", "/public/video"),
    ("post", "/public/videos"),
    ("get", "/public/videos"),
    ("get", "/public/video/status"),
    ("get", "/public/video/clips"),
    ("patch", "/public/video/clips"),
    ("get", "/public/search"),
    ("post", "/public/upload"),
    ("get", "/public/upload/{secret}"),
    ("patch", "/public/upload/{secret}"),
    ("delete", "/public/upload/{secret}"),
    ("post", "/internal/perform-video-processing"),
    ("get", "/video/{token}/clips/{name}"),
    ("get", "/video/{token}/package.zip"),
    ("get", "/video/{token}/timeline.{form}"),
    ("get", "/video/{token}/transcript.{form}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/llms.txt"),
]
# So nothing that could be wrong; any text may be an upload's secret, or a token.
ANY_TEXT = ("/public/upload/{secret}", "/video/{token}/package.zip")
WITHOUT_INPUT = {("get", path) for path in ("/healthz", "/readyz", "/metrics", "/llms.txt", *ANY_TEXT)}
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [
    (method, path, mode)
    for method, path in OPERATIONS
    for mode in (GOOD, BAD)
    if mode is GOOD or (method, path) not in WITHOUT_INPUT
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with serving(
        settings_in(tmp_path_factory.mktemp("openapi"), internal_key=INTERNAL_KEY, uploads_per_client=1000)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def description(described: Intake) -> BaseSchema:
    # What makes an address one of the public internet is beyond JSON Schema, hence 422 for what fits it.
    expected = ["2xx", "304", "307", "401", "404", "413", "422"]
    # A version of tus that is not ours is told as tus wants it.
    refused = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "428", "429", "5xx"]
    checks = {
        "positive_data_acceptance": {"expected-statuses": expected},
        "negative_data_rejection": {"expected-statuses": refused},
    }
    config = SchemathesisConfig.from_dict({"checks": checks})
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{described.port}/openapi.json", config=config)


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_every_answer_is_one_that_the_description_has(
    description: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    cases = description[path][method].as_strategy(generation_mode=mode)

    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {INTERNAL_KEY}"})

    check()


def test_every_operation_is_tried(description: BaseSchema) -> None:
    assert sorted((method, path) for path in description for method in description[path]) == sorted(OPERATIONS)


def test_every_problem_is_described(described: Intake) -> None:
    description = described.client.get("/openapi.json").json()

    for path, methods in description["paths"].items():
        for operation in methods.values():
            bad = {status: told for status, told in operation["responses"].items() if int(status) >= 400}
            assert all("application/problem+json" in told["content"] for told in bad.values()), path
    assert {"code", "title", "status", "detail", "type"} <= set(
        description["components"]["schemas"]["Problem"]["required"]
    )


def test_the_bounds_of_a_priority_are_described(described: Intake) -> None:
    schemas = described.client.get("/openapi.json").json()["components"]["schemas"]
    priority = schemas["SubmissionRequest"]["properties"]["priority"]

    assert (priority["type"], priority["minimum"], priority["maximum"]) == ("integer", -100, 0)
    assert "minimum" in schemas["ProcessingRequest"]["properties"]["priority"]["anyOf"][0]


def test_llms_txt_has_each_route_of_the_description_once_in_its_words_and_no_other(described: Intake) -> None:
    answer = described.client.get("/llms.txt")
    routes = re.findall(r"^- `([A-Z]+) (\S+)`: (.+)$", answer.text, re.MULTILINE)

    paths = described.client.get("/openapi.json").json()["paths"]
    words = {
        (method.upper(), path): operation["description"].splitlines()[0].replace("``", "`")
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert {(method, path): told for method, path, told in routes} == words
    assert len(routes) == len(words)
    before_optional, optional = answer.text.split("## Optional\n")
    assert "POST /internal/perform-video-processing" in optional
    assert "POST /internal/perform-video-processing" not in before_optional


def test_llms_txt_has_the_form_that_is_usual_and_its_links_lead_somewhere(described: Intake) -> None:
    text = described.client.get("/llms.txt").text
    links = re.findall(r"\]\((\S+)\)", text)

    assert re.match(r"# MadVision\n\n> .+\n\n", text)
    assert f"http://127.0.0.1:{described.port}/openapi.json" in links
    assert {described.client.get(link).status_code for link in links} == {200}
    assert "None" not in text
