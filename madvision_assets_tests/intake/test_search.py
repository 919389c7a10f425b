"""Claims about the search for whoever has tokens."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.intake.tokens import MAX_TOKENS
from madvision_assets_tests import stores
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.stores import sealed

URL = "https://media.example.org/said.mp4"
HTML = "<script>alert('x')</script> & bread"


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with serving(settings_in(tmp_path_factory.mktemp("search"))) as running:
        yield running


def heard(intake: Intake, name: str, *texts: str) -> tuple[str, str]:
    """Token and ID of a video in which this is said."""
    receipt = intake.submit(f"{URL}?{name}")
    segments = tuple(Segment(id=n, start_s=n * 10, end_s=n * 10 + 10, text=text) for n, text in enumerate(texts))
    spoken = Transcript(
        video_id=receipt["video_id"], language="en", duration_s=90, audible_s=90, covered_s=90, segments=segments
    )
    with intake.services.database.writing() as connection:  # as if nobody had queued it
        connection.exec_driver_sql("DELETE FROM video_processing_queue WHERE video_id = ?", (receipt["video_id"],))
    intake.services.database.add_lineage(sealed(spoken), "file:///here")
    return receipt["token"], receipt["video_id"]


def asked(intake: Intake, words: str, *tokens: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {','.join(tokens)}"} if tokens else {}
    return intake.client.get("/public/search", params={"q": words, **more}, headers=headers)


def test_a_phrase_is_found_in_ones_own_videos_and_in_no_other(intake: Intake) -> None:
    mine, my_id = heard(intake, "mine", "Nothing here.", "The cat sat on the mat.")
    others, _ = heard(intake, "others", "The cat sat on the roof.")

    one = asked(intake, '"cat sat"', mine)
    both = asked(intake, '"cat sat"', mine, "no-such-token", others)
    in_address = intake.client.get("/public/search", params=[("q", "cat"), ("token", mine), ("token", others)])

    assert one.status_code == 200, one.text
    assert one.json() == {
        "moments": [
            {
                "video_id": my_id,
                "title": None,
                "start_s": 10.0,
                "end_s": 20.0,
                "text": "The cat sat on the mat.",
                "page_url": f"{intake.client.base_url}/video/{mine}".replace("//video", "/video"),
                "clip": None,
            }
        ],
        "next_before": None,
    }
    assert [len(each.json()["moments"]) for each in (both, in_address)] == [2, 2]


def test_the_clip_that_has_it_is_linked(intake: Intake) -> None:
    receipt = intake.submit(f"{URL}?clip")
    with intake.services.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM video_processing_queue WHERE video_id = ?", (receipt["video_id"],))
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "Before.", "The walrus speaks.", "At length.")
    clips = stores.clips(raw, spoken, stores.clip_candidates(raw, spoken, stores.content_type(raw, spoken)))
    for document in (spoken, clips):
        moved = document.model_copy(update={"video_id": receipt["video_id"]})
        intake.services.database.add_lineage(moved, "there")

    (hit,) = asked(intake, "walrus", receipt["token"]).json()["moments"]

    assert hit["clip"]["title"] == 'A [bold] "claim"'
    assert hit["clip"]["url"] == f"{hit['page_url']}/clips/{hit['clip']['clip_id']}.mp4"


@pytest.mark.parametrize(
    "words", ["", "\0", "!!! --", "x" * 10_000, " ".join(f"w{n}" for n in range(99)), "\u202e", '""""']
)
def test_what_cannot_be_looked_for_is_an_invalid_request(intake: Intake, words: str) -> None:
    token, _ = heard(intake, "bad", "The cat.")

    answer = asked(intake, words, token)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["parameter"].endswith("q")


@pytest.mark.parametrize("words", ["'; DROP TABLE videos;--", 'cat" NEAR/2 "sat', "cat & !sat | (", "cat:*", "%", "\\"])
def test_operators_are_words_or_nothing(intake: Intake, words: str) -> None:
    token, _ = heard(intake, "operators", "The cat.")

    assert asked(intake, words, token).status_code in {200, 422}
    assert asked(intake, "cat", token).json()["moments"]


def test_what_was_said_is_told_as_it_was_said_in_an_answer_that_no_browser_takes_for_a_page(intake: Intake) -> None:
    token, _ = heard(intake, "html", HTML)

    answer = asked(intake, "bread", token)

    assert answer.json()["moments"][0]["text"] == HTML
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_a_token_nothing_is_searched(intake: Intake) -> None:
    nobody, stranger = asked(intake, "cat"), asked(intake, "cat", "no-such-token")
    many = asked(intake, "cat", *(f"t{n}" for n in range(MAX_TOKENS + 1)))

    assert (nobody.status_code, nobody.json()["code"]) == (401, "missing_token")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "unknown_token")
    assert (many.status_code, many.json()["code"]) == (422, "invalid_request")
