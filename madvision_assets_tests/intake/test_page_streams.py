"""Claims about the server-sent events of a video's page, over a real socket."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.intake.pages import Streams
from madvision_assets.intake.pages.streams import _without_heartbeat
from madvision_assets.intake.problems import ProblemError
from madvision_assets_tests.intake.video_states import VideoStates, served, wait_until

pytestmark = pytest.mark.whole

UNKNOWN_TOKEN = "A" * 43
STOP_LIMIT_S = 8.0  # a server that waits for its streams takes 20
MOMENTS = (("A claim", "It stands alone."), ("Another one", "So does it."))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def client(states: VideoStates) -> Iterator[httpx.Client]:
    app = make_app(states.services)
    app.state.streams = Streams(poll_s=0.1)
    with served(app) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


def test_a_stream_tells_each_change_once_and_ends_with_the_last(client: httpx.Client, states: VideoStates) -> None:
    shown, lease = states.running("https://example.org/stream.mp4")
    told: list[tuple[str, float]] = []
    with client.stream("GET", f"{shown.path}/events", timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                status = json.loads(line.removeprefix("data: "))
                told.append((status["status"], status["step_progress"]))
                if len(told) == 1:
                    states.queue.beat(lease)
                    states.queue.report(lease, PipelineStep.RAW_VIDEO, 0.5, "half")
                elif len(told) == 2:
                    states.finish(lease, Outcome.CLIPS, moments=MOMENTS)

    assert told == [("running", 0.0), ("running", 0.5), ("done", 1.0)]
    assert len(status["clips"]) == 2


def test_a_sign_of_life_alone_is_no_news(states: VideoStates) -> None:
    shown, lease = states.running("https://example.org/heartbeat.mp4")
    before = states.services.submissions.find(shown.token)
    states.queue.beat(lease)
    after = states.services.submissions.find(shown.token)

    assert before is not None
    assert after is not None
    assert before != after
    assert _without_heartbeat(before) == _without_heartbeat(after)


def test_a_stream_of_an_unknown_token_is_refused(client: httpx.Client) -> None:
    assert client.get(f"/video/{UNKNOWN_TOKEN}/events").status_code == 404


def test_streams_beyond_the_limit_are_refused_until_one_hangs_up(states: VideoStates) -> None:
    shown = states.submitted("https://example.org/limit.mp4")
    app = make_app(states.services)
    app.state.streams = streams = Streams(limit=1, poll_s=0.1)
    with served(app) as base_url, httpx.Client(base_url=base_url) as client:
        with client.stream("GET", f"{shown.path}/events") as first:
            lines = first.iter_lines()  # to be kept: hangs up when it is dropped
            next(lines)
            refused = client.get(f"{shown.path}/events")
            assert client.get(shown.path).status_code == 200
        wait_until(lambda: streams.open == 0)
        with client.stream("GET", f"{shown.path}/events") as again:
            admitted = again.status_code

    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert admitted == 200


def test_one_client_leaves_places_for_others() -> None:
    streams = Streams(limit=10, each=2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(streams.place("greedy"))
        with pytest.raises(ProblemError, match="too many"):
            held.enter_context(streams.place("greedy"))
        held.enter_context(streams.place("another"))

    with streams.place("greedy"):
        assert streams.open == 1


def test_closing_the_streams_ends_them_so_that_a_server_can_stop(states: VideoStates) -> None:
    shown = states.submitted("https://example.org/stop.mp4")
    app = make_app(states.services)
    with (
        served(app) as base_url,
        httpx.Client(base_url=base_url) as client,
        client.stream("GET", f"{shown.path}/events") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        app.state.streams.close()
        rest = list(lines)  # a stream that stays open is read until the client's timeout, which raises

    assert not any(line.startswith("data: ") for line in rest)


def test_a_server_stops_soon_though_a_page_is_open(tmp_path: Path) -> None:
    shown = VideoStates(tmp_path).submitted("https://example.org/open.mp4")
    code = (
        "import socket; from madvision_assets.settings import load_settings; "
        "from madvision_assets.intake.server import serve; "
        "free = socket.create_server(('127.0.0.1', 0)); port = free.getsockname()[1]; free.close(); "
        "print(port, flush=True); serve(load_settings(), port=port)"
    )
    database = {"MADVISION_HOME": str(tmp_path), "MADVISION_DATABASE_URL": f"sqlite:///{tmp_path / 'states.db'}"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **database}
    ) as server:
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        wait_until(lambda: _answers(f"{base_url}/healthz"))
        with httpx.stream("GET", f"{base_url}{shown.path}/events") as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            server.terminate()
            server.wait(STOP_LIMIT_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
