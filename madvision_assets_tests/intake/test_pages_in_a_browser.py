"""Claims about the pages in a real browser."""

import dataclasses
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Self

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from madvision_assets.domain import failures
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.intake.pages import Streams
from madvision_assets.tools.database.uploads import Uploads
from madvision_assets_tests.intake.browsing import LIMIT_MS
from madvision_assets_tests.intake.video_states import VideoStates, served, wait_until

pytestmark = pytest.mark.whole

PHONE = ViewportSize(width=360, height=740)
MOMENTS = (("A claim", "It stands alone."), ("Donaudampfschifffahrtsgesellschaftskapitän" * 2, "A very long word."))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def streams() -> Streams:
    return Streams(poll_s=0.1)


@pytest.fixture(scope="module")
def base_url(states: VideoStates, streams: Streams) -> Iterator[str]:
    app = make_app(states.services)
    app.state.streams = streams
    with served(app) as base_url:
        yield base_url


def test_a_video_is_submitted_with_the_keyboard_alone(page: Page, base_url: str) -> None:
    page.goto(base_url)
    expect(page.get_by_label("Address of the video")).to_be_focused()
    page.keyboard.type("https://example.org/keyboard.mp4")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    assert "/video/" in page.url


def test_the_focus_is_on_the_field_that_was_refused(page: Page, base_url: str) -> None:
    page.goto(base_url)
    page.get_by_label("Address of the video").fill("http://127.0.0.1/private.mp4")
    page.keyboard.press("Enter")

    field = page.get_by_label("Address of the video")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("private or local network"))


def test_the_page_follows_its_video_to_the_clips_without_being_loaded_again(
    page: Page, base_url: str, states: VideoStates
) -> None:
    shown = states.submitted("https://example.org/follow.mp4")
    page.goto(base_url + shown.path)
    page.evaluate("window.notReloaded = true")
    expect(page).to_have_title("In the queue · MadVision")

    lease = states.begun(shown)
    expect(page.get_by_role("heading", name="Downloading the video")).to_be_visible()
    states.queue.report(lease, PipelineStep.RAW_VIDEO, 0.5, "half of it is here")
    expect(page.get_by_text("half of it is here")).to_be_visible()
    expect(page.locator("#percent")).to_have_text("15%")
    assert page.get_by_role("progressbar", name="Download").evaluate("bar => bar.value") == 0.5
    states.finish(lease, Outcome.CLIPS, moments=MOMENTS)

    expect(page).to_have_title("2 clips are ready · MadVision")
    expect(page.locator("video")).to_have_count(2)
    expect(page.locator(".step.done")).to_have_count(5)
    assert page.evaluate("window.notReloaded")


def test_a_waiting_video_counts_down_and_then_goes_on(page: Page, base_url: str, states: VideoStates) -> None:
    failure = failures.SourceRateLimitedError("HTTP 429", retry_after_s=3725)
    shown = states.failed("https://slow.example.org/wait.mp4", PipelineStep.RAW_VIDEO, failure)

    page.goto(base_url + shown.path)

    expect(page.get_by_text(failure.sentence)).to_be_visible()
    countdown = page.locator("time[data-countdown]")
    first = countdown.inner_text()
    assert first.startswith("in 1 h ")
    expect(countdown).not_to_have_text(first)


def test_a_clip_plays_with_its_captions(page: Page, base_url: str, states: VideoStates) -> None:
    shown = states.done("https://example.org/play.mp4", Outcome.CLIPS, moments=MOMENTS)
    page.goto(base_url + shown.path)
    video = page.locator("video").first

    video.evaluate("video => { video.muted = true; return video.play(); }")

    playing = "() => { const video = document.querySelector('video'); return video.currentTime > 0.5; }"
    page.wait_for_function(playing, timeout=LIMIT_MS)
    cues = "() => document.querySelector('video').textTracks[0].cues?.length"
    page.wait_for_function(cues, timeout=LIMIT_MS)
    assert page.evaluate(cues) == 2
    assert video.evaluate("video => video.textTracks[0].mode") == "showing"


def test_a_clip_that_plays_goes_on_while_the_video_is_processed_again(
    page: Page, base_url: str, states: VideoStates
) -> None:
    shown = states.done("https://example.org/again.mp4", Outcome.CLIPS, moments=MOMENTS)
    lease = states.queue.begin(shown.row.video_id, "by hand", None, PipelineStep.CLIP_CANDIDATES)
    page.goto(base_url + shown.path)
    video = page.locator("video").first.element_handle()
    assert video is not None

    states.queue.begin(lease.video_id, lease.run_id, None, PipelineStep.CLIPS)
    expect(page.get_by_role("heading", name="Cutting the clips")).to_be_visible()
    states.queue.report(lease, PipelineStep.CLIPS, 0.5, "one of two")
    expect(page.get_by_text("one of two")).to_be_visible()

    assert video.evaluate("video => video.isConnected")


def test_news_that_overtake_the_page_on_its_way_are_not_lost(
    page: Page, base_url: str, states: VideoStates, streams: Streams
) -> None:
    shown = states.submitted("https://example.org/overtaken.mp4")
    page.goto(base_url + shown.path)
    page.wait_for_function("() => stream && stream.readyState === EventSource.OPEN")

    def hold(route: Route) -> None:
        old = route.fetch()
        states.finish(lease, Outcome.NO_SPEECH, "only music")
        wait_until(lambda: streams.open == 0)  # the last news have been sent
        route.fulfill(response=old)

    page.route(f"**{shown.path}", hold, times=1)
    lease = states.begun(shown)

    expect(page.get_by_text("only music")).to_be_visible()


def test_without_streams_the_page_asks_for_news(page: Page, states: VideoStates) -> None:
    shown = states.submitted("https://example.org/poll.mp4")
    app = make_app(states.services)
    app.state.streams = Streams(limit=0)
    with served(app) as base_url:
        page.goto(base_url + shown.path)
        lease = states.begun(shown)
        expect(page.get_by_role("heading", name="Downloading the video")).to_be_visible()
        states.finish(lease, Outcome.NO_SPEECH, "only music")
        expect(page.get_by_text("only music")).to_be_visible()
        page.goto("about:blank")


def test_an_open_page_recovers_when_the_server_comes_back(page: Page, states: VideoStates) -> None:
    shown = states.submitted("https://example.org/restart.mp4")
    with served(make_app(states.services)) as base_url:
        page.goto(base_url + shown.path)
        page.wait_for_function("() => stream && stream.readyState === EventSource.OPEN")
    expect(page.locator("#connection")).to_be_visible()
    states.begun(shown)

    with served(make_app(states.services), port=int(base_url.rpartition(":")[2])):
        expect(page.get_by_role("heading", name="Downloading the video")).to_be_visible()
        expect(page.locator("#connection")).to_be_hidden()
        page.goto("about:blank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(browser: Browser, base_url: str, states: VideoStates, scheme: str) -> None:
    long = f"https://example.org/{'x' * 300}-{scheme}.mp4"
    paths = [
        "/",
        "/video/unknown",
        states.submitted(f"https://example.org/{'y' * 300}.mp4").path,
        states.failed(long, PipelineStep.RAW_VIDEO, failures.NotFoundError("z" * 300)).path,
        states.done(f"https://example.org/wide-{scheme}.mp4", Outcome.CLIPS, moments=MOMENTS).path,
    ]
    context = browser.new_context(viewport=PHONE, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()

    overflowing = []
    for path in paths:
        page.goto(base_url + path)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            overflowing.append(path)
    context.close()

    assert overflowing == []


def test_without_javascript_the_page_of_a_video_says_the_same(
    browser: Browser, base_url: str, states: VideoStates
) -> None:
    shown, lease = states.running("https://example.org/no-script.mp4")
    states.queue.report(lease, PipelineStep.RAW_VIDEO, 0.5, "half of it is here")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(base_url + shown.path)

    expect(page.get_by_role("heading", name="Downloading the video")).to_be_visible()
    expect(page.get_by_text("half of it is here")).to_be_visible()
    states.finish(lease, Outcome.NO_SPEECH, "only music")
    expect(page.get_by_text("only music")).to_be_visible()  # it looks again by itself
    context.close()


def test_a_file_is_sent_and_leads_to_its_page(page: Page, base_url: str, states: VideoStates, tmp_path: Path) -> None:
    film = tmp_path / "my talk.mp4"
    film.write_bytes(os.urandom(1_000_000))
    page.goto(base_url)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Clips at most").fill("3")
    page.get_by_label("Or a file of yours").set_input_files(film)
    page.get_by_role("button", name="Send the file").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    expect(page.get_by_text("my talk.mp4")).to_be_visible()
    found = states.services.submissions.find(page.url.rpartition("/")[2])
    assert found is not None
    assert found.options.max_clips == 3


def test_a_file_goes_on_where_it_stopped_when_the_connection_was_cut(page: Page, base_url: str, tmp_path: Path) -> None:
    film = tmp_path / "cut.mp4"
    film.write_bytes(os.urandom(12_000_000))
    with Line(int(base_url.rpartition(":")[2])) as line:
        page.goto(f"http://127.0.0.1:{line.port}")
        line.cut_after_bytes = 7_000_000
        page.get_by_label("Or a file of yours").set_input_files(film)
        page.get_by_role("button", name="Send the file").click()
        expect(page.get_by_role("button", name="Stop")).to_be_focused()

        expect(page.get_by_role("status")).to_contain_text("The connection was cut. It goes on by itself in")
        expect(page.get_by_role("progressbar", name="Sent")).to_be_visible()
        line.mend()

        expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
        # What was under way when it was cut comes twice, and not all of it.
        assert line.came_bytes < 16_000_000
        page.goto("about:blank")


def test_a_file_that_is_stopped_is_deleted(page: Page, base_url: str, states: VideoStates, tmp_path: Path) -> None:
    film = tmp_path / "stop.mp4"
    film.write_bytes(os.urandom(12_000_000))
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
    line.send("Network.emulateNetworkConditions", slow)
    page.goto(base_url)
    page.get_by_label("Or a file of yours").set_input_files(film)
    page.get_by_role("button", name="Send the file").click()
    before = unfinished(states)
    page.wait_for_function("() => document.getElementById('sent-bar').value > 0.1", timeout=LIMIT_MS)

    page.get_by_role("button", name="Stop").click()

    expect(page.get_by_role("status")).to_have_text("Stopped. What was sent is deleted.")
    expect(page.get_by_role("button", name="Send the file")).to_be_focused()
    wait_until(lambda: unfinished(states) < max(before, 1))


def test_a_file_that_is_too_large_is_told_before_it_is_sent(page: Page, states: VideoStates, tmp_path: Path) -> None:
    film = tmp_path / "large.mp4"
    film.write_bytes(b"x" * 1000)
    small = dataclasses.replace(
        states.services, settings=states.services.settings.model_copy(update={"max_bytes": 999})
    )
    with served(make_app(small)) as base_url:
        page.goto(base_url)
        page.get_by_label("Or a file of yours").set_input_files(film)
        page.get_by_role("button", name="Send the file").click()

        expect(page.get_by_role("status")).to_have_text("The file is larger than what is taken.")
        page.goto("about:blank")


class Line:
    """A line to a server on loopback, that can be cut.

    Args:
        to_port: of the server.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._down = False
        self.came_bytes = 0
        self.cut_after_bytes: float = inf

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let everything go."""
        self._listener.close()
        self._cut()

    def mend(self) -> None:
        """Connections are taken again, and not cut any more."""
        self.cut_after_bytes, self._down = inf, False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._down:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to_port))
                self._open += [near, far]
                threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
                self.came_bytes += len(piece) * counts
                if self.came_bytes > self.cut_after_bytes:
                    self._down = True
                    self._cut()
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _cut(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
                each.close()
        self._open.clear()


def unfinished(states: VideoStates) -> int:
    """Files that are being sent."""
    return Uploads(states.services.database).held("127.0.0.1").count
