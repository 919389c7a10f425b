"""Claims about the list of a browser's videos, and about deleting one, in a real browser."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from madvision_assets.domain import failures
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.intake.pages import Streams
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served

pytestmark = pytest.mark.whole

MOMENTS = (("A claim", "It stands alone."),)
TITLE = 'محاضرة "<b>how</b>" 🎬 ' + "Donaudampfschifffahrtsgesellschaftskapitän " * 12
SAID = "<script>alert('x')</script> The CAFÉ was open, & the café sat half empty."
LATER = "At the end the café was shut."
# Where screenshots are put for somebody to look at.
SCREENSHOTS = os.environ.get("MADVISION_TEST_SCREENSHOTS")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def base_url(states: VideoStates) -> Iterator[str]:
    app = make_app(states.services)
    app.state.streams = Streams(poll_s=0.1)
    with served(app) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def four(states: VideoStates) -> tuple[Shown, ...]:
    """One that is done, one that failed, one at work and one in the queue."""
    done, lease = states.running("https://talks.example.org/done.mp4", PipelineStep.CLIPS)
    states.named(lease, TITLE, duration_s=754)
    states.heard(lease, SAID, *("More of it." for _ in range(4)), LATER)
    states.finish(lease, Outcome.CLIPS, moments=MOMENTS)
    failed = states.failed("https://gone.example.org/x.mp4", PipelineStep.RAW_VIDEO, failures.NotFoundError())
    running, lease = states.running("https://talks.example.org/running.mp4", PipelineStep.TRANSCRIPT)
    states.named(lease, "On hearing well")
    states.heard(lease, "Hearing is half of it.")
    return done, failed, running, states.submitted("https://talks.example.org/queued.mp4")


def test_a_browser_lists_what_was_submitted_or_opened_in_it(page: Page, base_url: str, four: tuple[Shown, ...]) -> None:
    page.goto(base_url + "/videos")
    expect(page.get_by_text("There is nothing on the list yet.")).to_be_visible()
    page.get_by_role("link", name="Submit a video").click()
    page.get_by_label("Address of the video").fill("https://example.org/mine.mp4")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    for each in four:
        page.goto(base_url + each.path)

    page.get_by_role("link", name="Your videos").click()

    entries = page.locator(".entry")
    expect(entries).to_have_count(5)
    expect(entries.locator(".in-short")).to_have_text(
        ["In the queue", "Writing down what is said", "This did not work", "One clip is ready", "In the queue"]
    )
    expect(entries.nth(1).get_by_role("link")).to_have_text("On hearing well")
    assert entries.nth(3).locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(entries.nth(3)).to_contain_text("12 min 34 s · English · talks.example.org")
    expect(page.locator("b")).to_have_count(0)


def listed(page: Page, base_url: str, tokens: list[str]) -> None:
    """Open the list of a browser that has these tokens."""
    page.goto(base_url + "/")
    page.evaluate("tokens => localStorage.setItem('madvision-videos', JSON.stringify(tokens))", tokens)
    page.goto(base_url + "/videos")
    expect(page.locator(".entry, #gone:not([hidden])").first).to_be_visible()


def test_the_list_is_narrowed_and_shortened_with_the_keyboard_alone(
    page: Page, base_url: str, four: tuple[Shown, ...]
) -> None:
    listed(page, base_url, [each.token for each in four])
    shown = page.locator(".entry:visible")

    page.get_by_label("Title or address").press_sequentially("hearing")
    expect(shown).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 4 videos")
    page.get_by_label("Title or address").fill("")
    page.get_by_label("State").select_option("Did not work")
    expect(shown.locator(".in-short")).to_have_text(["This did not work"])
    page.get_by_label("State").select_option("Any")
    page.get_by_label("From").select_option("talks.example.org")
    expect(shown).to_have_count(3)

    page.get_by_role("button", name="Remove “On hearing well” from the list").press("Enter")
    expect(shown).to_have_count(2)
    expect(page.locator("#list-state")).to_contain_text("Its page and its clips stay.")
    expect(shown.nth(1).get_by_role("button")).to_be_focused()
    page.get_by_role("button", name="Put it back").press("Enter")
    expect(shown).to_have_count(3)
    expect(shown.nth(1)).to_contain_text("On hearing well")


def test_what_is_said_is_found_with_the_keyboard_alone_and_no_token_stands_in_what_is_asked(
    page: Page, base_url: str, four: tuple[Shown, ...]
) -> None:
    listed(page, base_url, [each.token for each in four])
    field, moments = page.get_by_label("What is said", exact=True), page.locator(".moment")
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))

    field.press_sequentially('"cafe was open" half')
    field.press("Enter")

    expect(page.locator("#search-state")).to_have_text("1 moment")
    expect(moments.locator(".said")).to_have_text(SAID)
    assert moments.locator("mark").all_text_contents() == ["CAFÉ was open", "half"]
    expect(moments.get_by_role("heading")).to_contain_text("Donaudampfschifffahrtsgesellschaft")
    expect(moments.locator(".span")).to_have_text("1:00 to 1:10")
    assert [each for each in requested if any(shown.token in each for shown in four)] == []
    field.press("Tab")
    for _ in range(2):
        page.keyboard.press("Tab")
    clip = moments.get_by_role("link", name="Watch the clip “A claim”")
    expect(clip).to_be_focused()
    assert page.request.get(base_url + (clip.get_attribute("href") or "")).headers["content-type"] == "video/mp4"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(base_url + four[0].path)


def test_a_search_says_what_to_do_where_nothing_is_found_or_the_question_is_none(
    page: Page, base_url: str, four: tuple[Shown, ...]
) -> None:
    listed(page, base_url, ["A" * 43, *(each.token for each in four)])
    field, told = page.get_by_label("What is said", exact=True), page.locator("#search-state")

    for words, sentence in (
        ("walrus", "Nobody says that in these videos. Look for fewer words, or for one of them alone."),
        ("!!!", "Look for a word, or for several; put a phrase in quotes."),
        ("half", "2 moments"),
    ):
        field.fill(words)
        field.press("Enter")
        expect(told).to_have_text(sentence)
        expect(field).to_have_attribute("aria-invalid", "true") if words == "!!!" else None
    expect(page.locator(".moment").first).not_to_contain_text("Watch the clip")
    page.route("**/public/search?*", lambda route: route.abort(), times=1)
    field.press("Enter")
    expect(told).to_have_text("The search cannot be answered just now. Try it again in a moment.")
    field.fill("")
    expect(told).to_have_text("")
    listed(page, base_url, ["A" * 43])
    expect(field).to_be_hidden()


def test_a_search_goes_on_beyond_what_one_request_takes(
    page: Page, base_url: str, four: tuple[Shown, ...], states: VideoStates
) -> None:
    shown, lease = states.running("https://talks.example.org/long.mp4")
    states.heard(lease, *(f"The walnut, part {n}." for n in range(62)))
    others = [f"{n:043}" for n in range(120)]  # so that it is asked for in groups
    listed(page, base_url, [four[0].token, *others, shown.token])
    page.get_by_label("What is said", exact=True).fill("walnut")
    page.keyboard.press("Enter")
    expect(page.locator("#search-state")).to_have_text("20 moments; there are more")

    more = page.get_by_role("button", name="More moments")
    more.press("Enter")

    expect(page.locator(".moment")).to_have_count(30)
    expect(page.locator("#search-state")).to_have_text("30 moments")
    expect(more).to_be_hidden()
    expect(page.locator(".moment").nth(20).get_by_role("link").first).to_be_focused()


def test_a_video_is_deleted_once_that_is_confirmed_and_is_on_no_list_then(
    page: Page, base_url: str, states: VideoStates
) -> None:
    shown = states.done("https://example.org/delete.mp4", Outcome.CLIPS, moments=MOMENTS)
    kept = states.submitted("https://example.org/kept.mp4")
    listed(page, base_url, [shown.token, kept.token])
    page.locator(".entry").first.get_by_role("link").click()
    button = page.get_by_role("button", name="Delete it for good")
    expect(button).to_be_hidden()

    page.get_by_text("Delete this video").click()
    button.press("Enter")

    expect(page.get_by_role("heading", name="The video is deleted")).to_be_visible()
    assert states.services.submissions.find(shown.token) is None
    page.get_by_role("link", name="Your videos").last.click()
    expect(page.locator(".entry")).to_have_count(1)
    page.goto(base_url + shown.path)
    expect(page.get_by_role("heading", name="There is no such video")).to_be_visible()
    expect(page.get_by_text("or it was deleted")).to_be_visible()


def test_what_was_deleted_elsewhere_is_taken_off_the_list(page: Page, base_url: str, four: tuple[Shown, ...]) -> None:
    listed(page, base_url, ["A" * 43, four[0].token, "B" * 43])

    expect(page.get_by_text("2 videos of this list are not there any more")).to_be_visible()
    page.get_by_role("button", name="Take off the list").press("Enter")
    expect(page.locator("#gone")).to_be_hidden()
    assert page.evaluate("kept.all()") == [four[0].token]


def test_a_list_that_cannot_be_read_says_so_and_comes_back(page: Page, base_url: str, four: tuple[Shown, ...]) -> None:
    page.route("**/public/videos", lambda route: route.abort(), times=1)
    page.clock.install()
    page.goto(base_url + "/")
    page.evaluate("tokens => localStorage.setItem('madvision-videos', JSON.stringify(tokens))", [four[0].token])
    page.goto(base_url + "/videos")
    expect(page.get_by_text("The list cannot be read just now.")).to_be_visible()

    page.clock.run_for(11_000)

    expect(page.locator(".entry")).to_have_count(1)
    expect(page.locator("#list-state")).to_have_text("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_of_the_list_is_wider_than_its_window(
    browser: Browser, base_url: str, four: tuple[Shown, ...], width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport=ViewportSize(width=width, height=900), color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    listed(page, base_url, ["A" * 43, *(each.token for each in four)])
    expect(page.locator(".entry")).to_have_count(4)
    page.get_by_label("What is said", exact=True).fill("half")
    page.keyboard.press("Enter")
    expect(page.locator(".moment")).to_have_count(2)

    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")

    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"list-{width}-{scheme}.png", full_page=True)
        page.goto(base_url + four[0].path)
        page.get_by_text(re.compile("^Delete this video")).click()
        page.screenshot(path=Path(SCREENSHOTS) / f"video-{width}-{scheme}.png", full_page=True)
    context.close()
    assert not wide
