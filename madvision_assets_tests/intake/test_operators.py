"""Claims about a video's page for operators: where links of the Dagster UI lead."""

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.failures import ApiKeyInvalidError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets.tools.store.documents import read_current
from madvision_assets_tests.intake.conftest import INTERNAL_KEY
from madvision_assets_tests.intake.serving import serving, settings_in
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served

ANYBODY = ("anybody", INTERNAL_KEY)
DAGSTER = "https://dagster.example.org/behind"
MOMENTS = (("A <b>small</b> step", "It stands alone."), ("What it costs", "A number."))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    home = tmp_path_factory.mktemp("operators")
    return VideoStates(home, internal_key=INTERNAL_KEY, dagster_url=f"{DAGSTER}/")


@pytest.fixture(scope="module")
def base(states: VideoStates) -> Iterator[str]:
    with served(make_app(states.services)) as address:
        yield address


@pytest.fixture(scope="module")
def operator(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, timeout=60, auth=ANYBODY) as asking:
        yield asking


@pytest.fixture(scope="module")
def done(states: VideoStates) -> Shown:
    return states.done("https://talks.example.org/done.mp4", Outcome.CLIPS, moments=MOMENTS)


def page_of(shown: Shown) -> str:
    return f"/internal/video/{shown.row.video_id}"


def clip_of(states: VideoStates, shown: Shown) -> str:
    [clip, _] = read_current(states.services.store, Clips, shown.row.video_id).clips
    return f"{page_of(shown)}/clips/{clip.clip_id}.mp4"


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "Bearer wrong",
        "Bearer",
        "Basic",
        "Basic !!!",
        "Digest x",
        basic(b"no colon"),
        basic(b"anybody:wrong"),
        basic(f"{INTERNAL_KEY}:".encode()),
        basic(b"anybody:\xff"),
    ],
)
def test_without_the_key_a_browser_asks_for_it_and_nothing_is_shown(
    base: str, states: VideoStates, done: Shown, given: str | None
) -> None:
    headers = {"Authorization": given} if given is not None else {}
    for path in (page_of(done), clip_of(states, done)):
        answer = httpx.get(f"{base}{path}", headers=headers)

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert done.row.video_id not in answer.text


@pytest.mark.parametrize(
    "given", [f"Bearer {INTERNAL_KEY}", basic(f":{INTERNAL_KEY}".encode()), basic(f"me:{INTERNAL_KEY}".encode())]
)
def test_with_the_key_as_a_password_or_a_bearer_it_is_shown(base: str, done: Shown, given: str) -> None:
    answer = httpx.get(f"{base}{page_of(done)}", headers={"Authorization": given})

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert done.row.video_id in answer.text


def test_a_password_opens_only_what_changes_nothing(operator: httpx.Client, done: Shown) -> None:
    asked = operator.post("/internal/perform-video-processing", json={"video_id": done.row.video_id})

    assert (asked.status_code, asked.json()["code"]) == (401, "internal_key_invalid")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert operator.request(method, page_of(done), json={}).status_code == 405


def test_without_a_key_in_the_settings_the_page_is_not_there(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path)) as closed:
        video_id = closed.submit()["video_id"]

        assert closed.client.get(f"/internal/video/{video_id}", auth=("anybody", "")).status_code == 404


def test_its_clips_are_shown_as_on_the_public_page_and_play_in_parts(
    operator: httpx.Client, states: VideoStates, done: Shown
) -> None:
    shown = operator.get(page_of(done)).text
    clip = clip_of(states, done)

    part = operator.get(clip, headers={"Range": "bytes=4-7"})

    assert f'<source src="{clip}"' in shown
    assert "A &lt;b&gt;small&lt;/b&gt; step" in shown
    assert (part.status_code, part.headers["content-type"], part.content) == (206, "video/mp4", b"ftyp")
    assert "attachment" in operator.get(clip, params={"download": 1}).headers["content-disposition"]
    assert done.token not in shown


def test_each_try_says_why_it_ended_and_leads_to_its_run(operator: httpx.Client, states: VideoStates) -> None:
    shown, run_id = states.submitted("https://talks.example.org/failed.mp4"), str(uuid.uuid4())
    lease = states.queue.begin(shown.row.video_id, run_id, None, PipelineStep.CONTENT_TYPE)
    states.fail(lease, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError("<script>401</script>"))
    again = states.queue.begin(shown.row.video_id, "person-import-1", None, PipelineStep.CONTENT_TYPE)

    told = operator.get(page_of(shown)).text

    assert f'href="{DAGSTER}/runs/{run_id}"' in told
    assert "api_key_invalid: " in told
    assert "<script>401" not in told
    assert told.count(f"{DAGSTER}/runs/") == 1, "a person is no run"
    assert again.run_id in told


def test_where_nobody_says_where_dagster_is_a_run_is_named(tmp_path: Path) -> None:
    states, run_id = VideoStates(tmp_path, internal_key=INTERNAL_KEY), str(uuid.uuid4())
    shown = states.submitted("https://talks.example.org/a.mp4")
    states.queue.begin(shown.row.video_id, run_id, None, PipelineStep.RAW_VIDEO)

    with served(make_app(states.services)) as base:
        told = httpx.get(f"{base}{page_of(shown)}", auth=ANYBODY).text

    assert run_id in told
    assert "/runs/" not in told


def test_what_its_submitter_deleted_is_shown_to_no_operator(operator: httpx.Client, states: VideoStates) -> None:
    shown = states.done("https://talks.example.org/deleted.mp4", Outcome.CLIPS, moments=MOMENTS)
    clip = clip_of(states, shown)
    assert operator.get(clip).status_code == 200
    Withdrawals(states.services.database).withdraw(shown.token)

    told = operator.get(page_of(shown)).text

    assert "<video" not in told
    assert "withdrawn" in told
    assert operator.get(clip).status_code == 404


@pytest.mark.parametrize("name", ["web-unheard-of", "..%2F..%2Fetc", "a%00b", "x" * 101, "%C3%BC"])
def test_of_an_id_that_leads_nowhere_the_page_says_so(operator: httpx.Client, name: str) -> None:
    answer = operator.get(f"/internal/video/{name}")

    assert answer.status_code == 404
    assert operator.get(f"/internal/video/{name}/clips/x.mp4").status_code == 404


@pytest.mark.parametrize("name", ["other.mp4", "..%2Fcurrent.json", "x" * 200])
def test_a_file_that_is_of_no_clip_is_not_there(operator: httpx.Client, done: Shown, name: str) -> None:
    assert operator.get(f"{page_of(done)}/clips/{name}").status_code == 404


def test_a_clip_of_another_video_is_not_there(operator: httpx.Client, states: VideoStates, done: Shown) -> None:
    other = states.submitted("https://talks.example.org/other.mp4")

    assert operator.get(clip_of(states, done).replace(done.row.video_id, other.row.video_id, 1)).status_code == 404


@pytest.mark.whole
def test_a_browser_that_was_given_the_password_once_plays_the_clips(browser: Browser, base: str, done: Shown) -> None:
    context = browser.new_context(http_credentials={"username": "anybody", "password": INTERNAL_KEY})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)

    page.goto(f"{base}{page_of(done)}")
    clip = page.locator("video").first
    clip.evaluate("video => video.load()")

    expect(page.get_by_role("heading", name="A <b>small</b> step")).to_be_visible()
    page.wait_for_function("() => document.querySelector('video').readyState >= 1")
    assert clip.evaluate("video => video.duration") == pytest.approx(6, abs=0.5)
    assert [each for each in complaints if "401" not in each] == []
    context.close()
