"""Claims about ``madvision clips``, and about how a video is named in every command."""

import json
from pathlib import Path

import pytest

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.spoken import words_in
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, RawVideo, Video
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets_tests import editing
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.stores import sealed

ADDRESS = "https://media.example.org/talk.mp4"


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture
def spellings(command_line: CommandLine) -> dict[str, str]:
    """A video that is done, by each way to name it."""
    workplace = command_line.workplace()
    video = workplace.register(ADDRESS)
    (receipt,) = Submissions(workplace.database).add([NewSubmission(video)])
    editing.published(workplace.store, video.video_id)
    return {
        "id": video.video_id,
        "token": receipt.token,
        "address": ADDRESS.upper().replace("TALK.MP4", "talk.mp4") + "#part",
        "clip": f"{video.video_id}.03",
        "page": f"http://127.0.0.1:8000/video/{receipt.token}",
    }


@pytest.mark.parametrize("spelling", ["id", "token", "address", "clip", "page"])
def test_however_a_video_is_named_its_clips_are_written(
    command_line: CommandLine, spellings: dict[str, str], spelling: str, tmp_path: Path
) -> None:
    told = command_line.run("clips", spellings[spelling], "--to", str(tmp_path / "out"))

    assert told.exit_code == 0, told.output
    assert f"5 clips of {spellings['id']}: 44 files written" in told.output
    assert len(list((tmp_path / "out").iterdir())) == 44
    again = command_line.run("clips", spellings[spelling], "--to", str(tmp_path / "out"))
    assert "0 files written" in again.output
    assert "44 were there already" in again.output


@pytest.mark.parametrize("spelling", ["id", "token", "address", "clip", "page"])
def test_the_other_commands_take_the_same_names(
    command_line: CommandLine, spellings: dict[str, str], spelling: str
) -> None:
    status = command_line.run("status", spellings[spelling], "--format", "json")
    lineage = command_line.run("lineage", spellings[spelling], "--format", "json")
    said = command_line.run("transcript", "export", spellings[spelling], "-", "--format", "json")

    again = command_line.run("requeue", "--video", spellings[spelling])

    assert [each.exit_code for each in (status, lineage, said, again)] == [0] * 4, (status.output, lineage.output)
    assert "1 video queued again." in again.output
    assert json.loads(lineage.output)["video_id"] == spellings["id"]
    assert (json.loads(lineage.output)["clip"] is not None) is (spelling == "clip")
    assert json.loads(said.output)["video_id"] == spellings["id"]


def test_a_rendition_alone_is_written(command_line: CommandLine, spellings: dict[str, str], tmp_path: Path) -> None:
    told = command_line.run("clips", spellings["id"], "--to", str(tmp_path / "out"), "--rendition", "tall-captions")

    assert told.exit_code == 0, told.output
    pictures = {path.name.partition(".")[2] for path in (tmp_path / "out").glob("*.mp4")}
    assert pictures == {"tall-captions.mp4"}


def test_an_unknown_rendition_is_told_with_those_that_there_are(
    command_line: CommandLine, spellings: dict[str, str], tmp_path: Path
) -> None:
    told = command_line.run("clips", spellings["id"], "--to", str(tmp_path / "out"), "--rendition", "oval")

    assert told.exit_code == 2
    assert "has no rendition 'oval'. There are: source, tall_captions." in told.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["web-ffffffffffffffff", "nobody.01", "https://media.example.org/else.mp4", "", "a/b"])
def test_a_video_that_nobody_submitted_is_unknown(command_line: CommandLine, name: str, tmp_path: Path) -> None:
    told = command_line.run("clips", name, "--to", str(tmp_path / "out"))

    assert told.exit_code == 1
    assert "unknown_video" in told.output
    assert "madvision submit" in told.output
    assert not (tmp_path / "out").exists()


def test_a_video_that_is_not_done_says_how_far_it_is(command_line: CommandLine, tmp_path: Path) -> None:
    workplace = command_line.workplace()
    Submissions(workplace.database).add([NewSubmission(Video(video_id="web-0000000000000001", address=ADDRESS))])
    workplace.database.add_video("web-0000000000000002", ADDRESS)

    queued = command_line.run("clips", "web-0000000000000001", "--to", str(tmp_path / "out"))
    alone = command_line.run("clips", "web-0000000000000002", "--to", str(tmp_path / "out"))

    assert (queued.exit_code, alone.exit_code) == (1, 1)
    assert "has no clips yet: it is queued at raw_video. Try again when it is done." in queued.output
    assert "madvision status web-0000000000000001" in queued.output
    assert "madvision process URL_OR_FILE" in alone.output


def test_a_video_without_clips_says_why_and_ends_well(command_line: CommandLine, tmp_path: Path) -> None:
    workplace = command_line.workplace()
    video = workplace.register(ADDRESS)
    made = sealed(
        Clips(video_id=video.video_id, outcome=Outcome.NO_SPEECH, outcome_reason="Nobody speaks in this video.")
    )
    write_document(workplace.store, made)
    point_current(workplace.store, made)

    told = command_line.run("clips", video.video_id, "--to", str(tmp_path / "out"))

    assert told.exit_code == 0
    assert "No clips (no_speech): Nobody speaks in this video." in told.output
    assert not (tmp_path / "out").exists()


def test_titles_stand_in_lists_for_persons(
    command_line: CommandLine, spellings: dict[str, str], tmp_path: Path
) -> None:
    workplace = command_line.workplace()
    raw, queue = read_current(workplace.store, RawVideo, spellings["id"]), Queue(workplace.database)
    queue.claim_due(1)
    queue.begin(spellings["id"], raw.origin.run_id, 1, PipelineStep.CLIPS)
    workplace.database.add_lineage(raw, "there")
    said = read_current(workplace.store, Transcript, spellings["id"])
    workplace.database.add_lineage(said, "there")
    assert raw.source.title

    told = [
        command_line.run("status").stdout,
        command_line.run("search", words_in(said.segments[0].text)[0]).stdout,
        command_line.run("clips", spellings["id"], "--to", str(tmp_path / "out")).stdout,
    ]

    assert [raw.source.title in each for each in told] == [True] * 3, told


def test_what_a_folder_has_of_clips_that_are_no_more_is_named_and_left_alone(
    command_line: CommandLine, spellings: dict[str, str], tmp_path: Path
) -> None:
    folder, store = tmp_path / "out", command_line.workplace().store
    command_line.run("clips", spellings["id"], "--to", str(folder))
    (folder / "01-mine.mp4").write_bytes(b"not of this video")
    (folder / "01-mine.facts.json").write_text('{"video_id": "web-other"}')
    (folder / "02-notes.facts.json").write_text("[" * 100_000)
    made = read_current(store, Clips, spellings["id"])
    renamed = made.clips[0].model_copy(update={"title": "Another"})
    fewer = sealed(made.model_copy(update={"clips": (renamed, *made.clips[1:-1]), "provenance": None}))
    write_document(store, fewer)
    point_current(store, fewer)

    told = command_line.run("clips", spellings["id"], "--to", str(folder), "--format", "json")

    old = {Path(name).name for name in json.loads(told.output)["outdated"]}
    there = {path.name for path in folder.iterdir()}
    assert old == {name for name in there if name.startswith(("01-größe-maß.", "05-"))}
    assert any(name.endswith(".mp4") for name in old)
    again = command_line.run("clips", spellings["id"], "--to", str(folder))
    assert "Of clips that are no more, or have another name now: 01-größe-maß" in again.output
    none = {"clips": (), "outcome": Outcome.NO_SPEECH, "outcome_reason": "Nobody speaks.", "provenance": None}
    none_left = sealed(made.model_copy(update=none))
    write_document(store, none_left)
    point_current(store, none_left)
    empty = command_line.run("clips", spellings["id"], "--to", str(folder), "--format", "json")
    mine = {name for name in there if not name.startswith(("01-mine", "02-notes", f"{spellings['id']}."))}
    assert {Path(name).name for name in json.loads(empty.output)["outdated"]} == mine


def test_clips_that_are_gone_from_the_store_can_be_made_again(command_line: CommandLine, tmp_path: Path) -> None:
    workplace = command_line.workplace()
    video = workplace.register(ADDRESS)
    Submissions(workplace.database).add([NewSubmission(video)])
    queue = Queue(workplace.database)
    queue.claim_due(1)
    queue.begin(video.video_id, "run-1", 1, PipelineStep.CLIPS)
    made = editing.published(workplace.store, video.video_id)
    queue.finish_step(video.video_id, "run-1", PipelineStep.CLIPS, ends=True, made=made)
    workplace.store.delete(workplace.store.list_keys(f"clips/{video.video_id}"))

    told = command_line.run("clips", video.video_id, "--to", str(tmp_path / "out"))

    assert told.exit_code == 1
    assert f"madvision requeue --video {video.video_id} --from clips" in told.output


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(
    command_line: CommandLine, spellings: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")

    told = command_line.run("clips", spellings["id"], "--to", str(tmp_path / "file" / "out"))

    assert told.exit_code == 1
    assert "cannot be written to" in told.output
    assert "Traceback" not in told.output


def test_an_address_that_is_cut_in_several_ways_asks_which(command_line: CommandLine, tmp_path: Path) -> None:
    workplace = command_line.workplace()
    address = "https://media.example.org/ways.mp4"
    ways = [workplace.register(address, Options(max_clips=count)).video_id for count in (1, 2)]

    told = command_line.run("clips", address, "--to", str(tmp_path / "out"))

    assert told.exit_code == 2
    assert all(way in told.output for way in ways)
