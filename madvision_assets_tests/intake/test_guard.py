"""Claims about what every request passes: limits, bodies, headers, and one form for what goes wrong."""

import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from madvision_assets.intake import limits
from madvision_assets.intake.limits import RateLimits
from madvision_assets.intake.problems import ProblemError
from madvision_assets_tests.intake.serving import ADDRESS, Intake, serving, settings_in

JSON = {"content-type": "application/json"}


def _raw(intake: Intake, request: bytes) -> bytes:
    """What the server answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", intake.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            if b"}" in piece:
                break
        return answer


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b'{"url": "https://a.example/", "priority": NaN}', 422, "invalid_request"),
        (b'{"url": "https://a.example/", "options": {"min_clip_s": Infinity}}', 422, "invalid_request"),
        (b'{"url": "https://a.example/", "priority": 1e999}', 422, "invalid_request"),
        (b'{"url": "https://a.example/", "priority": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
        (b'{"url": ' + b"[" * 30_000, 400, "invalid_json"),
        (b'{"url": "https://a.example/\\u0000"}', 422, "invalid_address"),
        (b'{"url": "https://a.example/\\ud800"}', 422, "invalid_request"),
        (b'{"\\ud800": 1, "url": "https://a.example/"}', 422, "invalid_request"),
    ],
)
@pytest.mark.parametrize("path", ["/public/video", "/public/videos"])
def test_a_broken_body_is_the_clients_fault_and_never_ours(
    intake: Intake, path: str, body: bytes, status: int, code: str
) -> None:
    answer = intake.client.post(path, content=body, headers=JSON)

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {code, "invalid_request"}
    assert answer.status_code == status if path == "/public/video" else answer.status_code < 500


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_only_json_is_taken(intake: Intake, media_type: str | None) -> None:
    headers = {"content-type": media_type} if media_type else {}
    answer = intake.client.post("/public/video", content=b'{"url": "https://a.example/"}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_over_the_limit_is_refused_with_and_without_its_length(intake: Intake) -> None:
    big = json.dumps({"url": ADDRESS, "x": "a" * limits.MAX_BODY_BYTES}).encode()
    pieces = iter([big[:1000], big[1000:]])

    announced = intake.client.post("/public/video", content=big, headers=JSON)
    chunked = intake.client.post("/public/video", content=pieces, headers=JSON)
    batch = intake.client.post("/public/videos", content=b" " * (limits.MAX_BATCH_BYTES + 1), headers=JSON)

    for answer in (announced, chunked, batch):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_batch_may_be_larger_than_a_single_submission(intake: Intake) -> None:
    videos = [{"url": f"{ADDRESS}?{'x' * 1000}={n}"} for n in range(200)]

    assert intake.client.post("/public/videos", json={"videos": videos}).status_code == 202


def test_a_client_that_sends_its_body_too_slowly_is_let_go(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_LIMIT_S", 0.3)
    head = b"POST /public/video HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"

    answer = _raw(intake, head)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer


def test_a_client_that_hangs_up_does_not_disturb_the_server(intake: Intake) -> None:
    with socket.create_connection(("127.0.0.1", intake.port)) as connection:
        connection.sendall(b"POST /public/video HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 50\r\n\r\n{")

    assert intake.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/public/", 404, "not_found"),
        ("PUT", "/public/video", 405, "method_not_allowed"),
        ("DELETE", "/public/video/status", 405, "method_not_allowed"),
        ("GET", "/public/video", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_told_in_the_same_form(
    intake: Intake, method: str, path: str, status: int, code: str
) -> None:
    answer = intake.client.request(method, path, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("allow" in answer.headers) == (status == 405)


def test_a_refused_method_is_told_which_ones_are_taken(intake: Intake) -> None:
    assert intake.client.put("/public/video").headers["allow"] == "DELETE, POST"
    assert intake.client.post("/video/x/clips/y.mp4").headers["allow"] == "GET, HEAD"


def test_a_fault_of_ours_shows_no_traceback(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("/secret/place")

    monkeypatch.setattr(intake.services.submissions, "add", broken)

    answer = intake.client.post("/public/video", json={"url": ADDRESS})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_every_answer_has_the_security_headers(intake: Intake) -> None:
    for path in ("/healthz", "/nothing", "/public/video/status", "/openapi.json", "/"):
        headers = intake.client.get(path).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src" in headers["content-security-policy"]
        assert "server" not in headers


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Intake]:
    with serving(settings_in(tmp_path, requests_per_minute=3, trusted_proxies="127.0.0.1")) as running:
        yield running


def _submit_as(intake: Intake, client: str) -> int:
    headers = {"X-Forwarded-For": client}
    return intake.client.post("/public/video", json={"url": ADDRESS}, headers=headers).status_code


def test_each_client_may_submit_so_often_and_is_told_when_to_go_on(limited: Intake) -> None:
    assert [_submit_as(limited, "203.0.113.1") for _ in range(4)] == [202, 202, 202, 429]
    assert _submit_as(limited, "203.0.113.2") == 202

    answer = limited.client.post("/public/video", json={"url": ADDRESS}, headers={"X-Forwarded-For": "203.0.113.1"})

    assert answer.json()["code"] == "too_many_requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_clock_that_was_set_back_limits_nobody_until_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    real, ahead_s = time.time, 3600.0
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    limited = RateLimits(1)
    scope = {"method": "POST", "path": "/public/video", "client": ("203.0.113.1", 1)}
    limited.admit(scope)
    with pytest.raises(ProblemError):
        limited.admit(scope)

    ahead_s = 0.0

    limited.admit(scope)
    with pytest.raises(ProblemError):
        limited.admit(scope)


def test_a_network_of_ipv6_addresses_is_one_client(limited: Intake) -> None:
    assert [_submit_as(limited, f"2001:db8:1:2::{n}") for n in range(4)] == [202, 202, 202, 429]
    assert _submit_as(limited, "2001:db8:1:3::1") == 202


@pytest.mark.parametrize(
    ("one", "two"), [("2002:cb00:7101:1::1", "2002:cb00:7101:2::1"), ("203.0.113.1", "2002:cb00:7101::1")]
)
def test_whoever_comes_by_6to4_is_one_client_by_whatever_of_his_networks(one: str, two: str) -> None:
    limited = RateLimits(1)
    scope = {"method": "POST", "path": "/public/video"}
    limited.admit({**scope, "client": (one, 1)})
    with pytest.raises(ProblemError):
        limited.admit({**scope, "client": (two, 1)})


def test_a_batch_costs_one_for_each_hundred_addresses(limited: Intake) -> None:
    videos = [{"url": f"{ADDRESS}?n={n}"} for n in range(201)]
    first = limited.client.post("/public/videos", json={"videos": videos})
    second = limited.client.post("/public/videos", json={"videos": videos[:1]})

    assert [first.status_code, second.status_code] == [202, 429]


def test_health_and_metrics_are_not_limited(limited: Intake) -> None:
    statuses = [limited.client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics") for _ in range(40)]

    assert set(statuses) == {200}


def test_other_requests_have_ten_times_the_limit(limited: Intake) -> None:
    statuses = [limited.client.get("/public/video/status").status_code for _ in range(31)]

    assert statuses == [401] * 30 + [429]


def test_people_are_told_of_the_limit_on_a_page(limited: Intake) -> None:
    for _ in range(31):
        answer = limited.client.get("/", headers={"Accept": "text/html"})

    assert answer.status_code == 429
    assert answer.headers["content-type"].startswith("text/html")


def test_the_access_log_is_json_without_tokens_and_query_strings(intake: Intake) -> None:
    token = intake.submit()["token"]
    written = io.StringIO()
    before: dict[str, Any] = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(written),
        cache_logger_on_first_use=False,
    )
    try:
        intake.client.get(f"/video/{token}", params={"secret": "s3cret"})
        intake.client.get("/public/video/status", params={"token": token})
        intake.client.get("/public/search", params={"token": token, "q": "s3cret"})
    finally:
        structlog.configure(**before)

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["route"] for line in lines] == ["/video/{token}", "/public/video/status", "/public/search"]
    assert token not in written.getvalue()
    assert "s3cret" not in written.getvalue()


def test_a_traceback_in_the_log_does_not_tell_what_variables_held() -> None:
    code = """
import structlog
from madvision_assets.intake.server import log_as_json
log_as_json()
def answer(token):
    return token / 0
try:
    answer("a-submitters-token")
except TypeError:
    structlog.get_logger().exception("boom")
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stderr

    assert '"name": "answer"' in told
    assert "a-submitters-token" not in told.replace('answer("a-submitters-token")', "")
