"""Claims about the command that keeps the catalogue."""

import json
from pathlib import Path

import pytest

from madvision_assets.lineage.frames import read_catalogue
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.lineage.history import write_history


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    made = CommandLine(tmp_path / "home")
    write_history(made.workplace().database)
    return made


def test_it_makes_the_catalogue_and_tells_where_it_lies(command_line: CommandLine) -> None:
    before = command_line.run("catalogue", "--show")
    assert (before.exit_code, before.output) == (0, "There is no catalogue yet; madvision catalogue makes it.\n")

    made = command_line.run("catalogue")

    assert made.exit_code == 0
    assert made.output.startswith("Made anew: 3 videos read, 7 files written; 50 rows in all.\n")
    assert f"{command_line.workplace().store.uri('catalogue')}, as of " in made.output
    assert command_line.run("catalogue").output.startswith("Nothing has changed; 50 rows.\n")
    assert len(read_catalogue(command_line.workplace().store, "clips")) == 5


def test_programs_are_told_the_files_of_the_state_that_counts(command_line: CommandLine) -> None:
    updated = json.loads(command_line.run("catalogue", "--format", "json").output)
    assert (updated["made_anew"], updated["state"], updated["rows"]["attempts"]) == (True, 1, 3)
    anew = json.loads(command_line.run("catalogue", "--anew", "--format", "json").output)
    assert (anew["made_anew"], anew["state"]) == (True, 2)

    shown = json.loads(command_line.run("catalogue", "--show", "--format", "json").output)

    assert shown["state"] == 2
    (videos,) = shown["files"]["videos"]
    assert Path(videos.removeprefix("file://")).read_bytes()[:4] == b"PAR1"
    assert command_line.run("catalogue", "--show", "--anew").exit_code == 2
