"""Claims about ``madvision transcript``."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.domain.provenance import InputRef, Recipe
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.stores import raw_video, sealed

VIDEO_ID = "web-0123456789abcdef"
WHEN: Any = {"wall_s": 1.0, "created_at": datetime(2026, 11, 1, tzinfo=UTC)}


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


@pytest.fixture
def known(command_line: CommandLine, said: Transcript) -> Transcript:
    """Of a video that somebody submitted, and that is done as far as that."""
    workplace = command_line.workplace()
    workplace.database.add_video(VIDEO_ID, "http://a.example.org/v.mp4")
    raw = sealed(raw_video().model_copy(update={"video_id": VIDEO_ID}))
    used = InputRef(asset="raw_video", uri="file:///raw", data_version=raw.origin.data_version)
    made = said.seal(Recipe(engine="test"), inputs=(used,), run_id="r", code_version="1", **WHEN)
    for media in (raw.media, raw.audio):
        workplace.store.put_bytes(media.key, b"x", media_type=media.media_type)
    for document in (raw, made):
        write_document(workplace.store, document)
        point_current(workplace.store, document)
    return made


def test_a_correction_is_taken_and_the_later_stages_are_queued(
    command_line: CommandLine, known: Transcript, tmp_path: Path
) -> None:
    file = tmp_path / "said.srt"
    file.write_text(rendered(known, Form.SRT).replace("Größer", "Kleiner"), encoding="utf-8")

    told = command_line.run("transcript", "import", VIDEO_ID, str(file))

    assert told.exit_code == 0, told.output
    assert "queued again" in told.output
    workplace = command_line.workplace()
    now = read_current(workplace.store, Transcript, VIDEO_ID)
    assert now.text == "Kleiner — and & more."
    (row,) = [row for row in workplace.database.lineage_of(VIDEO_ID) if row.asset == "transcript"]
    assert (row.engine, row.data_version) == ("import", now.origin.data_version)


def test_a_file_that_is_no_correction_is_told_in_a_sentence_and_changes_nothing(
    command_line: CommandLine, known: Transcript, tmp_path: Path
) -> None:
    file = tmp_path / "said.vtt"
    file.write_text("1\n00:00:01,000 --> 00:00:02,000\nx\n", encoding="utf-8")

    told = command_line.run("transcript", "import", VIDEO_ID, str(file))

    assert told.exit_code == 2
    assert "it does not begin with WEBVTT." in " ".join(told.output.split())
    assert read_current(command_line.workplace().store, Transcript, VIDEO_ID) == known


def test_a_video_that_nobody_submitted_has_nothing_to_correct(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "said.srt"
    file.write_text("x", encoding="utf-8")

    told = command_line.run("transcript", "import", "web-unknown", str(file))

    assert told.exit_code not in {0, 2}
    assert "unknown_video" in told.output


def test_a_video_without_a_transcript_is_told_plainly(command_line: CommandLine, tmp_path: Path) -> None:
    told = command_line.run("transcript", "export", "web-unknown", str(tmp_path / "said.srt"))

    assert told.exit_code not in {0, 2}
    assert "Traceback" not in told.output
    assert "web-unknown" in told.output.replace("\n", "")
