"""Which stretches of an MP4 a clip needs, by its index of key frames; runs in the sandboxed child.

The index is the file's own (``stss``, ``stts``, ``ctts``, ``stsz``, ``stco``): read once for all clips of a video.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, BinaryIO

from madvision_assets.tools.media.container import choose_tracks, opened

BEFORE_S = 1.5  # the decoder's reordering, and the sound's way into its filters
AFTER_S = 2.0
HEAD_S = 2.0  # whoever opens a file decodes some of its beginning
HEAD_BYTES = 4 * 1024 * 1024
# What lies between, such as another sound, is fetched along where that saves requests and costs little.
GAP_BYTES = 256 * 1024
MORE_SHARE = 0.3

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


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same bytes in few stretches, in order, with what lies between them where it is little."""
    exact: list[Stretch] = []
    for begin, end in sorted(stretches):
        if exact and begin <= exact[-1][1]:
            exact[-1] = exact[-1][0], max(end, exact[-1][1])
        else:
            exact.append((begin, end))
    to_spare = MORE_SHARE * sum(end - begin for begin, end in exact)
    gaps = sorted((after[0] - before[1], number) for number, (before, after) in enumerate(pairwise(exact), start=1))
    closed = set()
    for gap, number in gaps:  # the smallest first: those save the most requests
        to_spare -= gap
        if to_spare < 0 or gap > GAP_BYTES:
            break
        closed.add(number)
    made: list[Stretch] = []
    for number, (begin, end) in enumerate(exact):
        if number in closed:
            made[-1] = made[-1][0], end
        else:
            made.append((begin, end))
    return made
