"""Shaping: the pictures of a clip in other shapes, and with captions, as a submission or an editor asks for them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

from madvision_assets.domain.clips import Role
from madvision_assets.domain.faces import Seen
from madvision_assets.domain.failure_records import to_text
from madvision_assets.domain.failures import BadClipError, Failure, MediaToolError, PermanentFailure
from madvision_assets.domain.framing import Framing
from madvision_assets.domain.reframing import faces_shown, framing
from madvision_assets.domain.renditions import PictureOptions, Shape
from madvision_assets.domain.tracks import Colour
from madvision_assets.domain.transcript import Word
from madvision_assets.tools.media import apart, burn, faces, loudness, reframe

# What speaks against this rendition alone; what is everybody's, such as a full disk, ends the stage.
OF_ONE = (PermanentFailure, MediaToolError, BadClipError)
# What may be the moment's fault, such as a tool that a busy machine kept waiting.
PASSING = (MediaToolError, BadClipError)
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Finished:
    """A finished clip.

    Attributes:
        clip_id: its ID, with which the files' names begin.
        path: its video.
        fps: frames per second.
        words: in seconds from its start, as ``domain.captions.words_of_clip`` gives them.
    """

    clip_id: str
    path: Path
    fps: Fraction
    words: Sequence[Word]


@dataclass
class Shaped:
    """What came of a clip's shapes.

    Attributes:
        paths: the files that were made.
        framings: what each shape shows, by its name.
        failed: why a file was not made, by its role.
    """

    paths: dict[Role, Path] = field(default_factory=dict)
    framings: dict[str, Framing] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Known:
    """What is found out once for all shapes of a clip."""

    clip: Finished
    seen: Seen
    colour: Colour
    levelling: loudness.Levelling


def twice(work: Callable[[], _Made]) -> _Made:
    """What comes of a piece of work, which is tried once more after what may be the moment's fault."""
    try:
        return work()
    except PASSING:
        return work()


def shape(
    clip: Finished,
    options: PictureOptions,
    folder: Path,
    tell: Callable[[float], None],
    but: Collection[str] = (),
) -> Shaped:
    """Makes all pictures that are asked for; one that cannot be made leaves the others, and says why.

    Args:
        clip: the finished clip.
        options: what is asked for.
        folder: scratch, and where the files are made.
        tell: is told the share done.
        but: those of these roles are there already.

    Raises:
        Failure: what is not this clip's fault, such as a full disk.
    """
    shaped = Shaped()
    roles = {each: [Role(name) for name in _names(each) if name in options.files and name not in but] for each in Shape}
    wanted = {each: files for each, files in roles.items() if files}
    if not wanted:
        return shaped
    with apart.one_child():
        try:
            seen, colour = twice(lambda: faces.look(clip.path))
            known = _Known(clip, seen, colour, twice(lambda: loudness.levelling(clip.path, folder)))
        except OF_ONE as failure:
            _note(shaped, [role for files in wanted.values() for role in files], failure)
            return shaped
        for number, (each, files) in enumerate(wanted.items()):
            try:
                twice(partial(_one, shaped, known, each, files, options, folder))
            except OF_ONE as failure:
                _note(shaped, files, failure)
            tell((number + 1) / len(wanted))
    return shaped


def _one(
    shaped: Shaped, known: _Known, wanted: Shape, files: Sequence[Role], options: PictureOptions, folder: Path
) -> None:
    clip, framed = known.clip, framing(known.seen, wanted)
    paths = {role: folder / f"{clip.clip_id}.{role.suffix}" for role in files}
    clean, captioned = paths.get(Role(wanted.value)), paths.get(Role(wanted.captioned))
    burnt = None
    if options.captions and captioned:
        clip_s = known.seen.frames / float(clip.fps)
        shown = faces_shown(known.seen, framed)
        burnt = burn.captions(clip.words, clip_s, options.captions, wanted, framed.finished, shown)
    pictures = reframe.Pictures(
        clip.path, framed, float(clip.fps), known.colour, known.levelling, burnt, clean, captioned
    )  # fmt: skip
    try:
        reframe.make(pictures, folder)
        for path in paths.values():
            reframe.check(path, pictures)
    except Failure:
        for path in paths.values():
            path.unlink(missing_ok=True)
        raise
    shaped.paths |= paths
    if wanted is not Shape.SOURCE:
        shaped.framings[wanted.value] = framed


def _names(shape: Shape) -> tuple[str, str]:
    """The files that a shape can have: its clean one, which the source's own has already, and that with captions."""
    return shape.value, shape.captioned


def _note(shaped: Shaped, files: Sequence[Role], failure: Failure) -> None:
    shaped.failed |= dict.fromkeys((role.value for role in files), to_text(failure))
