"""The commands about what is said: transcript export and import."""

import sys
from contextlib import suppress
from pathlib import Path

import click

from madvision_assets.command.display import echo, told_plainly
from madvision_assets.command.edit import user
from madvision_assets.command.group import Group
from madvision_assets.command.naming import VIDEO, video_id_of
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.failures import UnknownVideoError
from madvision_assets.domain.subtitles import READABLE
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.settings import load_settings
from madvision_assets.tools.store.documents import read_current

STANDARD_OUTPUT = "-"


@click.group(cls=Group)
def transcript() -> None:
    """Take out what is said in a video, and put in what was corrected."""


@transcript.command()
@click.argument("video", metavar=VIDEO)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--format", "written", type=click.Choice([each.value for each in Form]), help="By default FILE's suffix.")
@told_plainly
def export(video: str, file: Path, written: str | None) -> None:
    """Write the transcript as SRT, WebVTT, text or JSON; - is standard output."""
    asked = written or file.suffix.removeprefix(".").lower()
    if asked not in set(Form):
        names = ", ".join(f".{each}" for each in Form)
        raise click.BadParameter(f"{file} tells no format: end it with one of {names}, or say --format.")
    workplace = Workplace(load_settings())
    video_id = video
    with suppress(UnknownVideoError):  # a store may have what the database has not, as after a restore
        video_id = video_id_of(workplace, video)
    text = rendered(read_current(workplace.store, Transcript, video_id), Form(asked))
    if str(file) == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    file.write_text(text, encoding="utf-8")
    echo(f"What is said in {video_id}: {file}")


@transcript.command("import")
@click.argument("video", metavar=VIDEO)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--format", "written", type=click.Choice([each.value for each in READABLE]), help="By default FILE's suffix."
)
@told_plainly
def take(video: str, file: Path, written: str | None) -> None:
    """Take a corrected transcript (SRT, WebVTT, or JSON as it is exported) in place of what was heard.

    Words that were heard keep their times. It becomes a new version of the transcript, and the later stages are queued
    again. A video that is being processed is left alone.
    """
    from madvision_assets.tools.database.queue import Queue
    from madvision_assets.work.correcting import Corrections

    asked = written or file.suffix.removeprefix(".").lower()
    if asked not in set(READABLE):
        names = ", ".join(f".{each}" for each in READABLE)
        raise click.BadParameter(f"{file} tells no format: end it with one of {names}, or say --format.")
    workplace = Workplace(load_settings())
    corrections = Corrections(workplace.store, workplace.database, Queue(workplace.database))
    made = corrections.take(video_id_of(workplace, video), file.read_bytes(), Form(asked), user())
    changed = sum(segment.estimated for segment in made.segments)
    told = f"{len(made.segments)} sentences; of {changed} of them most words have times that nobody heard."
    echo(f"The transcript of {made.video_id} is that of {file}: {told}")
    echo("The later stages are queued again.")
