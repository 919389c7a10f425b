"""Claims about ``madvision transcript``."""

import json
from pathlib import Path

import pytest

from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.stores import sealed

VIDEO_ID = "web-0123456789abcdef"


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture
def said(command_line: CommandLine) -> Transcript:
    segment = Segment(id=0, start_s=1.0, end_s=3.0, text="Größer — and & more.")
    made = sealed(
        Transcript(video_id=VIDEO_ID, language="en", duration_s=9.0, audible_s=2.0, covered_s=2.0, segments=(segment,))
    )
    store = command_line.workplace().store
    write_document(store, made)
    point_current(store, made)
    return made


@pytest.mark.parametrize("form", list(Form))
def test_what_is_said_is_written_in_the_form_that_the_file_names(
    command_line: CommandLine, said: Transcript, tmp_path: Path, form: Form
) -> None:
    file = tmp_path / f"said.{form.upper()}"

    told = command_line.run("transcript", "export", VIDEO_ID, str(file))

    assert told.exit_code == 0, told.output
    assert str(file) in told.output.replace("\n", "")
    assert file.read_text(encoding="utf-8") == rendered(said, form)


def test_it_goes_to_standard_output_too(command_line: CommandLine, said: Transcript) -> None:
    told = command_line.run("transcript", "export", VIDEO_ID, "-", "--format", "json")

    assert json.loads(told.output)["segments"][0]["text"] == said.segments[0].text


def test_a_file_that_tells_no_form_is_refused_with_those_that_there_are(
    command_line: CommandLine, said: Transcript, tmp_path: Path
) -> None:
    told = command_line.run("transcript", "export", said.video_id, str(tmp_path / "said.docx"))

    assert told.exit_code == 2
    assert ".txt, .srt, .vtt, .json" in told.output
    assert list(tmp_path.glob("said*")) == []


def test_a_video_without_a_transcript_is_told_plainly(command_line: CommandLine, tmp_path: Path) -> None:
    told = command_line.run("transcript", "export", "web-unknown", str(tmp_path / "said.srt"))

    assert told.exit_code not in {0, 2}
    assert "Traceback" not in told.output
    assert "web-unknown" in told.output.replace("\n", "")
