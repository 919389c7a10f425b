"""Claims about documents that another version wrote: what can be read is read, what cannot is told as what it is.

Each test begins with what a released version left behind, and lays another version's document over it, under the same
key: with keys that this version does not know, or of a higher schema version.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from madvision_assets.connections import make_database, make_store
from madvision_assets.domain.clips import Role
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.tables import lineage as lineage_table
from madvision_assets.tools.database.tables import video_processing_queue
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import dispatch
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.released import VERSIONS, LeftBehind, unpacked

KINDS = {step.value: step.stage.document for step in PipelineStep}
# Where a later version may add a key: by document the ways to objects in it.
PLACES: dict[str, tuple[tuple[str | int, ...], ...]] = {
    "raw_video": (("media",), ("info",), ("source",), ("options",)),
    "transcript": (("segments", 1), ("segments", 0, "words", 0)),
    "content_type": (),
    "clip_candidates": (("candidates", 1), ("rejected", 0, "moment"), ("provenance", "inputs", 0)),
    "clips": (("clips", 0), ("clips", 1)),
}
# What no later version can leave out without this one being unable to read the rest.
REQUIRED = {
    "raw_video": "info", "transcript": "segments", "content_type": "kind", "clip_candidates": "outcome",
    "clips": "outcome",
}  # fmt: skip
NEWER = 99
TOLD_CAUSES = {"unreadable_document", "newer_document"}
AWAY = "cannot be reached"
AS_IT_IS = r"version|cannot be read"

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(params=VERSIONS)
def left(request: pytest.FixtureRequest, tmp_path: Path) -> LeftBehind:
    """A home to lay documents into."""
    return unpacked(request.param, tmp_path)


@pytest.fixture
def harness(left: LeftBehind) -> Iterator[Harness]:
    """The daemon's work there."""
    with open_harness(left.home, left.home / "no-source.mp4") as made:
        yield made


@contextmanager
def served(left: LeftBehind) -> Iterator[Intake]:
    """The intake there."""
    with serving(settings_in(left.home)) as running:
        yield running


def run(left: LeftBehind, *arguments: str) -> Any:
    """One command there."""
    return CommandLine(left.home).run(*arguments)


# --- other versions' documents ---


def current_path(left: LeftBehind, asset: str, name: str = "talk") -> Path:
    """Where the document lies that counts."""
    store = left.home / "store"
    pointer = json.loads((store / asset / left.videos[name] / "current.json").read_text())
    return Path(store / pointer["key"])


def rewritten(left: LeftBehind, asset: str, *changes: Change, name: str = "talk") -> Path:
    """The document that counts, written in this version's form with these changes; gives its place."""
    document = read_current(make_store(settings_in(left.home)), KINDS[asset], left.videos[name])
    content = document.model_dump(mode="json")
    for change in changes:
        change(content)
    path = current_path(left, asset, name)
    path.write_text(json.dumps(content))
    return path


def adding(*places: tuple[str | int, ...]) -> Change:
    """A key that nobody knows, in the object at each of these places."""

    def change(content: dict[str, Any]) -> None:
        for place in places:
            found: Any = content
            for part in place:
                found = found[part]
            found["of_a_later_version"] = {"what": ["nobody", "knows"]}

    return change


def of_newer_version(content: dict[str, Any]) -> None:
    """As a later version numbers it."""
    content["schema_version"] = NEWER


def without(key: str) -> Change:
    """A key is gone."""

    def change(content: dict[str, Any]) -> None:
        del content[key]

    return change


def unreadable(left: LeftBehind, asset: str, name: str = "talk") -> Path:
    """Lay a document there that a later version wrote and this one cannot read."""
    return rewritten(left, asset, of_newer_version, without(REQUIRED[asset]), name=name)


def later_everywhere(left: LeftBehind, *changes: Change) -> None:
    """Every document of the talk has keys that nobody knows, and so has every pointer."""
    for asset, places in PLACES.items():
        rewritten(left, asset, adding((), ("provenance",), *places), *changes)
        pointer = left.home / "store" / asset / left.videos["talk"] / "current.json"
        content = json.loads(pointer.read_text())
        adding(())(content)
        pointer.write_text(json.dumps(content))


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


# --- one video does not hold up the others, nor one clip the page ---


def test_whatever_lies_under_one_video_the_others_are_launched(
    left: LeftBehind, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = dispatch.missing_steps

    def breaks(store: ObjectStore, video_id: str, from_step: PipelineStep | None) -> tuple[PipelineStep, ...]:
        if video_id == left.videos["talk"]:
            raise ZeroDivisionError
        return looked_up(store, video_id, from_step)

    monkeypatch.setattr(dispatch, "missing_steps", breaks)
    Operations(make_database(harness.settings)).requeue(video_ids=[left.videos["talk"], left.videos["queued"]])

    assert left.videos["queued"] in {request.partition_key for request in harness.ask()}
    row = harness.queue.get(left.videos["talk"])
    assert row is not None
    assert (row.status, row.failure_cause) == (QueueStatus.WAITING, "unexpected")


@pytest.mark.parametrize("column", ["pipeline_step", "from_step"])
def test_a_row_at_a_stage_that_only_a_newer_version_knows_is_shown_and_left_alone(
    left: LeftBehind, harness: Harness, column: str
) -> None:
    database = make_database(harness.settings)
    Operations(database).requeue(video_ids=[left.videos["talk"], left.videos["queued"]])
    mine = video_processing_queue.c.video_id == left.videos["talk"]
    with database.writing() as connection:
        connection.execute(video_processing_queue.update().where(mine).values({column: "speakers"}))

    assert {request.partition_key for request in harness.ask()} >= {left.videos["queued"]}
    row = harness.queue.get(left.videos["talk"])
    assert row is not None
    assert row.status is QueueStatus.QUEUED
    told = run(left, "status", left.videos["talk"])
    with served(left) as intake:
        assert intake.status(left.tokens["talk"])["status"] == "queued"

    assert told.exit_code == 0, told.output


@pytest.mark.parametrize("role", Role)
def test_a_clip_that_lacks_a_file_is_shown_without_it(left: LeftBehind, role: Role) -> None:
    def lacking(content: dict[str, Any]) -> None:
        for clip in content["clips"]:
            del clip["files"][role.value]

    rewritten(left, "clips", of_newer_version, lacking)
    listed = run(
        left, "process", json.loads(run(left, "status", left.videos["talk"], "--format", "json").stdout)["address"]
    )
    lineage = run(left, "lineage", f"{left.videos['talk']}.01")
    with served(left) as intake:
        clip = intake.status(left.tokens["talk"])["clips"][0]
        page = intake.client.get(f"/video/{left.tokens['talk']}")
        links = [clip[name] for name in ("url", "captions_url", "subtitles_url", "thumbnail_url") if clip[name]]
        answers = {intake.client.get(link).status_code for link in [*links, *clip["files"].values()]}

    assert (listed.exit_code, lineage.exit_code, page.status_code) == (0, 0, 200)
    assert role.value not in clip["files"]
    assert answers == {200}


def test_the_lineage_of_the_other_stages_is_told_where_one_cannot_be_read_at_all(left: LeftBehind) -> None:
    def elsewhere(content: dict[str, Any]) -> None:
        content["provenance"] = {"origin": "elsewhere"}

    path = rewritten(left, "transcript", of_newer_version, elsewhere)

    result = run(left, "lineage", left.videos["talk"])

    assert result.exit_code == 0, result.output
    assert path.name in result.output
    assert "clip_candidates" in result.output


def test_documents_of_a_stage_that_only_another_version_knows_are_forgotten_too(left: LeftBehind) -> None:
    foreign = left.home / "store" / "speakers" / left.videos["talk"] / "current.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}")

    assert run(left, "forget", left.videos["talk"], "--yes").exit_code == 0

    assert not foreign.exists()


def test_what_a_newer_version_measured_besides_does_not_disturb_the_estimate(left: LeftBehind) -> None:
    database = make_database(settings_in(left.home))
    with database.writing() as connection:
        made = (
            connection.execute(select(lineage_table).where(lineage_table.c.asset == "clips").limit(1)).mappings().one()
        )
        connection.execute(lineage_table.insert().values({**made, "id": None, "asset": "speakers"}))

    result = run(left, "cost", "estimate", "--hours-per-day", "24", "--measured", "--format", "json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan"]["measured"]["videos"] >= 1
