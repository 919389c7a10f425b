"""Claims about documents that another version wrote: what can be read is read, what cannot is told as what it is.

Each test begins with what a released version left behind, and lays another version's document over it, under the same
key: with keys that this version does not know, or of a higher schema version.
"""

import json
import re
from pathlib import Path

import pytest

from madvision_assets.connections import make_database
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.operations import Operations
from madvision_assets_tests.harness import Harness
from madvision_assets_tests.released import LeftBehind
from madvision_assets_tests.versions.later import (
    AS_IT_IS,
    AWAY,
    PLACES,
    TOLD_CAUSES,
    Change,
    adding,
    later_everywhere,
    of_newer_version,
    rewritten,
    run,
    served,
    unreadable,
)

pytestmark = pytest.mark.whole

# --- what can be read is read ---


def assert_nothing_is_left_to_do(left: LeftBehind, harness: Harness) -> None:
    """Queued again, the talk is done without a run."""
    video_id = left.videos["talk"]
    Operations(make_database(harness.settings)).requeue(video_ids=[video_id])

    asked = harness.ask()

    assert video_id not in {request.partition_key for request in asked}
    row = harness.queue.get(video_id)
    assert row is not None
    assert (row.status, row.outcome) == (QueueStatus.DONE, "clips")


@pytest.mark.parametrize("asset", PLACES)
def test_a_stage_counts_as_made_whatever_keys_its_document_has_that_nobody_knows(
    left: LeftBehind, harness: Harness, asset: str
) -> None:
    rewritten(left, asset, adding((), ("provenance",), *PLACES[asset]))

    assert_nothing_is_left_to_do(left, harness)


@pytest.mark.parametrize("asset", PLACES)
def test_a_stage_counts_as_made_where_a_newer_version_wrote_its_document(
    left: LeftBehind, harness: Harness, asset: str
) -> None:
    rewritten(left, asset, of_newer_version, adding(()))

    assert_nothing_is_left_to_do(left, harness)


@pytest.mark.parametrize("changes", [(), (of_newer_version,)], ids=["unknown keys", "newer"])
def test_documents_of_a_later_version_are_shown_and_served(left: LeftBehind, changes: tuple[Change, ...]) -> None:
    later_everywhere(left, *changes)

    lineage = run(left, "lineage", left.videos["talk"], "--format", "json")
    of_clip = run(left, "lineage", f"{left.videos['talk']}.01", "--format", "json")
    verified = run(left, "store", "verify")
    with served(left) as intake:
        status = intake.status(left.tokens["talk"])
        page = intake.client.get(f"/video/{left.tokens['talk']}")
        keys = ("url", "captions_url", "subtitles_url", "thumbnail_url")
        answers = [intake.client.get(clip[key]) for clip in status["clips"] for key in keys]

    assert len(status["clips"]) == 2
    assert "2 clips are ready" in page.text
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len(json.loads(lineage.stdout)["stages"]) == 5
    assert json.loads(of_clip.stdout)["clip"]["segments"]
    assert verified.exit_code == 0, verified.output


def test_a_stage_is_done_again_on_documents_of_a_later_version(left: LeftBehind, harness: Harness) -> None:
    later_everywhere(left)
    Operations(make_database(harness.settings)).requeue(video_ids=[left.videos["talk"]], from_step=PipelineStep.CLIPS)

    [request] = [each for each in harness.ask() if each.partition_key == left.videos["talk"]]

    assert [key.to_user_string() for key in request.asset_selection or ()] == ["clips"]
    assert harness.launch(request).success


# --- what cannot be read is told as what it is ---


def assert_names_nothing_of_ours(text: str, left: LeftBehind, path: Path) -> None:
    """What the public sees has neither a key of the store, nor a place, nor another reason than the right one."""
    assert path.stem not in text
    assert not re.search(rf"\b({'|'.join(PLACES)})/{left.videos['talk']}/", text)
    assert str(left.home) not in text
    assert "file://" not in text
    assert AWAY not in text


@pytest.mark.parametrize("asset", PLACES)
def test_a_finished_stage_that_cannot_be_read_is_never_planned_again(
    left: LeftBehind, harness: Harness, asset: str
) -> None:
    path, video_id = unreadable(left, asset), left.videos["talk"]
    pointers = {each: each.read_bytes() for each in (left.home / "store").rglob(f"{video_id}/current.json")}
    Operations(make_database(harness.settings)).requeue(video_ids=[video_id])

    for _ in range(3):
        assert video_id not in {request.partition_key for request in harness.ask()}

    row = harness.queue.get(video_id)
    assert row is not None
    if asset == "clips":  # the one that has to be read to tell how the video ended
        assert row.status is QueueStatus.WAITING
        assert row.failure_cause in TOLD_CAUSES
        assert path.name in (row.failure_details or "")
    else:
        assert row.status is QueueStatus.DONE
    assert {each: each.read_bytes() for each in pointers} == pointers
    assert harness.tools.calls.total() == 0


def test_a_video_that_waits_behind_a_stage_that_cannot_be_read_is_not_carried_on_from_before_it(
    left: LeftBehind, harness: Harness
) -> None:
    path = unreadable(left, "transcript", "waits")

    for _ in range(3):
        assert left.videos["waits"] not in {request.partition_key for request in harness.ask()}

    row = harness.queue.get(left.videos["waits"])
    assert row is not None
    assert row.failure_cause in TOLD_CAUSES
    assert path.name in (row.failure_details or "")


def test_operators_are_told_the_key_and_the_public_is_not(left: LeftBehind, harness: Harness) -> None:
    path = unreadable(left, "clips")
    Operations(make_database(harness.settings)).requeue(video_ids=[left.videos["talk"]])
    harness.ask()

    told = json.loads(run(left, "status", left.videos["talk"], "--format", "json").stdout)
    with served(left) as intake:
        status = intake.client.get("/public/video/status", params={"token": left.tokens["talk"]})
        page = intake.client.get(f"/video/{left.tokens['talk']}")

    assert told["queue"]["failure_cause"] in TOLD_CAUSES
    assert path.name in told["queue"]["failure_details"]
    assert status.json()["failure_cause"] in TOLD_CAUSES
    assert page.status_code == 200
    for answer in (status, page):
        assert_names_nothing_of_ours(answer.text, left, path)


def test_clips_that_are_made_and_cannot_be_read_are_told_as_that_to_the_public(left: LeftBehind) -> None:
    path = unreadable(left, "clips")
    with served(left) as intake:
        status = intake.client.get("/public/video/status", params={"token": left.tokens["talk"]})
        page = intake.client.get(f"/video/{left.tokens['talk']}")

    for answer in (status, page):
        assert_names_nothing_of_ours(answer.text, left, path)
        assert re.search(AS_IT_IS, answer.text)
    if status.status_code == 200:
        told = status.json()
        assert (told["status"], told["outcome"], told["clips"]) == ("done", "clips", [])
        assert re.search(AS_IT_IS, told["message"])
    else:
        assert status.status_code == 503
        assert status.json()["code"] != "store_unavailable"


def test_a_file_of_a_clip_that_cannot_be_read_is_our_fault_and_names_nothing(left: LeftBehind) -> None:
    path, base = unreadable(left, "clips"), f"/video/{left.tokens['talk']}/clips/{left.videos['talk']}.01"
    with served(left) as intake:
        answers = [intake.client.get(f"{base}.{extension}") for extension in ("mp4", "srt", "vtt", "jpg")]

    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] != "store_unavailable"
        assert_names_nothing_of_ours(answer.text, left, path)


@pytest.mark.parametrize("asset", PLACES)
def test_lineage_tells_the_operator_which_document_cannot_be_read(left: LeftBehind, asset: str) -> None:
    path = unreadable(left, asset)

    result = run(left, "lineage", left.videos["talk"])

    assert path.name in result.output


def test_the_command_does_nothing_anew_where_a_document_cannot_be_read(left: LeftBehind) -> None:
    path = unreadable(left, "clip_candidates")
    address = json.loads(run(left, "status", left.videos["talk"], "--format", "json").stdout)["address"]

    result = run(left, "process", address)

    assert result.exit_code == 0
    assert "nothing to do" in result.output
    assert path.is_file()


def test_a_look_at_the_store_tells_what_cannot_be_read_from_what_is_missing(left: LeftBehind) -> None:
    path = unreadable(left, "clips")

    result = run(left, "store", "verify")

    assert result.exit_code == 1
    assert path.name in result.output
    assert "not in the store" not in result.output


def test_a_stage_that_cannot_be_read_is_done_again_when_somebody_asks_for_it(
    left: LeftBehind, harness: Harness
) -> None:
    unreadable(left, "clips")
    Operations(make_database(harness.settings)).requeue(video_ids=[left.videos["talk"]], from_step=PipelineStep.CLIPS)

    [request] = [each for each in harness.ask() if each.partition_key == left.videos["talk"]]
    assert [key.to_user_string() for key in request.asset_selection or ()] == ["clips"]
    assert harness.launch(request).success

    with served(left) as intake:
        assert len(intake.status(left.tokens["talk"])["clips"]) == 2
