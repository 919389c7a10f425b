"""The command that measures a choice of clips: evaluate."""

import sys
from pathlib import Path

import click

from madvision_assets.command.display import echo, told_plainly
from madvision_assets.command.queue import cut_options, options_of
from madvision_assets.domain.provenance import Recipe
from madvision_assets.settings import load_settings
from madvision_assets.tools.analyst import Analyst


@click.command()
@click.argument("file", metavar="SET", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--repeats", type=click.IntRange(1, 20), default=1, show_default=True, help="Ask for each talk so often.")
@cut_options
@told_plainly
def evaluate(file: Path, form: str, repeats: int, **asked: float | None) -> None:
    """Measure the analyst's choice of clips beside baselines.

    SET is JSON, or JSON.xz: talks with what editors chose of them (docs/evaluation.md). The analyst is the configured
    one; one behind an API is paid for each talk and repeat, under the ceilings of a video and a day.
    """
    from madvision_assets.evaluation.labelled import read_set
    from madvision_assets.evaluation.report import evaluated
    from madvision_assets.evaluation.tables import to_json, to_table

    talks = read_set(file)
    analyst = _configured()
    shown = sys.stderr.isatty()

    def told(done: int, of: int) -> None:
        if shown:
            echo(f"\r{done} of {of} talks", err=True, nl=done == of)

    recipes: list[Recipe] = []
    report = evaluated(talks, analyst, options_of(asked), repeats=repeats, told=told, heard=recipes.append)
    echo((to_json if form == "json" else to_table)(report, recipes))


def _configured() -> Analyst:
    """The analyst that the settings name; one that is paid stays under its ceilings."""
    from madvision_assets.command.workplace import Workplace
    from madvision_assets.tools.analyst.offline import DESCRIPTOR, OfflineAnalyst

    settings = load_settings()
    if settings.analyst == DESCRIPTOR.name:
        return OfflineAnalyst()
    from madvision_assets.defs.resources import make_analyst

    workplace = Workplace(settings)
    return make_analyst(settings, workplace.database, workplace.store)


COMMANDS = (evaluate,)
