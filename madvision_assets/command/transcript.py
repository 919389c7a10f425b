"""The commands about what is said: transcript export."""

import sys
from pathlib import Path

import click

from madvision_assets.command.display import echo, told_plainly
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.settings import load_settings
from madvision_assets.tools.store.documents import read_current

STANDARD_OUTPUT = "-"


@click.group()
def transcript() -> None:
    """Take out what is said in a video."""


@transcript.command()
@click.argument("video_id")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice([each.value for each in Form]), help="By default FILE's suffix.")
@told_plainly
def export(video_id: str, file: Path, form: str | None) -> None:
    """Write the transcript as SRT, WebVTT, text or JSON; - is standard output."""
    asked = form or file.suffix.removeprefix(".").lower()
    if asked not in set(Form):
        names = ", ".join(f".{each}" for each in Form)
        raise click.BadParameter(f"{file} tells no format: end it with one of {names}, or say --format.")
    workplace = Workplace(load_settings())
    text = rendered(read_current(workplace.store, Transcript, video_id), Form(asked))
    if str(file) == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    file.write_text(text, encoding="utf-8")
    echo(f"What is said in {video_id}: {file}")
