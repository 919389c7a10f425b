"""The command that deletes all that is kept of videos: forget."""

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from madvision_assets.command.display import EXIT_FAILED, answer, echo, make_console, tell, told_plainly
from madvision_assets.command.naming import STANDARD_INPUT, ids_of, nothing_of, shortly
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import Workplace
from madvision_assets.settings import load_settings

if TYPE_CHECKING:
    from madvision_assets.work.forgetting import Forgotten


@click.command()
@click.argument("named", metavar="VIDEO...", nargs=-1, required=True)
@click.option(
    "--all-cuts",
    is_flag=True,
    help="Forget too what the same videos became that were cut in other ways, or are kept under other IDs.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_format
@told_plainly
def forget(named: tuple[str, ...], form: str, *, all_cuts: bool, yes: bool) -> None:
    """Delete all that is kept of videos: objects, rows, tokens and partitions; - takes names from stdin, one a line.

    VIDEO is an ID, a token, an address or file, or the ID of one of its clips, with which the whole video goes. What
    was broken off can be run again. A video that is being processed is not forgotten.
    """
    from madvision_assets.work import forgetting

    for_program = form == "json"
    if (STANDARD_INPUT in named or for_program) and not yes:
        raise click.UsageError(
            f"With {'--format json' if for_program else 'names from stdin'} nobody can be asked: add --yes."
        )
    workplace = Workplace(load_settings())
    asked = frozenset(ids_of(workplace, named, any_cut=all_cuts))
    other_cuts = workplace.database.other_cuts(asked)
    if all_cuts:
        asked, other_cuts = asked | other_cuts, frozenset()
    belongings = forgetting.find(workplace.database, workplace.store, asked)
    if not belongings.video_ids and not belongings.running:
        raise nothing_of(workplace, sorted(asked))
    _tell_kept(other_cuts)
    running, done = belongings.running, forgetting.Forgotten()
    if belongings.video_ids:
        if not for_program:
            echo(belongings.sentence)
        if not yes:
            click.confirm("This cannot be undone. Go on?", abort=True)
        done = _forget(workplace, belongings.video_ids, told=not for_program)
        running |= done.left_alone
    if for_program:
        gone = {"videos": done.videos, "objects": done.objects, "size_bytes": done.size_bytes}
        told = {"forgotten": gone, "left_alone": sorted(running), "unknown": sorted(belongings.unknown)}
        answer(form, {**told, "other_cuts": sorted(other_cuts)}, "")
    errors = make_console(stderr=True)
    if belongings.unknown:
        tell(errors, "note:", "yellow", f"Not known: {shortly(sorted(belongings.unknown))}")
    if running:
        sentence = "Being processed, and not forgotten; terminate the run in Dagster first, or wait for its end:"
        tell(errors, "error:", "red", f"{sentence} {shortly(sorted(running))}")
        sys.exit(EXIT_FAILED)


def _tell_kept(other_cuts: Collection[str]) -> None:
    if other_cuts:
        sentence = "The same video is kept under other IDs too; --all-cuts forgets them with it:"
        tell(make_console(stderr=True), "note:", "yellow", f"{sentence} {shortly(sorted(other_cuts))}")


def _forget(workplace: Workplace, video_ids: Collection[str], *, told: bool) -> "Forgotten":
    """Forget videos; a person is told what is gone also where it breaks off."""
    from madvision_assets.work import forgetting

    folder = workplace.settings.work_folder
    done = forgetting.Forgotten()
    try:
        with workplace.partitions() as partitions:
            for each in forgetting.forget(workplace.database, workplace.store, folder, partitions, video_ids):
                done += each
    finally:
        if told:
            echo(done.sentence)
    return done
