"""Edit decision list, CMX 3600: one line for each cut, in the time code of source and record, and comments.

``FROM CLIP NAME`` is what programs look the source up by; the title of a clip is a comment. ``LOC`` is how Avid and
Resolve write a mark, without a length.
"""

from collections.abc import Iterator

from madvision_assets.domain.edit_list import Edit, Mark

REEL = "AX"  # a file rather than a tape
CHANNELS = {0: "V", 1: "B"}  # picture; with one channel of sound, or with two
STEREO = "AA/V"
COLOURS = {True: "GREEN", False: "RED"}


def written(edit: Edit) -> str:
    """The list. Its form has one picture and at most two channels of sound."""
    return "\n".join(_lines(edit)) + "\n"


def _lines(edit: Edit) -> Iterator[str]:
    code = edit.rate.timecode
    yield f"TITLE: {edit.name}"
    yield f"FCM: {'DROP FRAME' if edit.rate.drops_frames else 'NON-DROP FRAME'}"
    number = 0
    waiting: list[Mark] = []  # before the first cut there is nothing that they could stand below
    for place, marks in edit.shared_out():
        if place.cut is None and not number:
            waiting += marks
            continue
        if place.cut is not None:
            number += 1
            times = " ".join(map(code, (place.cut.first, place.cut.end, place.begin, place.end)))
            yield ""
            yield f"{number:03}  {REEL:<8} {CHANNELS.get(edit.audio_channels, STEREO):<5} C        {times}"
            yield f"* FROM CLIP NAME: {edit.source_name}"
            yield f"* COMMENT: {place.cut.name}"
        for mark in (*waiting, *marks):
            yield f"* LOC: {code(mark.first)} {COLOURS[mark.taken]:<7} {mark.name}"
        waiting = []
