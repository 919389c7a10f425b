"""One way to name a video in every command: by its ID, a token, its address or file, its page, or the ID of a clip.

Commands that take several take them from standard input too, a name a line, where ``-`` stands.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from madvision_assets.command.display import EXIT_FAILED, failure_as_json, make_console, tell
from madvision_assets.command.workplace import Workplace, identify, identify_address
from madvision_assets.domain.failures import ForgottenVideoError, InvalidAddressError, UnknownVideoError
from madvision_assets.domain.provenance import is_video_id
from madvision_assets.domain.video import uncut_id

# Of a command's help.
VIDEO = "VIDEO"
STANDARD_INPUT = "-"
COMMENT = "#"
MAX_NAMED = 5
_CLIP = re.compile(r"(?P<video>[^.]+)\.[0-9]+")
_PAGE = re.compile(r"https?://[^/]+/video/(?P<token>[\w-]+)/?")


@dataclass(frozen=True)
class Named:
    """What somebody named.

    Attributes:
        video_id: the video.
        clip_id: the clip, where one was named; whether there is such a clip was not looked at.
    """

    video_id: str
    clip_id: str | None = None


def find(workplace: Workplace, text: str, *, files: bool = True, any_cut: bool = False) -> Named:
    """The video that is meant, by the first of these that fits: ID, ID of a clip, token, page, address, file.

    Args:
        workplace: store and database.
        text: what somebody typed.
        files: look for a file of this machine; without it no file is touched.
        any_cut: of an address that is cut in several ways, of which none is the usual one, the oldest is meant.

    Raises:
        UnknownVideoError: nobody submitted such a video; a ForgottenVideoError where it was forgotten.
        click.BadParameter: an address that is cut in several ways, of which none is the usual one; names them.
    """
    named = text.strip()
    if known := _known(workplace, named):
        return Named(known)
    if (clip := _CLIP.fullmatch(named)) and (known := _known(workplace, clip["video"])):
        return Named(known, named)
    page = _PAGE.fullmatch(named)
    token = page["token"] if page else named
    found = _by_token(workplace, token) or _by_address(workplace, named, files=files, any_cut=any_cut)
    if found is None:
        raise UnknownVideoError(named[:100])
    return Named(found)


@dataclass(frozen=True)
class NotFound:
    """A name that leads to no video, the code of why, and a sentence."""

    name: str
    cause: str
    sentence: str

    def tell(self) -> None:
        """For a person."""
        tell(make_console(stderr=True), f"{self.name}:", "red", self.sentence)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {"name": self.name, **failure_as_json(self.cause, self.sentence)}


def names_of(typed: Iterable[str]) -> list[str]:
    """The names that were typed, each once, with the lines of standard input in place of ``-``.

    Lines that are empty or begin with # are passed over.
    """
    return list(dict.fromkeys(name for each in typed for name in (_lines() if each == STANDARD_INPUT else [each])))


def find_each(workplace: Workplace, typed: Iterable[str]) -> list[Named | NotFound]:
    """What is meant by each of ``names_of``, in their order; what leads nowhere does not end the others."""
    return [_found(workplace, name) for name in names_of(typed)]


def ids_of(workplace: Workplace, typed: Iterable[str], *, any_cut: bool = False) -> list[str]:
    """The IDs of the videos of ``names_of``, each once; an ID that nobody submitted is among them, as it was typed.

    Args:
        workplace: store and database.
        typed: what somebody typed.
        any_cut: as for ``find``.

    Raises:
        UnknownVideoError: a name leads nowhere, and is no ID.
        click.BadParameter: as ``find`` does.
    """
    return list(dict.fromkeys(_meant(workplace, name, any_cut=any_cut) for name in names_of(typed)))


def nothing_of(workplace: Workplace, video_ids: Sequence[str]) -> UnknownVideoError:
    """Why there is nothing of these: of a single one also that it was forgotten."""
    if len(video_ids) == 1:
        try:
            workplace.database.get_video(video_ids[0])
        except UnknownVideoError as failure:
            return failure
    return UnknownVideoError(shortly(video_ids))


def end_where_not_found(told: Iterable[object]) -> None:
    """Tell those among them that lead nowhere; ends with 1 where there is one."""
    lost = [each for each in told if isinstance(each, NotFound)]
    for each in lost:
        each.tell()
    if lost:
        sys.exit(EXIT_FAILED)


def shortly(names: Sequence[str]) -> str:
    """A few of these names, and how many more there are."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(name[:100] for name in names[:MAX_NAMED]) + more


def video_id_of(workplace: Workplace, text: str) -> str:
    """The ID of the video that is meant; raises as ``find`` does."""
    return find(workplace, text).video_id


def _lines() -> Iterator[str]:
    """Decoded one by one: a line that is no text names nothing, and is told as such."""
    for line in sys.stdin.buffer:
        name = line.decode("utf-8", "replace").lstrip("\ufeff").strip()
        if name and not name.startswith(COMMENT):
            yield name


def _found(workplace: Workplace, name: str) -> Named | NotFound:
    try:
        return find(workplace, name)
    except UnknownVideoError as failure:
        return NotFound(name[:100], failure.code, str(failure))
    except click.BadParameter as error:
        return NotFound(name[:100], "usage", error.message)


def _meant(workplace: Workplace, name: str, *, any_cut: bool) -> str:
    try:
        return find(workplace, name, any_cut=any_cut).video_id
    except UnknownVideoError:
        if is_video_id(name.strip()):
            return name.strip()
        raise


def _known(workplace: Workplace, video_id: str) -> str | None:
    """The same, where somebody submitted it.

    Raises:
        ForgottenVideoError: it was forgotten since.
    """
    try:
        return workplace.database.get_video(video_id).video_id
    except ForgottenVideoError:
        raise
    except UnknownVideoError:
        return None


def _by_token(workplace: Workplace, token: str) -> str | None:
    from madvision_assets.tools.database.submissions import Submissions

    tracked = Submissions(workplace.database).find(token)
    return tracked.row.video_id if tracked else None


def _by_address(workplace: Workplace, text: str, *, files: bool, any_cut: bool) -> str | None:
    if is_video_id(text) and not (files and Path(text).is_file()):
        return None
    try:
        uncut, address = identify(text) if files else identify_address(text)
    except (click.BadParameter, InvalidAddressError):
        return None
    cuts = workplace.database.cuts_of(uncut)
    if not cuts and (older := workplace.database.ids_at(address)):  # its ID was told by another rule then
        uncut, cuts = uncut_id(older[0]), older
    if len(cuts) > 1 and uncut not in cuts and not any_cut:
        raise click.BadParameter(f"It is cut in several ways. Name one of them: {', '.join(cuts)}", param_hint=VIDEO)
    return uncut if uncut in cuts else next(iter(cuts), None) or _known(workplace, uncut)
