"""What a labelled set may be, and how it is told that a file is none."""

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.evaluation.labelled import LabelledTalk, read_set, transcript_of

TALK: dict[str, Any] = {
    "id": "one",
    "title": "A talk",
    "start_s": 5.0,
    "end_s": 20.0,
    "sentences": [[5.0, 10.0, "Hello there.", "Ann"], [10.0, 20.0, "Bye.", ""]],
    "chosen": [1],
}


def written(folder: Path, content: object, name: str = "set.json") -> Path:
    file = folder / name
    text = content if isinstance(content, str) else json.dumps(content)
    if name.endswith(".xz"):
        with lzma.open(file, "wt", encoding="utf-8") as stream:
            stream.write(text)
    else:
        file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["set.json", "set.json.xz"])
def test_a_set_is_read_plain_and_compressed(tmp_path: Path, name: str) -> None:
    (talk,) = read_set(written(tmp_path, [TALK], name))

    assert (talk.id, talk.sentences[1].text, talk.chosen) == ("one", "Bye.", (1,))


def test_fields_that_nobody_knows_are_passed_over_and_nobody_need_be_named(tmp_path: Path) -> None:
    other = {**TALK, "note": "x", "sentences": [[5.0, 10.0, "Hello.", None], [10.0, 20.0, "Bye."]]}
    (talk,) = read_set(written(tmp_path, [other]))

    assert [segment.speaker for segment in transcript_of(talk).segments] == ["", ""]


def test_a_talk_becomes_a_transcript_that_begins_where_the_talk_does(tmp_path: Path) -> None:
    transcript = transcript_of(read_set(written(tmp_path, [TALK]))[0])

    assert [(s.id, s.start_s, s.end_s, s.speaker) for s in transcript.segments] == [(0, 0, 5, "Ann"), (1, 5, 15, "")]
    assert transcript.duration_s == 15


def test_each_repeat_of_each_talk_is_a_video_of_its_own() -> None:
    talks = [LabelledTalk.model_validate({**TALK, "id": name}) for name in ("a", "a_", "a-2", "a__2", "a.2", "a\n")]
    names = [transcript_of(talk, repeat).video_id for talk in talks for repeat in range(3)]

    assert len(set(names)) == len(names)
    assert names[:2] == ["evaluated-a", "evaluated-a__2"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no JSON"),
        ([], "no labelled set"),
        ([{**TALK, "chosen": [2]}], "chosen names a sentence that there is not"),
        ([{**TALK, "chosen": []}], "nothing of it is chosen"),
        ([{**TALK, "end_s": 5.0}], "end_s must be after start_s"),
        ([{**TALK, "sentences": [[10.0, 20.0, "a", ""], [5.0, 10.0, "b", ""]]}], "not in time order"),
        ([{**TALK, "sentences": [["x", 20.0, "a", ""]]}], "0.sentences.0"),
        ([{"id": "x"}], "at 0.start_s"),
        ([TALK, TALK], "two of its talks have one id"),
    ],
)
def test_what_is_no_set_is_told_in_a_sentence(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(ValueError, match=r"set\.json") as error:
        read_set(written(tmp_path, content))

    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.json.xz").write_bytes(b"no xz")

    for name in ("bad.json.xz", "missing.json"):
        with pytest.raises(ValueError, match=f"Cannot read .*{name}"):
            read_set(tmp_path / name)
