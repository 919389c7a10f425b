"""Claims about the catalogue as frames: typed columns, criteria by name, and the notebook of the ten questions."""

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from madvision_assets.domain.clips import ClipCandidates
from madvision_assets.domain.provenance import Recipe
from madvision_assets.lineage.frames import read_catalogue, to_moments, view
from madvision_assets.settings import Settings
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.catalogue import Catalogue
from madvision_assets_tests import stores
from madvision_assets_tests.lineage.history import write_history
from madvision_assets_tests.lineage.test_views import MOMENT, QUESTIONS

PLAIN = "text/plain"
NOTEBOOK = Path(__file__).parents[2] / "docs" / "analysts.ipynb"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with a history and its catalogue."""
    settings = Settings(_env_file=None, home=tmp_path_factory.mktemp("home"))
    database = Database(settings.effective_database_url)
    database.migrate()
    write_history(database)
    Catalogue(database, ObjectStore.from_url(settings.effective_store_url)).update()
    return settings


@pytest.fixture
def store(home: Settings) -> ObjectStore:
    return ObjectStore.from_url(home.effective_store_url)


def judged() -> ClipCandidates:
    """Moments, of which one was chosen, and one was judged by other criteria."""
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "zero", "one", "two")
    made = stores.clip_candidates(raw, spoken, stores.content_type(raw, spoken))
    first, second, third = stores.rejected()
    chosen = made.candidates[0].model_copy(update={"criteria": {"strength": 0.6, "hook": 0.045}, "words": 40})
    moment = second.moment.model_copy(update={"criteria": {"strength": 0.15, "emotion": 0.0}})
    placed = second.model_copy(update={"moment": moment, "start_s": 3.0, "end_s": 5.0, "words": 4})
    document = made.model_copy(update={"candidates": (chosen,), "rejected": (first, placed, third), "provenance": None})
    recipe = Recipe(engine="openai", model="gpt-4o", prompt_version="7")
    return document.seal(
        recipe, run_id="run", code_version="1", inputs=(), wall_s=1.0, created_at=made.origin.created_at
    )


def test_the_moments_of_a_document_are_a_frame_with_a_column_for_each_criterion() -> None:
    frame = to_moments(judged())

    assert list(frame.is_chosen) == [True, False, False, False]
    assert list(frame.words.fillna(-1)) == [40, -1, 4, -1]
    assert list(frame.duration_s.fillna(-1)) == [20.0, -1, 2.0, -1]
    assert list(frame["rank"].fillna(0)) == [1, 0, 0, 0]
    assert list(frame.criterion_strength.fillna(-1)) == [0.6, -1, 0.15, -1]
    assert list(frame.criterion_emotion.fillna(-1)) == [-1, -1, 0.0, -1]
    assert [str(frame[name].dtype) for name in ("words", "score", "is_chosen", "title")] == [
        "Int64", "float64", "boolean", "string"
    ]  # fmt: skip
    assert str(frame.made_at.dtype) == "datetime64[us, UTC]"
    assert set(frame.engine) == {"openai"}


def test_the_catalogue_has_them_of_every_video(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'm.db'}")
    database.migrate()
    database.add_video(stores.VIDEO_ID, "http://example.org/v.mp4")
    document, store = judged(), ObjectStore.from_url("memory://")
    database.add_lineage(document, "memory://x")
    Catalogue(database, store).update()

    kept, told = read_catalogue(store, "moments"), to_moments(document)

    assert kept.columns.tolist() == told.columns.tolist()
    order = ["made_at", "rank", "title"]
    pd.testing.assert_frame_equal(
        kept.sort_values(order, ignore_index=True).drop(columns="is_current"),
        told.sort_values(order, ignore_index=True).drop(columns="is_current"),
    )


def test_what_counts_is_what_the_view_says(home: Settings, store: ObjectStore) -> None:
    told = view(Database(home.effective_database_url), "current_lineage")

    assert sorted(read_catalogue(store, "current_lineage").id) == sorted(told.id)


def test_a_table_without_rows_has_the_columns_and_types_of_one_with_rows(store: ObjectStore, tmp_path: Path) -> None:
    database, empty = Database(f"sqlite:///{tmp_path / 'm.db'}"), ObjectStore.from_url("memory://")
    database.migrate()
    Catalogue(database, empty).update()

    for name in ("videos", "clips", "costs", "timings", "current_lineage"):
        assert read_catalogue(empty, name).dtypes.to_dict() == read_catalogue(store, name).dtypes.to_dict(), name


def cells() -> list[tuple[str, str, str]]:
    """The notebook's cells of code: the ID of each, what it says, and what is shown below it."""
    told = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [
        (cell["id"], "".join(cell["source"]), "".join(line for out in cell["outputs"] for line in out["data"][PLAIN]))
        for cell in told
        if cell["cell_type"] == "code"
    ]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """What a cell shows: the value of its last line."""
    *statements, last = ast.parse(source).body
    exec(compile(ast.Module(statements, []), "<cell>", "exec"), names)  # noqa: S102 - the notebook is ours
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307 - likewise
    exec(compile(ast.Module([last], []), "<cell>", "exec"), names)  # noqa: S102 - likewise
    return None


def as_told(shown: pd.DataFrame) -> list[str]:
    """A frame as the answers in docs/analysts.md have it, the header first."""
    frame = shown if shown.index.names == [None] else shown.reset_index()
    lines = [",".join(map(_cell, row)) for row in frame.itertuples(index=False)]
    return [",".join(frame.columns), *sorted(lines)]


def _cell(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    moment = MOMENT.match(str(value))
    return moment[1] if moment else f"{value:g}" if isinstance(value, float) else str(value)


def test_the_notebook_answers_each_question_in_one_step_as_the_sql_does(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADVISION_HOME", str(home.home_folder))
    names: dict[str, Any] = {}
    (first, frames, _), *answers = cells()
    run_cell(frames, names)

    assert [first, *(name for name, *_ in answers)] == ["frames", *(f"a{number}" for number in range(1, 11))]
    for (_, source, below), (number, question, _, told) in zip(answers, QUESTIONS, strict=True):
        header, *rows = told.splitlines()
        shown = run_cell(source, names)
        assert as_told(shown) == [header, *sorted(rows)], f"{number}. {question}"
        assert shown.to_string() == below, f"{number}. {question}"
