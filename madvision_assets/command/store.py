"""The commands that backups and restores are made of: store copy, list, prune, rebuild-lineage, verify."""

import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from madvision_assets.command.display import EXIT_FAILED, answer, echo, make_console, tell, told_plainly
from madvision_assets.command.group import Group
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import Workplace
from madvision_assets.connections import make_aws_access
from madvision_assets.domain.aws import AwsAccess
from madvision_assets.settings import load_settings
from madvision_assets.tools.store import copying
from madvision_assets.tools.store.backends import parse_store_url
from madvision_assets.tools.store.objects import ObjectStore

# A folder of dumps is named by the time of its backup, UTC; it counts once its marker is there, which is written last.
DUMPS = re.compile(r"(\d{8}T\d{6}Z)/.+")
MARKER = "SHA256SUMS"
S3_NAMES = ("AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MAX_TOLD = 20


def credentials_option(name: str) -> Callable[[Any], Any]:
    """An option that names a file of AWS variables."""
    told = f"File with the lines {', '.join(S3_NAMES)}: for a bucket of another account or server."
    return click.option(f"--{name}", type=click.Path(path_type=Path, exists=True, dir_okay=False), help=told)


@click.group(cls=Group)
def store() -> None:
    """Copy the store, and look after its backups."""


@store.command()
@click.argument("source", metavar="SOURCE_URL")
@click.argument("target", metavar="TARGET_URL")
@credentials_option("source-env")
@credentials_option("target-env")
@click.option("--without", metavar="FOLDER", multiple=True, help="A folder right below SOURCE_URL that is not copied.")
@as_format
@told_plainly
def copy(
    source: str, target: str, source_env: Path | None, target_env: Path | None, without: tuple[str, ...], form: str
) -> None:
    """Copy every object that is not there yet; what was broken off goes on. Nothing is deleted."""
    copied = copying.copy_objects(_place(source, source_env), _place(target, target_env), without)
    sent = f"{copied.sent_objects:,} sent ({decimal(copied.sent_bytes)})"
    sentence = f"{copied.objects:,} objects ({decimal(copied.size_bytes)}) in {source}: {sent} to {target}."
    answer(form, asdict(copied), sentence)


@store.command("list")
@click.argument("url")
@click.option("--limit", type=click.IntRange(1), help="End after so many.")
@credentials_option("env")
@as_format
@told_plainly
def list_(url: str, limit: int | None, env: Path | None, form: str) -> None:
    """Print the keys below a URL, one a line, in no particular order."""
    keys = (key for key, _ in islice(copying.list_objects(_place(url, env)), limit))
    if form == "json":
        echo(json.dumps(list(keys), indent=2))
        return
    for key in keys:
        echo(key)


@store.command()
@click.argument("url")
@click.option("--keep", type=click.IntRange(1), required=True, help="So many of the newest backups stay.")
@credentials_option("env")
@as_format
@told_plainly
def prune(url: str, keep: int, env: Path | None, form: str) -> None:
    """Delete old folders of dumps, and those of backups that were broken off before them.

    Only what lies in a folder named like 20261105T030000Z is looked at.
    """
    place = _place(url, env)
    keys = {key: match[1] for key, _ in copying.list_objects(place) if (match := DUMPS.fullmatch(key))}
    whole = sorted(folder for key, folder in keys.items() if key.endswith(f"/{MARKER}"))
    oldest = whole[-keep:][0] if whole else ""
    doomed = sorted((key for key, folder in keys.items() if folder < oldest), key=lambda key: not key.endswith(MARKER))
    dumps = ObjectStore(place.location, place.s3)
    dumps.delete(doomed)
    for folder in {keys[key] for key in doomed}:
        path = dumps.local_path(folder)
        if path is not None:
            with suppress(OSError):  # somebody has put something else into it
                path.rmdir()
    deleted, kept = len({keys[key] for key in doomed}), min(len(whole), keep)
    answer(form, {"deleted": deleted, "kept": kept}, f"{deleted:,} old dumps deleted, {kept:,} kept.")


@store.command("rebuild-lineage")
@as_format
@told_plainly
def rebuild_lineage(form: str) -> None:
    """Add rows of lineage that only the documents in the store tell of; a restore ends with it."""
    from madvision_assets.work import restoring

    workplace = Workplace(load_settings())
    added = restoring.rebuild_lineage(workplace.database, workplace.store)
    answer(form, {"added": added}, f"{added:,} rows of lineage added.")


@store.command()
@as_format
@told_plainly
def verify(form: str) -> None:
    """Look for every clip of every video that is done, and for every document of the lineage; 1 when one is missing."""
    from madvision_assets.work import restoring

    workplace = Workplace(load_settings())
    seen = restoring.inspect(workplace.database, workplace.store)
    if form == "json":
        echo(json.dumps(asdict(seen), indent=2))
    errors = make_console(stderr=True)
    for sentence in seen.missing[:MAX_TOLD]:
        tell(errors, "missing:", "red", sentence)
    counts = f"{seen.videos:,} videos are done, with {seen.clips:,} clips; {seen.documents:,} documents in the lineage"
    if seen.missing:
        tell(errors, "error:", "red", f"{counts}; {len(seen.missing):,} things are missing.")
        sys.exit(EXIT_FAILED)
    if form != "json":
        echo(f"{counts}. All of it is there.")


def _place(url: str, env: Path | None) -> copying.Place:
    try:
        location = parse_store_url(url)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("MADVISION_STORE_URL=")) from error
    return copying.Place(location, _s3_of_file(env) if env else make_aws_access(load_settings()))


def _s3_of_file(file: Path) -> AwsAccess:
    """From a file that must say everything: what it leaves out, obstore would take from the environment."""
    from dotenv import dotenv_values

    told = dotenv_values(file)
    missing = [name for name in S3_NAMES if not told.get(name)]
    if missing:
        raise ValueError(f"{file} lacks {', '.join(missing)}")
    return AwsAccess(*(told[name] for name in S3_NAMES))
