"""Claims about ``madvision edit`` and ``madvision labels``."""

import json
import weakref
from pathlib import Path

import pytest

from madvision_assets.domain.clips import ClipCandidates
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.renditions import PictureOptions
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.evaluation.labelled import read_set
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.editing import Editable
from madvision_assets_tests import editing
from madvision_assets_tests.command_line import CommandLine

ADDRESS = "https://media.example.org/talk.mp4"


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture
def video_id(command_line: CommandLine) -> str:
    workplace = command_line.workplace()
    video = workplace.register(ADDRESS)
    editing.published(workplace.store, video.video_id)
    for name in ("a.mp4", "a.flac"):
        workplace.store.put_bytes(f"media/{video.video_id}/{name}", b"1", media_type="video/mp4")
    return video.video_id


def chosen(command_line: CommandLine, video_id: str) -> ClipCandidates:
    return read_current(command_line.workplace().store, ClipCandidates, video_id)


def test_without_a_change_the_clips_are_shown(command_line: CommandLine, video_id: str) -> None:
    told = command_line.run("edit", ADDRESS)
    as_json = json.loads(command_line.run("edit", video_id, "--format", "json").output)

    assert told.exit_code == 0, told.output
    assert "The first one" in told.output
    assert as_json["version"] == chosen(command_line, video_id).origin.data_version
    assert [each["rank"] for each in as_json["clips"]] == [1, 2, 3, 4, 5]
    assert as_json["words"][0][0] == "The"


def test_changes_by_options_are_made_and_the_clips_are_queued(command_line: CommandLine, video_id: str) -> None:
    told = command_line.run(
        "edit", video_id,
        "--trim", "1=1:00:10-", "--retitle", "2=A = B", "--drop", "3", "--add", "11:40-12:14=Spoken late",
    )  # fmt: skip

    made = chosen(command_line, video_id)
    assert told.exit_code == 0, told.output
    assert "The clips are queued" in told.output
    assert [(each.change.value, each.rank) for each in made.edits] == [
        ("trim", 1), ("retitle", 2), ("drop", 3), ("add", 6),
    ]  # fmt: skip
    assert [each.title for each in made.candidates][1:] == [
        "A = B",
        editing.TITLES[3],
        editing.TITLES[4],
        "Spoken late",
    ]
    row = Queue(command_line.workplace().database).get(video_id)
    assert row is not None
    assert (row.status, row.from_step) == (QueueStatus.QUEUED, PipelineStep.CLIPS)


def test_shapes_and_captions_are_chosen_and_told_with_what_is_made_and_what_goes(
    command_line: CommandLine, video_id: str
) -> None:
    told = command_line.run("edit", video_id, "--renditions", "vertical,square", "--captions", "bold")
    now = json.loads(command_line.run("edit", video_id, "--format", "json").output)
    fewer = command_line.run("edit", video_id, "--renditions", "none", "--captions", "none")

    assert told.exit_code == fewer.exit_code == 0, told.output + fewer.output
    assert "Rendered of every clip: vertical, vertical_captions, square, square_captions." in told.output
    assert (now["renditions"], now["captions"]) == (["vertical", "square"], "bold")
    assert "Not delivered any more: vertical, vertical_captions, square, square_captions." in fewer.output
    assert "rendered" not in fewer.output
    pictures = chosen(command_line, video_id).pictures
    assert pictures == PictureOptions()


def test_who_chose_shapes_alone_has_labelled_no_moment(
    command_line: CommandLine, video_id: str, tmp_path: Path
) -> None:
    assert command_line.run("edit", video_id, "--renditions", "vertical").exit_code == 0

    assert "Nobody has edited clips yet" in command_line.run("labels", str(tmp_path / "labels.json")).output


def test_changes_of_a_file_are_tried_by_a_dry_run(command_line: CommandLine, video_id: str, tmp_path: Path) -> None:
    before, file = chosen(command_line, video_id), tmp_path / "edits.json"
    file.write_text('[{"change": "trim", "clip": 5, "end_s": 7180}, {"change": "drop", "clip": 1}]')

    told = command_line.run("edit", video_id, "--file", str(file), "--dry-run", "--format", "json")

    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["to_render"] == [5]
    assert [each["rank"] for each in json.loads(told.output)["clips"]] == [2, 3, 4, 5]
    assert chosen(command_line, video_id) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--drop", "9"], "There is no clip 9. There are: 1, 2, 3, 4, 5. (change 1 of 1) Nothing is changed."),
        (["--trim", "two=1-2"], "Begin with the number of a clip"),
        (["--trim", "2=5"], "Give points as FROM-TO"),
        (["--trim", "2=later-"], "give a time in the video"),
        (["--add", "5-"], "Give where the clip begins and ends"),
        (["--drop", "1", "--version", "old"], "The clips were changed meanwhile"),
        (["--renditions", "tall"], "--renditions: Give a list of shapes, of which there are source, vertical"),
        (["--captions", "comic"], "--captions: Give a style of which there are bold, karaoke, plain, or none."),
        (["--captions", "none"], "Nothing would be changed"),
        (["--renditions", ""], "--renditions: Give a list of shapes, of which there are source, vertical, square,"),
        (["--renditions", " , "], "portrait, or none."),
        (["--renditions", "vertical,"], "portrait, or none."),
        (["--captions", ""], "--captions: Give a style of which there are bold, karaoke, plain, or none."),
        (["--captions", " "], "--captions: Give a style of which there are bold, karaoke, plain, or none."),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    command_line: CommandLine, video_id: str, options: list[str], sentence: str
) -> None:
    before = chosen(command_line, video_id)

    told = command_line.run("edit", video_id, *options)

    assert told.exit_code != 0
    assert sentence in " ".join(told.output.replace("│", " ").split())
    assert chosen(command_line, video_id) == before


def test_a_file_of_another_form_is_told_with_what_it_should_be(
    command_line: CommandLine, video_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "edits.json"
    file.write_text('[{"change": "trim", "clip": 1}]')

    told = command_line.run("edit", video_id, "--file", str(file))

    assert told.exit_code != 0
    assert "give start_s, end_s, first_word or last_word" in told.output


def test_what_editors_made_is_a_set_that_evaluate_reads(
    command_line: CommandLine, video_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "labels.json"
    assert "Nobody has edited clips yet" in command_line.run("labels", str(file)).output
    assert command_line.run("edit", video_id, "--drop", "1", "--retitle", "2=Mine").exit_code == 0

    told = command_line.run("labels", str(file))

    (talk,) = read_set(file)
    (raw,) = json.loads(file.read_text())
    assert told.exit_code == 0, told.output
    assert talk.id == video_id
    assert [talk.sentences[n].text for n in talk.chosen] == [editing.TITLES[n] for n in (1, 2, 3, 4)]
    assert [(each["change"], each["before"]["title"]) for each in raw["edits"]] == [
        ("retitle", editing.TITLES[1]), ("drop", editing.TITLES[0]),
    ]  # fmt: skip


def test_of_many_edited_videos_one_at_a_time_is_in_memory(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace, file = command_line.workplace(), tmp_path / "labels.json"
    for name in ("a", "b", "c"):
        made = workplace.register(f"https://media.example.org/{name}.mp4").video_id
        editing.published(workplace.store, made)
        for media in ("a.mp4", "a.flac"):
            workplace.store.put_bytes(f"media/{made}/{media}", b"1", media_type="video/mp4")
        assert command_line.run("edit", made, "--drop", "1").exit_code == 0
    read, there, alive = Editable.read, list[weakref.ref[Editable]](), list[int]()

    def reading(store: ObjectStore, video_id: str) -> Editable:
        alive.append(sum(each() is not None for each in there))
        found = read(store, video_id)
        there.append(weakref.ref(found))
        return found

    monkeypatch.setattr(Editable, "read", reading)

    told = command_line.run("labels", str(file))

    assert told.exit_code == 0, told.output
    assert len(read_set(file)) == 3
    assert alive == [0, 0, 0]
