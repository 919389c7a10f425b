"""The command for analysts: any question in SQL, of the views of ``docs/analysts.md`` and of our tables."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from madvision_assets.command.display import echo, make_console, told_plainly
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.plain_text import as_cell
from madvision_assets.settings import load_settings
from madvision_assets.tools.database.asking import Answer, asked

SHOWN = 200
CELL_CHARS = 80


@click.command()
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@told_plainly
def query(sql: str, form: str) -> None:
    """Ask the database one question in SQL, such as "SELECT kind, count(*) FROM v_videos GROUP BY kind".

    It can only read. docs/analysts.md has the views and their columns. A table shows the first rows, json and csv all.
    """
    with asked(Workplace(load_settings()).database, sql) as answer:
        {"table": _show, "json": _tell_json, "csv": _tell_csv}[form](answer)


def _show(answer: Answer) -> None:
    table = Table(box=None, pad_edge=False)
    for name in answer.columns:
        table.add_column(Text(name))
    for row in islice(answer.rows, SHOWN):
        table.add_row(*(Text(_shortened(_text(value))) for value in row))
    more = next(answer.rows, None) is not None
    make_console().print(table)
    rows = f"{table.row_count} row{'s' * (table.row_count != 1)}"
    echo(f"The first {rows}; --format json or csv has all." if more else f"{rows}.")


def _tell_json(answer: Answer) -> None:
    """A list of objects, written as they come."""
    before = "["
    for row in answer.rows:
        told = {name: _plain(value) for name, value in zip(answer.columns, row, strict=True)}
        echo(f"{before}\n  {json.dumps(told, ensure_ascii=False)}", nl=False)
        before = ","
    echo("[]" if before == "[" else "\n]")


def _tell_csv(answer: Answer) -> None:
    for line in _lines(answer):
        echo(line, nl=False)


def _lines(answer: Answer) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(as_cell, answer.columns))
    yield out.getvalue()
    for each in answer.rows:
        out.seek(0)
        out.truncate()
        writer.writerow([as_cell(value) if isinstance(value, str) else _text(value) for value in each])
        yield out.getvalue()


def _plain(value: Any) -> Any:
    """As JSON has it: times in ISO 8601, UTC."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value


def _text(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _shortened(text: str) -> str:
    return text if len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…"
