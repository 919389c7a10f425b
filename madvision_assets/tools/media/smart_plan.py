"""Which frames of a clip are copied as they are coded, and which are coded anew; runs in the sandboxed child."""

from collections.abc import Sequence
from dataclasses import dataclass

from madvision_assets.tools.media.mp4 import Piece

MIN_COPIED_SHARE = 0.25  # below, coding the whole of it anew costs about as much, and is simpler
MIN_COPIED_FRAMES = 2


class Doubt(Exception):  # noqa: N818 - no error: the clip is coded anew then
    """Why a clip cannot be cut by copying."""


@dataclass(frozen=True)
class Coded:
    """A frame as it lies in the source, in decoding order.

    Attributes:
        index: of the clip's frame that it is; negative before the clip's start.
        position: in the file, bytes.
        pieces: what of it is copied.
        size: of these, bytes.
        is_key: whether decoding may begin with it.
        is_clean: whether nothing after it refers to anything before it, but for frames shown before it.
        ticks: when it is decoded, by the track's clock.
        sha256: of what is copied.
    """

    index: int
    position: int
    pieces: tuple[Piece, ...]
    size: int
    is_key: bool
    is_clean: bool
    ticks: int = 0
    sha256: bytes = b""


@dataclass(frozen=True)
class Looked:
    """What was seen in a frame's units.

    Attributes:
        is_clean: whether copying may begin with it, if it is a key frame.
        pieces: what of it goes into a clip, counted from its first byte.
    """

    is_clean: bool
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Parts:
    """How a clip is put together: frames of before ``head`` anew, ``copied`` in decoding order, anew from ``tail``.

    Attributes:
        head: index of the first copied frame.
        copied: the frames that are copied.
        tail: index of the first frame after them.
        head_from: place, in the source's decoding order, of the key frame that the head is decoded from.
        tail_from: likewise for the tail, and for looking at the end.
    """

    head: int
    copied: tuple[Coded, ...]
    tail: int
    head_from: int
    tail_from: int


def parts(coded: Sequence[Coded], frames: int) -> Parts:
    """The parts with the most frames copied.

    Args:
        coded: of the source in decoding order, from a key frame at or before the clip's start.
        frames: how many the clip has.

    Raises:
        Doubt: a frame is missing or there twice, or too little can be copied.
    """
    shown = sorted(each.index for each in coded if 0 <= each.index < frames)
    if shown != list(range(len(shown))) or not shown:
        raise Doubt("the source's frames are not one by one on the clip's grid")
    first = next((n for n, each in enumerate(coded) if each.is_clean and each.index >= 0), None)
    if first is None or coded[first].index >= frames:
        raise Doubt("no group of pictures begins inside")
    head = coded[first].index
    copied: list[Coded] = []
    taken, last = 0, head - 1
    for each in coded[first:]:
        if each.index < head:
            continue  # shown before the key frame, which the head has anew
        copied.append(each)
        last = max(last, each.index)
        if last >= frames:
            break
        if last - head + 1 == len(copied):  # all that is shown before is here: it may end here
            taken = len(copied)
    if taken < max(MIN_COPIED_FRAMES, MIN_COPIED_SHARE * frames):
        raise Doubt("hardly a whole group of pictures lies inside")
    tail = head + taken
    return Parts(head, tuple(copied[:taken]), tail, _key_before(coded, 0), _key_before(coded, tail - 1))


def _key_before(coded: Sequence[Coded], index: int) -> int:
    found = [n for n, each in enumerate(coded) if each.is_key and each.index <= index]
    if not found:
        raise Doubt("no key frame lies before the start")
    return max(found, key=lambda n: coded[n].index)
