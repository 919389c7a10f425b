"""The command for the catalogue: the views of all videos as Parquet in the store."""

from typing import Any

import click
from rich.filesize import decimal

from madvision_assets.command.display import answer, told_plainly
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.catalogue import Manifest
from madvision_assets.settings import load_settings


@click.command()
@click.option("--anew", is_flag=True, help="Read everything again, as after a restore.")
@click.option("--show", is_flag=True, help="Update nothing: tell where it lies, and its files by table.")
@as_format
@told_plainly
def catalogue(form: str, *, anew: bool, show: bool) -> None:
    """Bring the catalogue up to date: all videos, clips, moments, costs as tables in Parquet, below the store.

    What has changed since the last time is read, and nothing else. docs/analysts.md has the tables and their columns.
    """
    from madvision_assets.work.catalogue import Catalogue

    if anew and show:
        raise click.UsageError("Give one of --anew and --show.")
    workplace = Workplace(load_settings())
    kept = Catalogue(workplace.database, workplace.store)
    if show:
        state = kept.current()
        if state is None:
            answer(form, {"uri": kept.uri, "state": None}, "There is no catalogue yet; madvision catalogue makes it.")
            return
        files = {
            table: [workplace.store.uri(part.key) for _, part in sorted(parts.items())]
            for table, parts in state.parts.items()
        }
        answer(form, _as_json(kept, state) | {"files": files}, _told(kept, state))
        return
    updated = kept.update(anew=anew)
    figures = {
        "made_anew": updated.is_anew,
        "videos_read": updated.videos,
        "rows_read": updated.rows_read,
        "rows_written": updated.rows_written,
        "files_written": updated.files,
    }
    answer(form, _as_json(kept, updated.state) | figures, f"{updated.sentence}\n{_told(kept, updated.state)}")


def _as_json(kept: Any, state: Manifest) -> dict[str, Any]:
    told = {
        "uri": kept.uri,
        "state": state.number,
        "read_at": state.read_at.isoformat(),
        "size_bytes": state.size_bytes,
    }
    return told | {"rows": state.rows()}


def _told(kept: Any, state: Manifest) -> str:
    rows = "\n".join(f"  {table:16} {count:>12,} rows" for table, count in state.rows().items())
    return f"{kept.uri}, as of {state.read_at:%Y-%m-%d %H:%M:%SZ}, {decimal(state.size_bytes)}:\n{rows}"
