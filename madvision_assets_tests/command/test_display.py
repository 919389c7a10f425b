"""Claims about what the command line lets through to a terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import madvision_assets.command
from madvision_assets.command.display import VisibleConsole, echo, show_clips
from madvision_assets.domain.clips import Clips, FailedClip, Outcome
from madvision_assets.tools.store.objects import ObjectStore

HOSTILE = "talk\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\x00.mp4"
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\x00")


def test_foreign_words_give_a_terminal_no_orders_however_they_are_shown() -> None:
    out = io.StringIO()
    console = VisibleConsole(file=out, color_system=None, width=200, markup=False)
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE))
    console.print(HOSTILE)
    console.print(Text.assemble((HOSTILE, "bold"), " ", HOSTILE), soft_wrap=True)
    console.print(table)

    assert out.getvalue().count("talk") == 5
    assert not [each for each in OBEYED if each in out.getvalue()]


def test_nor_where_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    echo(HOSTILE, err=True)

    said = "".join(capsys.readouterr())
    assert said.count("talk") == 2
    assert not [each for each in OBEYED if each in said]


def test_the_command_line_prints_in_no_other_way() -> None:
    folder = Path(madvision_assets.command.__file__).parent
    printing = {
        path.name
        for path in folder.glob("*.py")
        if re.search(r"click\.s?echo\(|(?<!def )\bprint\((?<!\.print\()|\bConsole\(", path.read_text(encoding="utf-8"))
    }

    assert printing <= {"display.py"}


def test_a_clip_that_failed_is_named_with_its_reason() -> None:
    lost = FailedClip(rank=2, title="The accident", cause="bad_clip", details="it lasts 3.0 s")
    clips = Clips(video_id="web-1", outcome=Outcome.CLIPS, outcome_reason="", failed=(lost,))
    out = io.StringIO()

    show_clips(VisibleConsole(file=out, color_system=None, width=300), clips, ObjectStore.from_url("memory://"))

    assert "Clip 2 could not be made: The accident. A clip that was cut did not play" in out.getvalue()
    assert "it lasts 3.0 s" in out.getvalue()
