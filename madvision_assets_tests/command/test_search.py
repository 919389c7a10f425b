"""Claims about the search on the command line."""

import json
from pathlib import Path

import pytest
from sqlalchemy import delete

from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.tools.database.tables import spoken_passages
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.stores import sealed

TEXTS = ("Nothing here.", "The cat sat [bold]on\x1b[31m the mat.")


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    made = CommandLine(tmp_path / "home")
    workplace = made.workplace()
    for video_id in ("web-1", "web-2"):
        workplace.database.add_video(video_id, f"https://example.org/{video_id}.mp4")
        segments = tuple(Segment(id=n, start_s=n * 10, end_s=n * 10 + 10, text=text) for n, text in enumerate(TEXTS))
        spoken = sealed(
            Transcript(video_id=video_id, language="en", duration_s=90, audible_s=90, covered_s=90, segments=segments)
        )
        write_document(workplace.store, spoken)
        point_current(workplace.store, spoken)
        workplace.database.add_lineage(spoken, "there")
    return made


def test_a_phrase_is_told_with_video_and_moment(command_line: CommandLine) -> None:
    table = command_line.run("search", "cat sat")
    told = json.loads(command_line.run("search", "mat", "cat", "--video", "web-1", "--format", "json").stdout)

    assert table.exit_code == 0, table.output
    assert "web-2  0:10.0-0:20.0  -     The cat sat [bold]on[31m the mat." in table.stdout
    assert "\x1b" not in table.stdout
    assert [(each["video_id"], each["start_s"]) for each in told["moments"]] == [("web-1", 10.0)]


def test_several_words_in_one_argument_are_a_phrase(command_line: CommandLine) -> None:
    assert "Nobody says that" in command_line.run("search", "sat cat").stdout
    assert "web-1" in command_line.run("search", "sat", "cat").stdout


def test_pages_go_on_where_the_last_one_ended(command_line: CommandLine) -> None:
    first = json.loads(command_line.run("search", "cat", "--limit", "1", "--format", "json").stdout)
    more = command_line.run("search", "cat", "--limit", "1").stdout.splitlines()[-1]
    second = json.loads(
        command_line.run("search", "cat", "--before", str(first["next_before"]), "--format", "json").stdout
    )

    assert more == f"There are more: add --before {first['next_before']}"
    assert [each["video_id"] for each in first["moments"] + second["moments"]] == ["web-2", "web-1"]
    assert command_line.run("search", "cat", "--before", str(2**63 - 1)).exit_code == 0
    assert command_line.run("search", "cat", "--before", str(2**63)).exit_code == 2


@pytest.mark.parametrize("words", ["!!!", "x" * 10_000])
def test_a_question_of_nothing_is_a_usage_error(command_line: CommandLine, words: str) -> None:
    result = command_line.run("search", words)

    assert result.exit_code == 2
    assert "Look for" in result.output


def test_reindex_goes_on_where_it_stopped(command_line: CommandLine) -> None:
    with command_line.workplace().database.writing() as connection:
        connection.execute(delete(spoken_passages))

    told = [command_line.run("reindex", "--limit", "1").stdout.strip() for _ in range(3)]

    assert told == ["1 video made searchable.", "1 video made searchable.", "0 videos made searchable."]
    assert "web-1" in command_line.run("search", "cat").stdout
