"""Claims about changing clips over the API: what can be changed, changes, and refusals in sentences."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import UnexpectedError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.schemas import SubmissionRequest
from madvision_assets.intake.submitting import submit_one
from madvision_assets.tools.analyst.prompts import PROPOSE
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets_tests import editing
from madvision_assets_tests.intake.serving import Intake, serving, settings_in

PATH = "/public/video/clips"


class Video:
    """A video whose clips are made, over the API."""

    def __init__(self, intake: Intake, name: str) -> None:
        self.name = name
        receipt = intake.submit(f"https://media.example.org/{name}.mp4")
        self.token, self.video_id = receipt["token"], receipt["video_id"]
        self.intake = intake

    def made(self) -> "Video":
        """Its clips are made."""
        store = self.intake.services.store
        editing.published(store, self.video_id)
        for name in ("a.mp4", "a.flac"):
            store.put_bytes(f"media/{self.video_id}/{name}", b"1", media_type="video/mp4")
        return self

    @property
    def key(self) -> dict[str, str]:
        """What shows that it is ours."""
        return {"Authorization": f"Bearer {self.token}"}

    def look(self) -> dict[str, Any]:
        """What can be changed."""
        answer = self.intake.client.get(PATH, headers=self.key)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def change(self, *edits: dict[str, Any], version: str | None = None, **more: Any) -> httpx.Response:
        """Ask for changes."""
        body = {"version": version or self.look()["version"], "edits": list(edits), **more}
        return self.intake.client.patch(PATH, headers=self.key, json=body)

    @property
    def chosen(self) -> ClipCandidates:
        """The newest version."""
        return read_current(self.intake.services.store, ClipCandidates, self.video_id)


@pytest.fixture
def video(intake: Intake, request: pytest.FixtureRequest) -> Video:
    return Video(intake, re.sub(r"\W", "-", request.node.name)).made()


def test_what_can_be_changed_is_told_with_every_word(video: Video) -> None:
    told = video.look()

    assert (told["video_id"], told["version"], told["busy"]) == (
        video.video_id, video.chosen.origin.data_version, False,
    )  # fmt: skip
    assert [each["clip"] for each in told["clips"]] == [1, 2, 3, 4, 5]
    assert told["clips"][0]["clip_id"] == f"{video.video_id}.01"
    assert [each["text"] for each in told["words"]][:3] == ["The", "first", "one"]


def test_changes_are_made_all_together_and_the_clips_alone_are_queued(video: Video) -> None:
    answer = video.change(
        {"change": "retitle", "clip": 1, "title": "Another"},
        {"change": "drop", "clip": 2},
        {"change": "add", "start_s": 700, "end_s": 734},
    )

    told = answer.json()
    assert answer.status_code == 202, answer.text
    assert [each["clip"] for each in told["clips"]] == [1, 3, 4, 5, 6]
    assert told["clips"][0]["title"] == "Another"
    assert told["to_render"] == [6]
    assert told["version"] == video.chosen.origin.data_version == video.look()["version"]
    row = Queue(video.intake.services.database).get(video.video_id)
    assert row is not None
    assert (row.status, row.from_step) == (QueueStatus.QUEUED, PipelineStep.CLIPS)


def pictures(told: dict[str, Any]) -> tuple[list[str], str | None]:
    return told["renditions"], told["captions"]


def test_shapes_and_captions_are_chosen_for_all_clips_and_told_with_what_is_made_and_what_goes(video: Video) -> None:
    assert pictures(video.look()) == ([], None)

    first = video.change({"change": "pictures", "renditions": ["square", "vertical"], "captions": "bold"})
    second = video.change({"change": "pictures", "renditions": ["vertical"], "captions": None})

    assert first.status_code == second.status_code == 202, first.text
    told, after = first.json(), second.json()
    assert pictures(told) == (["vertical", "square"], "bold")
    assert told["new_renditions"] == ["vertical", "vertical_captions", "square", "square_captions"]
    assert (told["to_render"], told["dropped_renditions"]) == ([1, 2, 3, 4, 5], [])
    assert (after["to_render"], after["new_renditions"]) == ([], [])
    assert after["dropped_renditions"] == ["vertical_captions", "square", "square_captions"]
    assert pictures(video.look()) == pictures(after) == (["vertical"], None)
    assert after["version"] == video.chosen.origin.data_version != told["version"]
    assert video.chosen.origin.parameters["edits"] == "pictures vertical"
    row = Queue(video.intake.services.database).get(video.video_id)
    assert row is not None
    assert (row.status, row.from_step) == (QueueStatus.QUEUED, PipelineStep.CLIPS)


def done(video: Video, *told: Document) -> None:
    """Its clips are made, as the queue has it, and lineage tells these documents."""
    services, run_id = video.intake.services, "run-1"  # theirs
    queue = Queue(services.database)
    queue.begin(video.video_id, run_id, None, PipelineStep.CLIPS)
    for each in told:
        services.database.add_lineage(each, "there")
    made = read_current(services.store, Clips, video.video_id)
    queue.finish_step(video.video_id, run_id, PipelineStep.CLIPS, ends=True, made=made)


def test_who_chose_the_moments_and_by_what_stays_told_where_pictures_alone_are_chosen(video: Video) -> None:
    services = video.intake.services
    by = {"engine": "openai", "model": "gpt-4o-2024-11-20", "prompt_version": PROPOSE.version, "prompt_hash": "ab" * 32}
    paid = {"cost_usd": 0.25, "usage": {"input_tokens": 9000}, "parameters": {"seed": 7}, "data_version": "f" * 32}
    chosen = video.chosen.model_copy(update={"provenance": video.chosen.origin.model_copy(update={**by, **paid})})
    write_document(services.store, chosen)
    point_current(services.store, chosen)
    done(video, read_current(services.store, ContentType, video.video_id), chosen)
    criteria = video.intake.status(video.token)["criteria"]

    assert video.change({"change": "pictures", "captions": "bold"}).status_code == 202

    origin = video.chosen.origin
    assert {name: getattr(origin, name) for name in by} == by
    assert (origin.cost_usd, origin.usage) == (0.0, {}), "it was paid for once"
    assert (origin.parameters["seed"], origin.parameters["edits"]) == (7, "pictures source_captions bold")
    assert origin.parameters["in_place_of"] == "f" * 32
    assert criteria
    assert video.intake.status(video.token)["criteria"] == criteria


@pytest.mark.parametrize(
    ("told", "place", "known"),
    [
        ({"renditions": ["tall"]}, "renditions", "source, vertical, square, portrait"),
        ({"renditions": "vertical"}, "renditions", "source, vertical, square, portrait"),
        ({"captions": "comic"}, "captions", "bold, karaoke, plain"),
        ({"captions": ""}, "captions", "bold, karaoke, plain"),
        ({"renditions": [""]}, "renditions", "source, vertical, square, portrait"),
        ({}, "", "give renditions or captions"),
    ],
)
def test_shapes_and_styles_that_there_are_not_are_refused_by_those_that_there_are(
    video: Video, told: dict[str, Any], place: str, known: str
) -> None:
    before = video.look()

    answer = video.change({"change": "pictures", **told})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert known in answer.json()["detail"].replace("Give", "give")
    assert place in answer.json()["errors"][0]["pointer"]
    assert video.look() == before


def being_processed(video: Video) -> None:
    Queue(video.intake.services.database).begin(video.video_id, "run-1", None, PipelineStep.CLIPS)


def without_its_download(video: Video) -> None:
    video.intake.services.store.delete([f"media/{video.video_id}/a.mp4"])


def deleted(video: Video) -> None:
    assert video.intake.client.delete("/public/video", headers=video.key).is_success


@pytest.mark.parametrize(
    ("state", "code"),
    [(being_processed, "video_busy"), (without_its_download, "video_busy"), (deleted, "unknown_token")],
)
def test_in_whatever_state_a_video_is_a_choice_of_pictures_is_answered_as_a_trim_is(
    video: Video, state: Callable[[Video], None], code: str
) -> None:
    version = video.look()["version"]
    state(video)

    trimmed = video.change({"change": "trim", "clip": 1, "end_s": 3630}, version=version)
    chosen = video.change({"change": "pictures", "captions": "bold"}, version=version)

    assert trimmed.json()["code"] == code
    assert (chosen.status_code, chosen.json()) == (trimmed.status_code, trimmed.json())


def test_a_choice_of_pictures_of_clips_that_were_changed_meanwhile_is_refused(video: Video) -> None:
    version = video.look()["version"]
    assert video.change({"change": "pictures", "captions": "bold"}, version=version).status_code == 202

    answer = video.change({"change": "pictures", "captions": "plain"}, version=version)

    assert (answer.status_code, answer.json()["code"]) == (409, "edit_outdated")
    assert video.look()["captions"] == "bold"


def test_a_dry_run_changes_nothing(video: Video) -> None:
    before = video.look()

    answer = video.change({"change": "drop", "clip": 1}, dry_run=True)

    assert (answer.status_code, len(answer.json()["clips"])) == (202, 4)
    assert answer.json()["version"] == before["version"]
    assert video.look() == before


def test_what_cannot_be_done_is_told_in_a_sentence_at_its_place(video: Video) -> None:
    before = video.look()

    answer = video.change({"change": "drop", "clip": 1}, {"change": "trim", "clip": 77, "start_s": 4})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "edit_refused")
    assert problem["detail"] == "There is no clip 77. There are: 2, 3, 4, 5."
    assert problem["errors"][0]["pointer"] == "/edits/1"
    assert video.look() == before


def test_changes_of_clips_that_were_changed_meanwhile_are_refused(video: Video) -> None:
    version = video.look()["version"]
    assert video.change({"change": "drop", "clip": 1}, version=version).status_code == 202

    answer = video.change({"change": "drop", "clip": 2}, version=version)

    assert (answer.status_code, answer.json()["code"]) == (409, "edit_outdated")
    assert "make the changes again" in answer.json()["detail"]
    assert [each.rank for each in video.chosen.candidates] == [2, 3, 4, 5]


def test_while_a_video_is_processed_changes_are_refused_with_what_to_do(video: Video) -> None:
    queue = Queue(video.intake.services.database)
    queue.begin(video.video_id, "run-1", None, PipelineStep.CLIPS)

    answer = video.change({"change": "drop", "clip": 1})

    assert video.look()["busy"]
    assert (answer.status_code, answer.json()["code"]) == (409, "video_busy")
    assert answer.json()["detail"].endswith("Make the changes when that has ended.")


def test_before_moments_are_chosen_there_is_nothing_to_change(intake: Intake) -> None:
    video = Video(intake, "early")

    answers = [intake.client.get(PATH, headers=video.key), video.change({"change": "drop", "clip": 1}, version="x")]

    assert {(each.status_code, each.json()["code"]) for each in answers} == {(404, "no_moments")}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nobody"}])
def test_without_the_token_nothing_is_told_or_changed(video: Video, headers: dict[str, str]) -> None:
    body = {"version": video.look()["version"], "edits": [{"change": "drop", "clip": 1}]}
    client = video.intake.client

    answers = [client.get(PATH, headers=headers), client.patch(PATH, headers=headers, json=body)]

    assert {each.status_code for each in answers} == {404 if headers else 401}
    assert len(video.chosen.candidates) == 5


def test_clips_that_somebody_else_had_first_are_not_changed_by_who_submits_the_same_video(video: Video) -> None:
    url = f"https://media.example.org/{video.name}.mp4"
    services, other = video.intake.services, "192.0.2.77"
    stranger = submit_one(services, SubmissionRequest(url=url), other)
    body = {"version": video.look()["version"], "edits": [{"change": "drop", "clip": 1}]}
    headers = {"Authorization": f"Bearer {stranger.token}"}

    answer = video.intake.client.patch(PATH, headers=headers, json=body)
    page = video.intake.client.get(f"/video/{stranger.token}/edit")

    assert stranger.row.video_id == video.video_id
    assert (answer.status_code, answer.json()["code"]) == (403, "clips_of_another")
    assert "submit it with other options" in answer.json()["detail"]
    assert page.status_code == 403
    assert len(video.chosen.candidates) == 5


def test_changing_the_clips_is_offered_to_the_token_that_may(video: Video) -> None:
    client, queue = video.intake.client, Queue(video.intake.services.database)
    other = video.intake.submit(f"https://media.example.org/{video.name}.mp4")["token"]
    assert video.intake.status(video.token)["may_edit"] is False
    queue.claim_due(1000)
    row = queue.get(video.video_id)
    assert row is not None
    queue.begin(video.video_id, "run", row.attempt, PipelineStep.CLIPS)
    made = read_current(video.intake.services.store, Clips, video.video_id)
    queue.finish_step(video.video_id, "run", PipelineStep.CLIPS, ends=True, made=made)

    offered = {
        token: ("Change the clips" in client.get(f"/video/{token}").text, video.intake.status(token)["may_edit"])
        for token in (video.token, other)
    }

    assert offered == {video.token: (True, True), other: (False, False)}
    shown = client.get(f"/video/{video.token}").text
    [shape, *_] = re.findall(r'Watch it as: <a href="(/video/[^"]+\.mp4)">Tall', shown)
    assert client.get(shape).headers["content-type"] == "video/mp4"


def test_one_who_comes_from_the_same_network_address_as_the_first_changes_nothing_of_his(video: Video) -> None:
    first, version = video.token, video.look()["version"]
    video.token = video.intake.submit(f"https://media.example.org/{video.name}.mp4")["token"]

    answer = video.change({"change": "drop", "clip": 1}, version=version)

    assert (answer.status_code, answer.json()["code"]) == (403, "clips_of_another")
    video.token = first
    assert video.change({"change": "drop", "clip": 1}).status_code == 202


def test_clips_are_shown_while_they_are_made_again_and_stay_where_that_fails(video: Video) -> None:
    queue = Queue(video.intake.services.database)
    manifest = read_current(video.intake.services.store, Clips, video.video_id)
    queue.begin(video.video_id, "run-1", None, PipelineStep.CLIPS)
    queue.finish_step(video.video_id, "run-1", PipelineStep.CLIPS, ends=True, made=manifest)
    before = video.intake.status(video.token)["clips"]

    assert video.change({"change": "retitle", "clip": 1, "title": "Another"}).status_code == 202
    again = video.intake.status(video.token)
    page = video.intake.client.get(f"/video/{video.token}").text
    queue.begin(video.video_id, "run-2", None, PipelineStep.CLIPS)
    queue.fail(video.video_id, "run-2", None, PipelineStep.CLIPS, UnexpectedError("a bug"))
    failed = video.intake.status(video.token)

    assert len(before) == 5
    assert (again["status"], again["outcome"], again["clips"]) == ("queued", "clips", before)
    assert "The clips below are those from before." in page
    assert (failed["clips"], failed["failure_cause"]) == (before, "unexpected")


def test_what_is_sent_as_something_else_than_json_is_told_so(video: Video) -> None:
    answer = video.intake.client.patch(PATH, headers={**video.key, "Content-Type": "text/plain"}, content=b"{}")

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_changes_count_as_submissions(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, requests_per_minute=3)) as intake:
        video = Video(intake, "bounded").made()
        titles = [{"change": "retitle", "clip": 1, "title": f"No. {n}"} for n in range(3)]

        answers = [video.change(each).status_code for each in titles]

        assert answers == [202, 202, 429], "the submission was the first of three"
        assert video.look()["clips"][0]["title"] == "No. 1"
