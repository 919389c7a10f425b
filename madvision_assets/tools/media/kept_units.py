"""Which bytes of a coded frame go into a clip: what its pictures need, and nothing that a camera tells beside them.

Cameras write place, time and model into every group of pictures, as supplemental enhancement information (SEI; ITU-T
H.264 and H.265, annex D), mostly as user data (``user_data_unregistered``); types of no standard may hold as much.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from madvision_assets.tools.media import nal
from madvision_assets.tools.media.mp4 import Piece

# Buffering, timing, where decoding recovers, how pictures are packed and turned, light and transfer: what players use.
NEEDED = frozenset((0, 1, 6, 45, 47, 137, 144, 147))
LONGER = 0xFF  # another byte of a type or size follows
ENDS = b"\x80"
_TO_ESCAPE = re.compile(rb"\0\0(?=[\0-\3])")


@dataclass(frozen=True)
class Form:
    """How a codec writes its units.

    Attributes:
        type_of: tells a unit's type.
        header_bytes: of a unit.
        messages: types that hold SEI.
        foreign: types that the standard leaves to whoever writes.
    """

    type_of: Callable[[bytes], int]
    header_bytes: int
    messages: frozenset[int]
    foreign: frozenset[int]


AVC = Form(nal.avc_type, 1, frozenset((nal.AVC_SEI,)), frozenset((0, *range(24, 32))))
HEVC = Form(nal.hevc_type, 2, frozenset(nal.HEVC_SEI), frozenset(range(48, 64)))


def pieces(units: Sequence[bytes], form: Form) -> tuple[Piece, ...]:
    """What is kept of a sample that consists of these units; stretches count from its beginning."""
    made: list[Piece] = []
    at = 0
    for unit in units:
        end = at + nal.LENGTH_BYTES + len(unit)
        kept = _kept(unit, form)
        last = made[-1] if made else b""
        if kept != unit:
            made += [nal.with_lengths([kept])] if kept else []
        elif isinstance(last, tuple) and last[1] == at:
            made[-1] = last[0], end
        else:
            made.append((at, end))
        at = end
    return tuple(made)


def _kept(unit: bytes, form: Form) -> bytes:
    """The unit, with no more than the messages that are needed; nothing where none is, or where it cannot be read."""
    kind = form.type_of(unit)
    if kind in form.foreign:
        return b""
    if kind not in form.messages:
        return unit
    head, body = unit[: form.header_bytes], unit[form.header_bytes :].rstrip(b"\0").replace(b"\0\0\3", b"\0\0")
    try:
        found = list(_messages(body.removesuffix(ENDS)))
    except IndexError:
        return b""
    needed = [message for kind, message in found if kind in NEEDED]
    if len(needed) == len(found):
        return unit
    return head + _TO_ESCAPE.sub(b"\0\0\3", b"".join(needed) + ENDS) if needed else b""


def _messages(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of each message.

    Raises:
        IndexError: one is cut.
    """
    at = 0
    while at < len(body):
        begin, numbers = at, []
        for _ in ("type", "size"):
            number = 0
            while body[at] == LONGER:
                number, at = number + LONGER, at + 1
            numbers.append(number + body[at])
            at += 1
        at += numbers[1]
        if at > len(body):
            raise IndexError
        yield numbers[0], body[begin:at]
