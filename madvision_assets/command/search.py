"""The commands that look for what is said: search, and reindex for what was there before."""

import json
import sys
from itertools import islice

import click
from rich.table import Table
from rich.text import Text

from madvision_assets.command.display import EXIT_FAILED, echo, make_console, tell, told_plainly
from madvision_assets.command.naming import VIDEO, video_id_of
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.wording import timecode
from madvision_assets.settings import load_settings
from madvision_assets.work.searching import HIGHEST_ID, MAX_HITS, Found, Search, fill

# Columns below which what is said stands on a line of its own.
NARROW = 100


@click.command()
@click.argument("words", metavar="WORDS...", nargs=-1, required=True)
@click.option("--video", "named", metavar=VIDEO, multiple=True, help="Only in this video.")
@click.option("--limit", type=click.IntRange(1, MAX_HITS), default=20, show_default=True, help="Moments to list.")
@click.option("--before", type=click.IntRange(1, HIGHEST_ID), metavar="NUMBER", help="Go on after an earlier search.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@told_plainly
def search(words: tuple[str, ...], named: tuple[str, ...], limit: int, before: int | None, form: str) -> None:
    """Find the moments of all videos in which all of these words are said, newest videos first.

    An argument of several words is a phrase, and so is what stands in quotes: madvision search "to be or not to be".
    """
    workplace = Workplace(load_settings())
    video_ids = [video_id_of(workplace, name) for name in named] if named else None
    asked = " ".join(f'"{each}"' if len(each.split()) > 1 and '"' not in each else each for each in words)
    found = Search(workplace.database).find(asked, limit, video_ids, before)
    if form == "json":
        echo(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return
    _show(found)


@click.command()
@click.option("--limit", type=click.IntRange(1), metavar="VIDEOS", help="At most so many; the next call goes on.")
@as_format
@told_plainly
def reindex(limit: int | None, form: str) -> None:
    """Make videos searchable that a version without search transcribed, or one that took words apart otherwise.

    What comes new is so by itself. Broken off, the next call goes on from there.
    """
    workplace = Workplace(load_settings())
    done, unread = 0, list[dict[str, str]]()
    try:
        for each in islice(fill(workplace.database, workplace.store), limit):
            if each.problem is None:
                done += 1
                continue
            unread.append({"video_id": each.video_id, "problem": each.problem})
            tell(make_console(stderr=True), f"{each.video_id}:", "red", each.problem)
    finally:  # a program reads what became of it in a failure's place alone
        if form != "json":
            echo(f"{done:,} video{'s' * (done != 1)} made searchable.")
    if form == "json":
        echo(json.dumps({"made_searchable": done, "unreadable": unread}, indent=2))
    if unread:
        sys.exit(EXIT_FAILED)


def _show(found: Found) -> None:
    console = make_console()
    if not found.moments:
        console.print("Nobody says that. Look for fewer words, or for one of them alone.")
        return
    rows = [
        (each.video_id, f"{timecode(each.start_s)}-{timecode(each.end_s)}", each.clip.clip_id if each.clip else "-")
        for each in found.moments
    ]
    if console.width < NARROW:
        for row, each in zip(rows, found.moments, strict=True):
            console.print(Text("  ".join(row), "bold"), soft_wrap=True)
            if each.title:
                console.print(Text(each.title, "dim"))
            console.print(Text(each.text))
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("Video", "From-to", "Clip", "Said"):
            table.add_column(name, no_wrap=name == "From-to")
        for row, each in zip(rows, found.moments, strict=True):
            video_id, *rest = row
            table.add_row(*map(Text, ("\n".join(filter(None, (video_id, each.title))), *rest, each.text)))
        console.print(table)
    if found.next_before is not None:
        console.print(f"There are more: add --before {found.next_before}", soft_wrap=True)


COMMANDS = (search, reindex)
