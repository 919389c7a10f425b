"""Claims about lineage as people and programs read it."""

import csv
import io
import json
import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from madvision_assets.domain.stages import PipelineStep
from madvision_assets.lineage import render
from madvision_assets.lineage.frames import to_frame
from madvision_assets.lineage.queries import VideoLineage, video_lineage
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests import stores
from madvision_assets_tests.stores import MADE_AT, VIDEO_ID

ADDRESS = 'http://example.org/"talk"];[bold]1<b>.mp4'


@pytest.fixture
def lineage(tmp_path: Path) -> VideoLineage:
    """A clip's lineage, where the transcript was made again since."""
    store = ObjectStore.from_url("memory://")
    database = Database(f"sqlite:///{tmp_path / 'm.db'}")
    database.ensure_schema()
    database.add_video(VIDEO_ID, ADDRESS)
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "zero", "a [red] word", "two")
    kind = stores.content_type(raw, spoken)
    candidates = stores.clip_candidates(raw, spoken, kind)
    again = stores.transcript(raw, "zero", run_id="run-2", model='tu"rbo')
    for document in (raw, spoken, kind, candidates, stores.clips(raw, spoken, candidates), again):
        database.add_lineage(document, write_document(store, document))
        point_current(store, document)
    return video_lineage(database, store, f"{VIDEO_ID}.01")


@pytest.fixture
def nothing() -> VideoLineage:
    """Of a video that was only submitted."""
    return VideoLineage(
        video_id=VIDEO_ID, address=ADDRESS, stages=(), materialisations=(), current_cost_usd=0, total_cost_usd=0
    )


def test_the_frame_has_one_typed_row_per_materialisation(lineage: VideoLineage) -> None:
    frame = to_frame(lineage)

    assert len(frame) == 6
    assert list(frame["asset"].cat.categories) == [step.value for step in PipelineStep]
    assert frame["asset"].cat.ordered
    assert str(frame["created_at"].dtype) == "datetime64[us, UTC]"
    assert frame["created_at"].iloc[0].to_pydatetime() == MADE_AT
    assert [str(frame[name].dtype) for name in ("cost_usd", "wall_s", "current")] == ["float64", "float64", "bool"]
    assert list(frame[frame["asset"] == "transcript"]["current"]) == [False, True]
    assert frame["prompt_version"].isna().sum() == 5
    assert frame["inputs"].iloc[1] == f"raw_video@{lineage.stages[0].data_version}"
    assert frame["cost_usd"].sum() == pytest.approx(lineage.total_cost_usd)


def test_the_frame_of_nothing_has_the_same_columns_and_types(lineage: VideoLineage, nothing: VideoLineage) -> None:
    assert to_frame(nothing).dtypes.to_dict() == to_frame(lineage).dtypes.to_dict()


def test_csv_and_frame_say_the_same(lineage: VideoLineage) -> None:
    rows = list(csv.DictReader(io.StringIO(render.to_csv(lineage))))

    assert [row["asset"] for row in rows] == list(to_frame(lineage)["asset"])
    assert rows[-1]["model"] == 'tu"rbo'
    assert datetime.fromisoformat(rows[0]["created_at"]) == MADE_AT
    assert pd.read_csv(io.StringIO(render.to_csv(lineage)))["cost_usd"].sum() == pytest.approx(lineage.total_cost_usd)


def test_no_text_of_the_csv_is_a_formula(lineage: VideoLineage) -> None:
    first = lineage.materialisations[0].model_copy(update={"model": '=HYPERLINK("http://x/")'})
    made = lineage.model_copy(update={"materialisations": (first, *lineage.materialisations[1:])})

    rows = list(csv.DictReader(io.StringIO(render.to_csv(made))))

    assert rows[0]["model"] == '\'=HYPERLINK("http://x/")'
    assert rows[1:] == list(csv.DictReader(io.StringIO(render.to_csv(lineage))))[1:]


def test_json_leads_back_to_the_same_lineage(lineage: VideoLineage) -> None:
    text = render.to_json(lineage)

    assert VideoLineage.model_validate_json(text) == lineage
    assert json.loads(text)["stages"][3]["prompt_version"] == "7"


def test_the_table_has_a_line_per_materialisation_and_a_header(lineage: VideoLineage, nothing: VideoLineage) -> None:
    lines = render.to_table(lineage).splitlines()

    assert len(lines) == 7
    assert lines[0].split()[:3] == ["asset", "current", "data_version"]
    assert "2026-01-02 03:04:05Z" in lines[1]
    assert "asset" in render.to_table(nothing)


def test_the_tree_shows_versions_model_prompt_cost_and_words_as_they_are(lineage: VideoLineage) -> None:
    output = io.StringIO()
    Console(file=output, width=200).print(render.to_tree(lineage))
    shown = output.getvalue()

    for stage in lineage.stages:
        assert stage.data_version[:12] in shown
        assert stage.uri in shown
    for text in (ADDRESS, 'A [bold] "claim"', "a [red] word", 'model tu"rbo', "prompt 7", "$0.2500", "a newer one now"):
        assert text in shown
    assert "0:10.0 - 0:30.0" in shown
    assert "1 other version(s)" in shown


def test_mermaid_leads_from_the_address_to_the_clip(lineage: VideoLineage) -> None:
    lines = render.to_mermaid(lineage).splitlines()

    assert lines[0] == "flowchart LR"
    assert "  source --> raw_video" in lines
    assert "  raw_video --> transcript" in lines
    assert "  transcript -.-> clip_candidates" in lines
    assert "  clip_candidates --> clips" in lines
    assert "  clips --> clip" in lines
    (candidates,) = (line for line in lines if line.startswith("  clip_candidates["))
    assert lineage.stages[3].data_version[:12] in candidates
    assert "prompt 7" in candidates


def test_no_text_of_others_can_break_out_of_a_mermaid_label(lineage: VideoLineage) -> None:
    # What the grammar knows: a node with a quoted label, or an arrow; see https://mermaid.js.org/syntax/flowchart.html.
    label = r'"(?:[\w .,:/@+-]|#\d+;|<br/>)*"'
    node = re.compile(rf"  \w+(?:\[{label}\]|\(\[{label}\]\))")
    arrow = re.compile(r"  \w+ (?:-->|-\.->) \w+")

    for line in render.to_mermaid(lineage).splitlines()[1:]:
        assert node.fullmatch(line) or arrow.fullmatch(line), line


def test_a_video_of_which_nothing_is_done_yet_is_rendered(nothing: VideoLineage) -> None:
    output = io.StringIO()
    Console(file=output).print(render.to_tree(nothing))

    assert VIDEO_ID in output.getvalue()
    assert render.to_mermaid(nothing).count("\n") == 2
    assert render.to_csv(nothing).count("\n") == 1
