"""The command that takes clips out of the store: clips."""

from pathlib import Path

import click

from madvision_assets.command.display import answer, told_plainly
from madvision_assets.command.naming import VIDEO, find
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain import disk
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.sidecars import unique_stems
from madvision_assets.domain.summaries import TITLE_CHARS
from madvision_assets.settings import load_settings
from madvision_assets.work.package import Package
from madvision_assets.work.taking import Taken, outdated, take


@click.command()
@click.argument("video", metavar=VIDEO)
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Made if need be."
)
@click.option("--rendition", metavar="NAME", help="Of the pictures only these, such as source. Usually all.")
@as_format
@told_plainly
def clips(video: str, folder: Path, rendition: str | None, form: str) -> None:
    """Write a video's clips into a folder: pictures, captions, words, facts, and timelines for other programs.

    VIDEO is an ID, a token, an address or file, or the ID of one of its clips. A file that is there already is left
    alone, one that differs is replaced, and those of clips that are no more are named.
    """
    workplace = Workplace(load_settings())
    video_id = find(workplace, video).video_id
    try:
        package = Package.read(workplace.store, video_id)
    except MissingInputError as missing:
        raise click.ClickException(_not_yet(workplace, video_id)) from missing
    count = len(package.clips.clips)
    files = package.files(_known(rendition, package, video_id) if rendition and count else None)
    try:
        taken = take(files, workplace.store, folder) if count else Taken((), ())
        stems = unique_stems(package.clips.clips).values()
        old = outdated(folder, video_id, stems) if count or folder.is_dir() else ()
    except OSError as error:
        why = disk.reason(error.errno)
        raise click.ClickException(
            f"{folder} cannot be written to: {why}. What is finished is kept; the same command goes on from there."
        ) from error
    sentence = f"{count} clip{'s' * (count != 1)} of {video_id}: {len(taken.written)} files written to {folder}"
    sentence += f", {len(taken.kept)} were there already." if taken.kept else "."
    title = cleaned(package.raw.source.title or "", TITLE_CHARS) if package.raw else ""
    sentence = f"{title}\n{sentence}".lstrip()
    outcome, why = package.clips.outcome.value, package.clips.outcome_reason
    if not count:
        sentence = f"No clips ({outcome}): {why} Nothing is written."
    if old:
        sentence += f"\nOf clips that are no more, or have another name now: {', '.join(old)}. Delete them by hand."
    told = {
        "video_id": video_id,
        "outcome": outcome,
        "outcome_reason": why,
        "clips": count,
        "written": [str(folder / name) for name in taken.written],
        "kept": [str(folder / name) for name in taken.kept],
        "outdated": [str(folder / name) for name in old],
    }
    answer(form, told, sentence)


def _known(rendition: str, package: Package, video_id: str) -> str:
    """The role of a rendition.

    Raises:
        click.BadParameter: no clip of this video has it; names those that there are.
    """
    asked = rendition.strip().lower().replace("-", "_")
    if asked in package.renditions:
        return asked
    there_are = ", ".join(package.renditions) or "none"
    raise click.BadParameter(
        f"{video_id} has no rendition {rendition[:40]!r}. There are: {there_are}.", param_hint="--rendition"
    )


def _not_yet(workplace: Workplace, video_id: str) -> str:
    """Why there are no clips, and what to do."""
    from madvision_assets.tools.database.queue import Queue

    row = Queue(workplace.database).get(video_id)
    look = f"See: madvision status {video_id}."
    if row is None:
        return f"{video_id} has no clips yet, and is not in the queue. Make them: madvision process URL_OR_FILE."
    if row.status in {QueueStatus.FAILED, QueueStatus.PARKED}:
        return f"{video_id} has no clips: it is {row.status} at {row.pipeline_step}. {look}"
    if row.status is QueueStatus.DONE:
        again = f"madvision requeue --video {video_id} --from clips"
        return f"The clips of {video_id} are not in the store any more. Make them again: {again}."
    return f"{video_id} has no clips yet: it is {row.status} at {row.pipeline_step}. Try again when it is done. {look}"
