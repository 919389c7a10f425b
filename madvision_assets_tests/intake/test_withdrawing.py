"""Claims about deleting one's own video, over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from madvision_assets.domain.clips import Outcome
from madvision_assets.intake.app import make_app
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served

MOMENTS = (("A claim", "It stands alone."),)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def client(states: VideoStates) -> Iterator[httpx.Client]:
    with served(make_app(states.services)) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


def bearer(shown: Shown) -> dict[str, str]:
    """The header with a token."""
    return {"Authorization": f"Bearer {shown.token}"}


def test_nothing_leads_to_a_deleted_video_any_more(client: httpx.Client, states: VideoStates) -> None:
    shown = states.done("https://example.org/gone.mp4", Outcome.CLIPS, moments=MOMENTS)
    clip = client.get("/public/video/status", headers=bearer(shown)).json()["clips"][0]["url"]

    answer = client.delete("/public/video", headers=bearer(shown))

    assert answer.status_code == 200
    assert (answer.json()["video_id"], answer.json()["is_kept"]) == (shown.row.video_id, False)
    status = client.get("/public/video/status", params={"token": shown.token})
    assert (status.status_code, status.json()["code"]) == (404, "unknown_token")
    assert "one that was deleted is gone for good" in status.json()["detail"]
    assert client.get(clip).status_code == 404
    page = client.get(shown.path)
    assert page.status_code == 404
    assert "or it was deleted" in page.text
    assert client.delete("/public/video", params={"token": shown.token}).status_code == 404


def test_a_video_that_somebody_else_submitted_too_stays_for_them(client: httpx.Client, states: VideoStates) -> None:
    mine, other = (states.submitted("https://example.org/both.mp4") for _ in range(2))

    answer = client.delete("/public/video", params={"token": mine.token})

    assert answer.json()["is_kept"] is True
    assert "submitted more than once" in answer.json()["message"]
    assert client.get("/public/video/status", headers=bearer(other)).json()["status"] == "queued"


def test_the_page_deletes_without_javascript_and_says_what_became_of_the_video(
    client: httpx.Client, states: VideoStates
) -> None:
    shown = states.submitted("https://example.org/form.mp4")
    assert f'<form method="post" action="{shown.path}/delete">' in client.get(shown.path).text

    answer = client.post(f"{shown.path}/delete")

    assert "The video is deleted" in answer.text
    assert client.get(shown.path).status_code == 404
    assert client.post(f"{shown.path}/delete").status_code == 404


def test_a_page_of_another_site_deletes_nothing(client: httpx.Client, states: VideoStates) -> None:
    shown = states.submitted("https://example.org/other.mp4")

    answer = client.post(f"{shown.path}/delete", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert client.get(shown.path).status_code == 200


def test_without_a_token_nothing_is_deleted(client: httpx.Client) -> None:
    answer = client.delete("/public/video")

    assert (answer.status_code, answer.json()["code"]) == (401, "missing_token")
