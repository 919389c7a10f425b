"""Claims about what is said in a video, for whoever has the token."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.stores import sealed

URL = "https://media.example.org/said.mp4"
MODEL = "tiny.en@sha256:1a5afae06a4db91c"
SAID = "Bread & <butter> — größer."


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    with serving(settings_in(tmp_path)) as running:
        yield running


def heard(intake: Intake) -> tuple[str, Transcript]:
    """A video that is transcribed and not analysed yet; gives its token."""
    receipt = intake.submit(URL)
    video_id, store = receipt["video_id"], intake.services.store
    segment = Segment(id=0, start_s=1.0, end_s=3.0, text=SAID)
    made = sealed(
        Transcript(video_id=video_id, language="de", duration_s=9.0, audible_s=2.0, covered_s=2.0, segments=(segment,)),
        model=MODEL,
    )
    Queue(intake.services.database).begin(video_id, "run-1", None, PipelineStep.CONTENT_TYPE)
    write_document(store, made)
    intake.services.database.add_lineage(made, "file:///here")
    point_current(store, made)
    return receipt["token"], made


def test_what_is_said_can_be_had_in_every_form_as_soon_as_it_is_heard(intake: Intake) -> None:
    token, made = heard(intake)

    told = intake.status(token)
    urls = told["transcript_urls"]

    assert told["transcript_model"] == MODEL
    assert list(urls) == [form.value for form in Form]
    for form in Form:
        answer = intake.client.get(urls[form])
        assert answer.status_code == 200
        assert answer.headers["content-type"] == form.media_type
        assert answer.headers["content-language"] == "de"
        assert answer.text == rendered(made, form)


def test_before_it_is_heard_there_is_none_and_no_link_to_it(intake: Intake) -> None:
    token = intake.submit(URL)["token"]

    answer = intake.client.get(f"/video/{token}/transcript.srt")

    told = intake.status(token)
    assert (told["transcript_urls"], told["transcript_model"]) == ({}, None)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_transcript")


def test_a_form_that_there_is_none_of_and_a_token_that_nobody_has_are_told(intake: Intake) -> None:
    token, _ = heard(intake)

    form, stranger = intake.client.get(f"/video/{token}/transcript.doc"), intake.client.get("/video/x/transcript.srt")

    assert (form.status_code, form.json()["code"]) == (422, "invalid_request")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "unknown_token")


def test_the_page_has_a_link_to_each_form_and_none_before(intake: Intake) -> None:
    before = intake.client.get(f"/video/{intake.submit(f'{URL}?2')['token']}").text
    token, _ = heard(intake)

    page = intake.client.get(f"/video/{token}").text

    assert "transcript.srt" not in before
    assert f'title="{MODEL}">Whisper tiny.en<' in page
    assert all(f'href="/video/{token}/transcript.{form}"' in page for form in Form)
