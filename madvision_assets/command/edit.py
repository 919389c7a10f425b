"""The commands of editors: edit, and labels."""

import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.table import Table
from rich.text import Text

from madvision_assets.command.display import echo, make_console, told_plainly
from madvision_assets.command.naming import VIDEO, video_id_of
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.clip_edits import EditRefusedError
from madvision_assets.domain.clips import ClipCandidates
from madvision_assets.domain.documents import Json
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.renditions import CaptionStyle, PictureOptions, Shape
from madvision_assets.domain.video import seconds_of
from madvision_assets.domain.wanted_edits import ChoosePictures, Edit
from madvision_assets.domain.wording import timecode
from madvision_assets.settings import load_settings

if TYPE_CHECKING:
    from madvision_assets.work.editing import Edited

_EDITS: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])
NONE = "none"  # of renditions or captions


@click.command()
@click.argument("video", metavar=VIDEO)
@click.option(
    "--trim", "trims", multiple=True, metavar="N=FROM-TO", help="Other points for clip N; one may be left out."
)
@click.option("--retitle", "titles", multiple=True, metavar="N=TITLE", help="Another title for clip N.")
@click.option("--drop", "drops", multiple=True, metavar="N", type=click.IntRange(1), help="Clip N goes.")
@click.option("--add", "adds", multiple=True, metavar="FROM-TO[=TITLE]", help="Another clip.")
@click.option(
    "--renditions", metavar="SHAPES", help=f"Shapes of all clips, with commas: {', '.join(Shape)}; or {NONE}."
)
@click.option(
    "--captions", metavar="STYLE", help=f"Captions burnt into all clips: {', '.join(CaptionStyle)}; or {NONE}."
)
@click.option(
    "--file",
    "file",
    type=click.File("rb"),
    metavar="FILE",
    help="Changes as JSON, a list as PATCH /public/video/clips takes them; - is standard input.",
)
@click.option("--version", "version", metavar="VERSION", help="Only if the clips are still of this version.")
@click.option("--dry-run", is_flag=True, help="Show what would come of it, and change nothing.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@told_plainly
def edit(video: str, version: str | None, form: str, *, dry_run: bool, **asked: Any) -> None:
    """Change a video's clips: trim, retitle, drop, add, choose shapes and captions. Without a change it shows them.

    Times are seconds, or as 12:34 or 1:02:03; points are snapped to words. All changes are made, or none: those of
    --file first, then trims, titles, clips that go, clips that come, shapes and captions. Only pictures that change
    are rendered; a shape that is not named any more is not delivered any more.

    \b
      madvision edit VIDEO --trim 2=1:02.5-1:40 --retitle "2=Why labels save"
      madvision edit VIDEO --add "2:10-2:45=The accident" --dry-run
      madvision edit VIDEO --renditions vertical,square --captions bold
    """  # noqa: D301 - the escape itself is click's mark of lines to be left as they are
    from madvision_assets.tools.database.queue import Queue
    from madvision_assets.work.editing import Editable, Editing

    workplace = Workplace(load_settings())
    video_id = video_id_of(workplace, video)
    edits = _asked(asked)
    try:
        before = Editable.read(workplace.store, video_id)
        if not edits:
            _show(before.chosen, before.pictures, None, form, [list(word) for word in before.words])
            return
        editing = Editing(workplace.store, workplace.database, Queue(workplace.database))
        made = editing.make(video_id, edits, version=version, who=user(), only_try=dry_run)
    except MissingInputError as missing:
        raise click.ClickException(
            f"No moments of {video_id} are chosen yet. See: madvision status {video_id}."
        ) from missing
    except EditRefusedError as refused:
        where = "" if refused.number is None else f" (change {refused.number + 1} of {len(edits)})"
        raise click.ClickException(f"{refused}{where} Nothing is changed.") from refused
    _show(made.clips, made.pictures, made, form)
    if form == "table":
        echo("Nothing is changed: this was a dry run." if dry_run else "The clips are queued; see: madvision status.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.argument("videos", metavar="[VIDEO]...", nargs=-1)
@told_plainly
def labels(file: Path, videos: Sequence[str]) -> None:
    """Write what editors made of the clips into FILE, as a set that `madvision evaluate` reads; - is standard output.

    Each talk has its edits besides: what was proposed, and what a person made of it. Without a VIDEO all are taken
    that somebody has edited.
    """
    from madvision_assets.tools.database.newest import edited_videos

    workplace = Workplace(load_settings())
    chosen = [video_id_of(workplace, each) for each in videos] or edited_videos(workplace.database)
    talks = [_label(workplace, each) for each in chosen]
    if not talks:
        raise click.ClickException("Nobody has edited clips yet, so nothing is written. See: madvision edit --help.")
    text = json.dumps(talks, ensure_ascii=False, indent=1) + "\n"
    if str(file) == "-":
        sys.stdout.write(text)
        return
    file.write_text(text, encoding="utf-8")
    echo(f"{len(talks)} edited {'video' if len(talks) == 1 else 'videos'}: {file}")


def user() -> str:
    """Who types, as far as the system knows; a container may know nobody."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _label(workplace: Workplace, video_id: str) -> Json:
    from madvision_assets.evaluation.labels import label_of
    from madvision_assets.tools.database.newest import about_videos
    from madvision_assets.work.editing import Editable

    found = Editable.read(workplace.store, video_id)
    about = about_videos(workplace.database, [video_id]).get(video_id)
    return label_of(found.chosen, found.said, found.raw.source.title, (about.kind if about else None) or "")


def _asked(asked: dict[str, Any]) -> list[Edit]:
    """The changes that the options ask for."""
    told = [*_told(asked)]
    try:
        listed = _EDITS.validate_json(asked["file"].read()) if asked["file"] else []
        return [*listed, *_EDITS.validate_python(told), *_pictures(asked)]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise click.BadParameter(
            f"{place}: {first['msg'].removeprefix('Value error, ')}. It takes a list such as "
            '[{"change": "trim", "clip": 2, "start_s": 62.5}].',
            param_hint="--file",
        ) from error


def _told(asked: dict[str, Any]) -> Iterator[Json]:
    for text in asked["trims"]:
        clip, _, span = text.partition("=")
        yield {"change": "trim", "clip": _number(clip, "--trim"), **_span(span, "--trim")}
    for text in asked["titles"]:
        clip, _, title = text.partition("=")
        yield {"change": "retitle", "clip": _number(clip, "--retitle"), "title": title}
    for clip in asked["drops"]:
        yield {"change": "drop", "clip": clip}
    for text in asked["adds"]:
        span, _, title = text.partition("=")
        found = _span(span, "--add")
        if len(found) < 2:  # noqa: PLR2004 - a beginning and an end
            raise click.BadParameter("Give where the clip begins and ends: FROM-TO.", param_hint="--add")
        yield {"change": "add", **found, "title": title}


def _pictures(asked: dict[str, Any]) -> Iterator[ChoosePictures]:
    """What is asked of the pictures.

    Raises:
        click.BadParameter: there is no such shape or style; says which there are.
    """
    told: Json = {}
    if asked["renditions"] is not None:
        told["renditions"] = [] if asked["renditions"].strip().lower() == NONE else asked["renditions"].split(",")
    if asked["captions"] is not None:
        told["captions"] = None if asked["captions"].strip().lower() == NONE else asked["captions"]
    if not told:
        return
    try:
        yield ChoosePictures.model_validate({"change": "pictures", **told})
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ").removesuffix(", or leave it out")
        raise click.BadParameter(
            f"{said[:1].upper()}{said[1:]}, or {NONE}.", param_hint=f"--{first['loc'][0]}"
        ) from error


def _number(text: str, option: str) -> int:
    if not text.strip().isdecimal() or not int(text):
        raise click.BadParameter("Begin with the number of a clip: N=…", param_hint=option)
    return int(text)


def _span(text: str, option: str) -> dict[str, float]:
    """The points that are given, seconds."""
    start, dash, end = text.partition("-")
    if not dash or not (start.strip() or end.strip()):
        raise click.BadParameter(
            "Give points as FROM-TO, such as 1:02.5-1:40; for a trim one suffices.", param_hint=option
        )
    try:
        points = {"start_s": start, "end_s": end}
        return {name: seconds_of(point) for name, point in points.items() if point.strip()}
    except ValueError as error:
        raise click.BadParameter(f"{text}: {error}.", param_hint=option) from error


def _show(
    clips: ClipCandidates,
    pictures: PictureOptions,
    made: "Edited | None",
    form: str,
    words: list[list[Any]] | None = None,
) -> None:
    """The clips as they are, or as they are to be, and what of them is rendered."""
    version = clips.provenance.data_version if clips.provenance else None
    new, dropped = (pictures.beyond(made.before), pictures.without(made.before)) if made else ((), ())
    if form == "json":
        told: Json = {"version": version, "clips": [each.model_dump(mode="json") for each in clips.candidates]}
        told |= {"renditions": pictures.renditions, "captions": pictures.captions}
        told |= {"words": words} if words is not None else {}
        told |= {"to_render": made.to_render, "new_renditions": new, "dropped_renditions": dropped} if made else {}
        echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    table = Table(title=Text(f"Clips of {clips.video_id}"), caption=Text(f"version {version}") if version else None)
    for name in ("#", "From-to", "Title", *(["Pictures"] if made else [])):
        table.add_column(name, no_wrap=name == "From-to")
    for each in clips.candidates:
        row = [str(each.rank), f"{timecode(each.start_s)}-{timecode(each.end_s)}", each.title]
        row += ["rendered" if each.rank in made.to_render else "stay"] if made else []
        table.add_row(*map(Text, row))
    make_console().print(table)
    for what, names in (
        ("Pictures of each beside the source's", tuple(pictures.files)),
        ("Rendered of every clip", new),
        ("Not delivered any more", dropped),
    ):
        if names:
            echo(f"{what}: {', '.join(names)}.")
