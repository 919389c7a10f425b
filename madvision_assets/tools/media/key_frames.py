"""Which stretches of an MP4 a clip needs, by its index of key frames; runs in the sandboxed child.

The index is the file's own (``stss``, ``stts``, ``ctts``, ``stsz``, ``stco``): read once for all clips of a video.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.tools.media.container import choose_tracks, opened

if TYPE_CHECKING:
    pass

BEFORE_S = 1.5  # the decoder's reordering, and the sound's way into its filters
AFTER_S = 2.0
HEAD_S = 2.0  # whoever opens a file decodes some of its beginning
HEAD_BYTES = 4 * 1024 * 1024

Stretch = tuple[int, int]


def stretches(source: BinaryIO, tracks: Sequence[int | None], spans_s: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Bytes of each span of time, from the key frame before it; the first is what opening the file takes.

    Args:
        source: an MP4 with an index.
        tracks: numbers of picture and sound; None for the first.
        spans_s: begin and end of each, seconds of the file's own clock.

    Returns:
        ``head`` and, for each span, ``spans``: lists of first byte and the byte after the last.

    Raises:
        Failure: what ``container.opened`` raises.
    """
    with opened(source) as container:
        chosen = choose_tracks(container, *tracks)
        used = [each for each in (chosen.video, chosen.audio) if each is not None]
        starts_s = [float((each.start_time or 0) * (each.time_base or 0)) for each in used]
        head = [
            each for track, at_s in zip(used, starts_s, strict=True) for each in _within(track, at_s, at_s + HEAD_S)
        ]
        spans = [
            [each for track in used for each in _within(track, begin_s - BEFORE_S, end_s + AFTER_S)]
            for begin_s, end_s in spans_s
        ]
    return {
        "head": _joined(each for each in head if each[0] < head[0][0] + HEAD_BYTES),
        "spans": [_joined(s) for s in spans],
    }


def _within(track: Any, begin_s: float, end_s: float) -> Iterator[Stretch]:
    """Where the samples of a track lie that are decoded in a span, from the last key frame before it."""
    entries, scale = track.index_entries, float(track.time_base or 1)
    number = max(0, entries.search_timestamp(round(begin_s / scale), backward=True, any_frame=False))
    while number < len(entries):
        entry = entries[number]
        yield entry.pos, entry.pos + entry.size
        if entry.timestamp * scale > end_s:
            return
        number += 1


def _joined(stretches: "Iterator[Stretch] | Sequence[Stretch]") -> list[Stretch]:
    """The same bytes in few stretches, in order."""
    made: list[Stretch] = []
    for begin, end in sorted(stretches):
        if made and begin <= made[-1][1]:
            made[-1] = made[-1][0], max(end, made[-1][1])
        else:
            made.append((begin, end))
    return made
