"""One way to name a video in every command: by its ID, a token, its address or file, its page, or the ID of a clip."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from madvision_assets.command.workplace import Workplace, identify
from madvision_assets.domain.failures import InvalidAddressError, UnknownVideoError
from madvision_assets.domain.provenance import is_video_id

# Of a command's help.
VIDEO = "VIDEO"
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


def find(workplace: Workplace, text: str) -> Named:
    """The video that is meant, by the first of these that fits: ID, ID of a clip, token, page, address, file.

    Raises:
        UnknownVideoError: nobody submitted such a video.
        click.BadParameter: an address that is cut in several ways, of which none is the usual one; names them.
    """
    named = text.strip()
    with suppress(UnknownVideoError):
        return Named(workplace.database.get_video(named).video_id)
    if clip := _CLIP.fullmatch(named):
        with suppress(UnknownVideoError):
            return Named(workplace.database.get_video(clip["video"]).video_id, named)
    page = _PAGE.fullmatch(named)
    found = _by_token(workplace, page["token"] if page else named) or _by_address(workplace, named)
    if found is None:
        raise UnknownVideoError(named[:100])
    return Named(found)


def video_id_of(workplace: Workplace, text: str) -> str:
    """The ID of the video that is meant; raises as ``find`` does."""
    return find(workplace, text).video_id


def _by_token(workplace: Workplace, token: str) -> str | None:
    from madvision_assets.tools.database.submissions import Submissions

    tracked = Submissions(workplace.database).find(token)
    return tracked.row.video_id if tracked else None


def _by_address(workplace: Workplace, text: str) -> str | None:
    if is_video_id(text) and not Path(text).is_file():
        return None
    try:
        uncut, _ = identify(text)
    except (click.BadParameter, InvalidAddressError):
        return None
    cuts = workplace.database.cuts_of(uncut)
    if len(cuts) > 1 and uncut not in cuts:
        raise click.BadParameter(f"It is cut in several ways. Name one of them: {', '.join(cuts)}", param_hint=VIDEO)
    return uncut if uncut in cuts else next(iter(cuts), None)
