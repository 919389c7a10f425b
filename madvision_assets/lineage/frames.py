"""Lineage, the views and the catalogue as pandas frames, with typed columns."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from madvision_assets.domain.stages import PipelineStep

if TYPE_CHECKING:
    import pandas as pd

    from madvision_assets.domain.clips import ClipCandidates
    from madvision_assets.lineage.queries import VideoLineage
    from madvision_assets.tools.database import Database
    from madvision_assets.tools.database.rows import LineageRow
    from madvision_assets.tools.store.objects import ObjectStore

TEXT_COLUMNS = (
    "video_id",
    "data_version",
    "run_id",
    "code_version",
    "engine",
    "engine_version",
    "model",
    "prompt_version",
    "prompt_hash",
    "uri",
)


def to_frame(lineage: "VideoLineage") -> "pd.DataFrame":
    """Every materialisation of a video, in the order of their making.

    Returns:
        Columns ``asset`` (an ordered category, in pipeline order), ``current`` (bool: it is the version that counts),
        the texts of ``TEXT_COLUMNS`` (missing where there is no model or prompt), ``cost_usd`` and ``wall_s`` (floats,
        US dollars and seconds), ``created_at`` (timezone-aware, UTC), ``inputs`` (``asset@data_version``, separated by
        spaces), ``parameters`` and ``usage`` (JSON objects).
    """
    import pandas as pd

    rows = lineage.materialisations
    counting = {(stage.asset, stage.data_version) for stage in lineage.stages}
    columns: dict[str, object] = {
        "asset": pd.Categorical([row.asset for row in rows], _stages(rows), ordered=True),
        "current": pd.Series([(row.asset, row.data_version) in counting for row in rows], dtype="bool"),
    }
    for name in TEXT_COLUMNS:
        columns[name] = pd.Series([getattr(row, name) for row in rows], dtype="string")
    columns["cost_usd"] = pd.Series([row.cost_usd for row in rows], dtype="float64")
    columns["wall_s"] = pd.Series([row.wall_s for row in rows], dtype="float64")
    columns["created_at"] = pd.Series([row.created_at for row in rows], dtype="datetime64[us, UTC]")
    columns["inputs"] = pd.Series([_inputs(row) for row in rows], dtype="string")
    for name in ("parameters", "usage"):
        columns[name] = pd.Series([json.dumps(getattr(row, name), sort_keys=True) for row in rows], dtype="string")
    return pd.DataFrame(columns)


def view(database: "Database", name: str) -> "pd.DataFrame":
    """A view of ``docs/analysts.md``, all of it.

    Args:
        database: whose.
        name: of the view.

    Returns:
        A row for each of its rows, with its columns; times (``…_at``) are timezone-aware, UTC.

    Raises:
        QuestionRefusedError: there is no such view.
        Failure: as ``Database`` raises it.
    """
    import pandas as pd

    from madvision_assets.tools.database.asking import asked

    if not name.isidentifier():
        raise ValueError(f"{name!r} is not the name of a view")
    with asked(database, f"SELECT * FROM {name}") as answer:  # noqa: S608 - a name, and one that cannot write
        frame = pd.DataFrame(list(answer.rows), columns=list(answer.columns))
    for column in frame.columns:
        if column.endswith("_at"):
            frame[column] = pd.to_datetime(frame[column], utc=True)
        elif column.startswith("is_"):
            frame[column] = frame[column].astype("boolean")
    return frame


def read_catalogue(store: "ObjectStore", name: str) -> "pd.DataFrame":
    """A table of the catalogue, as of its last update; what it costs grows with the table, and no database is asked.

    Args:
        store: where it lies.
        name: of a table in ``docs/analysts.md``, or ``current_lineage``.

    Returns:
        A row for each of its rows, with its columns: texts are ``string``, whole numbers ``Int64``, truth values
        ``boolean``, times timezone-aware (UTC). What a criterion came to is a column ``criterion_…``.

    Raises:
        LookupError: there is no such table, or no catalogue yet.
        Failure: a part of it was lost, or as ``ObjectStore`` raises it.
    """
    from madvision_assets.domain.catalogue import DERIVED, TABLES
    from madvision_assets.tools import parquet
    from madvision_assets.work.catalogue import read

    table, condition = DERIVED.get(name, (name, None))
    parts = read(store, table)
    if condition:
        parts = [parquet.where(each, condition) for each in parts]
    return parquet.to_pandas(TABLES[table], parts)


def to_moments(document: "ClipCandidates") -> "pd.DataFrame":
    """The moments of one document, chosen and not: one row each, with the columns of ``moments`` in the catalogue.

    Args:
        document: sealed.
    """
    from madvision_assets.domain.catalogue import TABLES, rows_of_moments
    from madvision_assets.domain.summaries import summary_of
    from madvision_assets.tools import parquet

    origin = document.origin.model_dump() | {"video_id": document.video_id, "is_current": None}
    rows = rows_of_moments(origin | {"summary": json.dumps(summary_of(document))})
    return parquet.to_pandas(TABLES["moments"], [parquet.table_of(TABLES["moments"], rows)])


def _stages(rows: "Iterable[LineageRow]") -> list[str]:
    """Ours in pipeline order, then those that only a newer version of this program knows."""
    ours = [step.value for step in PipelineStep]
    return [*ours, *sorted({row.asset for row in rows} - set(ours))]


def _inputs(row: "LineageRow") -> str:
    return " ".join(f"{i.asset}@{i.data_version}" for i in row.inputs)
