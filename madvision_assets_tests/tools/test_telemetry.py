"""Claims about what leaves for a collector, and about collectors that are away, hang, refuse or talk nonsense."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from madvision_assets.domain.traces import Span, SpanKind
from madvision_assets.tools.telemetry import Collector, Refusal, collector
from madvision_assets_tests.collecting import PATH, children, collected, taking
from madvision_assets_tests.site import Site, silent_server

LIMIT_S = 60.0
START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECRET = "sk-hide-me-0123456789abcdef"
ROOT = Span("video", 7, 1, None, START, START + timedelta(seconds=2), {"madvision.attempts": 2, "error.type": None})
STAGE = Span("clips", 7, 2, 1, START, START, {"madvision.cost_usd": 0.5}, SpanKind.CLIENT, "it failed")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """Endpoint of a collector that takes connections and never answers."""
    with silent_server() as address:
        yield address


def refusal(endpoint: str, *spans: Span, headers: str = "", answer_limit_s: float = 10.0) -> Refusal | None:
    """Why they were not taken."""
    return Collector(endpoint, headers, answer_limit_s).send(spans or (ROOT, STAGE)).result(LIMIT_S)


def sent(endpoint: str, *spans: Span, answer_limit_s: float = 10.0) -> str | None:
    """Why they were not taken, in words."""
    refused = refusal(endpoint, *spans, answer_limit_s=answer_limit_s)
    return refused.sentence if refused else None


def test_spans_arrive_with_our_ids_times_and_kinds(site: Site) -> None:
    assert sent(taking(site)) is None

    root, stage = collected(site)
    assert root.ids == (f"{7:032x}", f"{1:016x}", "")
    assert stage.ids == (f"{7:032x}", f"{2:016x}", f"{1:016x}")
    assert children([root, stage], root) == ["clips"]
    assert (root.began_at, root.ended_at) == (ROOT.began_at, ROOT.ended_at)
    assert (root.kind, stage.kind) == (1, 3)  # internal, client: see trace.proto
    assert (root.attributes, stage.attributes) == ({"madvision.attempts": 2}, {"madvision.cost_usd": 0.5})
    assert (root.error, stage.error) == (None, "it failed")
    assert root.resource["service.name"] == "madvision"
    assert root.resource["service.version"]
    assert site.hits(PATH)[0].headers["content-type"] == "application/x-protobuf"


def test_the_environment_names_the_service_and_the_headers_as_opentelemetry_has_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "clips-of-ours")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=video,x-other=told")

    assert refusal(taking(site), headers="x-team=clips,X-Key=a%20b") is None
    resource = collected(site)[0].resource
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("clips-of-ours", "staging")
    headers = site.hits(PATH)[0].headers
    assert (headers["x-team"], headers["x-key"], headers["x-other"]) == ("clips", "a b", "told")


def test_no_text_that_leaves_has_a_secret_in_it(site: Site) -> None:
    told = {
        "madvision.engine": SECRET,
        "note": f"https://ann:{SECRET}@example.org/?token={SECRET}",
        "line": "a\x1b[2Jb",
    }
    error = f"GET https://example.org/v.mp4?X-Amz-Signature={SECRET} failed"

    assert sent(taking(site), Span("video", 7, 1, None, START, START, told, error=error)) is None
    assert b"hide-me" not in site.hits(PATH)[0].body
    assert "\x1b" not in collected(site)[0].attributes["line"]


def test_a_collector_that_fails_is_asked_again_and_then_its_status_is_told(site: Site) -> None:
    endpoint = taking(site)
    site.fail_first(1, 503, path=PATH, Retry_After="0")
    assert sent(endpoint) is None
    assert len(site.hits(PATH)) == 2

    site.fail(PATH, 500, reason=f"out of order {SECRET}")
    problem = sent(endpoint)
    assert problem is not None
    assert "500" in problem
    assert "hide-me" not in problem


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        *((status, False) for status in (429, 502, 503, 504)),
        *((status, True) for status in (307, 400, 401, 413, 500)),
    ],
)
def test_an_answer_is_for_good_unless_otlp_says_that_it_may_be_asked_again(
    site: Site, status: int, *, is_final: bool
) -> None:
    site.fail(PATH, status, Retry_After="60")

    refused = refusal(site.url(""))
    assert refused is not None
    assert str(status) in refused.sentence
    assert refused.is_final is is_final
    assert len(site.hits(PATH)) == 1


def test_more_bytes_than_a_collector_takes_are_not_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MAX_BYTES", 3000)
    spans = [Span("video", 7, n, None, START, START, {"madvision.engine": "word " * 100}) for n in range(1, 9)]

    refused = refusal(taking(site), *spans)
    assert refused is not None
    assert refused.is_final
    assert site.hits(PATH) == []
    assert refusal(site.url(""), *spans[:4]) is None


def test_no_answer_is_for_good(silent: str) -> None:
    refused = refusal(silent, answer_limit_s=0.2)

    assert refused is not None
    assert not refused.is_final


def test_a_collector_that_is_away_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert "refused" in (sent(f"http://127.0.0.1:{port}", answer_limit_s=2) or "")


def test_one_that_answers_with_rubbish_fails_nobody(site: Site) -> None:
    site.serve(PATH, b"\xff\x00 not protobuf" * 100)
    assert sent(site.url("")) is None  # it took them: what else it said is nobody's concern

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.recv(65536)
                    connection.sendall(b"\x00\xffnonsense\r\n" * 10)
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        assert sent(f"http://127.0.0.1:{listening.getsockname()[1]}", answer_limit_s=5)
        listening.shutdown(socket.SHUT_RDWR)


def test_one_that_never_answers_holds_up_neither_who_sends_nor_the_end_of_the_process(silent: str) -> None:
    code = (
        "import sys; from datetime import UTC, datetime; from madvision_assets.domain.traces import Span; "
        "from madvision_assets.tools.telemetry import Collector; now = datetime.now(UTC); "
        "sent = Collector(sys.argv[1], 3600).send([Span('video', 7, 1, None, now, now)]); print(sent.done())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, silent],
        env=dict(os.environ),
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
    assert sent(silent, answer_limit_s=0.2) is not None


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    assert "madvision-assets[otel]" in (sent(taking(site)) or "")
