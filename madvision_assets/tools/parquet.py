"""Tables in Parquet, by pyarrow: rows with typed columns become bytes, and bytes become columns again.

Here belongs what knows Arrow. What a table means and where it lies is somebody else's.
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.catalogue import Column, Kind
from madvision_assets.domain.failures import DamagedDocumentError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MEDIA_TYPE = "application/vnd.apache.parquet"
PREFIX = "criterion_"


def table_of(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> "pa.Table":
    """A table of these rows, each with a value or None for every column."""
    import pyarrow as pa

    kept, schema = list(rows), _schema(columns)
    values = {
        column.name: [_listed(row[column.name]) if column.kind is Kind.CRITERIA else row[column.name] for row in kept]
        for column in columns
    }
    return pa.table(values, schema=schema)


def joined(tables: Sequence["pa.Table"], order: Sequence[str]) -> "pa.Table":
    """The rows of all of them, which have the same columns, in the order of some of these."""
    import pyarrow as pa

    whole = pa.concat_tables(tables)
    return whole.sort_by([(name, "ascending") for name in order]).combine_chunks()


def only(table: "pa.Table", column: str, values: Collection[Any], *, but: bool = False) -> "pa.Table":
    """Its rows with one of these values in a column, or all but these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pc.is_in(table[column], value_set=pa.array(list(values), type=table.schema.field(column).type))
    return table.filter(pc.invert(wanted) if but else wanted)


def where(table: "pa.Table", column: str) -> "pa.Table":
    """Its rows for which a column is true."""
    return table.filter(table[column])


def values(table: "pa.Table", column: str) -> list[Any]:
    """A column, row by row."""
    return table[column].to_pylist()  # type: ignore[no-any-return]


def write(table: "pa.Table") -> bytes:
    """A Parquet file."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def read(data: bytes, key: str) -> "pa.Table":
    """The table of a Parquet file.

    Raises:
        DamagedDocumentError: it is none; names the key.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DamagedDocumentError(f"{key} is no Parquet file") from error


def to_pandas(columns: Sequence[Column], tables: Sequence["pa.Table"]) -> "pd.DataFrame":
    """All rows as a frame; numbers by name become columns ``criterion_…``.

    Args:
        columns: of all of them.
        tables: none of them is a frame without rows.

    Returns:
        Texts are ``string``, whole numbers ``Int64``, truth values ``boolean``: each may be missing. Times are
        timezone-aware, days are Python's.
    """
    import pandas as pd
    import pyarrow as pa

    forms = {pa.string(): pd.StringDtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    whole = pa.concat_tables([table_of(columns, ()), *tables])
    frame: pd.DataFrame = whole.to_pandas(types_mapper=forms.get)
    for column in columns:
        if column.kind is Kind.CRITERIA:
            told = [dict(each) if each is not None else {} for each in frame.pop(column.name)]
            for name in sorted(set().union(*told)):
                frame[PREFIX + name] = pd.Series([each.get(name) for each in told], dtype="float64")
    return frame


def _schema(columns: Sequence[Column]) -> "pa.Schema":
    import pyarrow as pa

    forms = {
        Kind.TEXT: pa.string(),
        Kind.WHOLE: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.TRUTH: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
        Kind.DAY: pa.date32(),
        Kind.JSON: pa.string(),
        Kind.CRITERIA: pa.map_(pa.string(), pa.float64()),
    }
    return pa.schema(
        [
            pa.field(each.name, forms[each.kind], metadata={"means": each.means} if each.means else None)
            for each in columns
        ]
    )


def _listed(criteria: Mapping[str, float] | None) -> list[tuple[str, float]]:
    return sorted((criteria or {}).items())
