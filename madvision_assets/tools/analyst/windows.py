"""How much of a transcript is read at once: all of it where it fits, else windows that overlap."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import ceil

from madvision_assets.domain.transcript import Segment

OVERLAP_S = 60.0


def windows_of(
    segments: Sequence[Segment], most_tokens: int, tokens_of: Callable[[Segment], int]
) -> list[Sequence[Segment]]:
    """Windows of about the same size, each of which begins about a minute before the last one ends.

    Segments keep their IDs, whichever window they are read in.

    Args:
        segments: of a transcript, in time order.
        most_tokens: a window has no more, unless a single segment has.
        tokens_of: how many a segment is.
    """
    sums = list(accumulate(map(tokens_of, segments), initial=0))
    if sums[-1] <= most_tokens:
        return [segments]
    # What overlaps is read twice, and must fit too.
    per_second = sums[-1] / max(1.0, segments[-1].end_s - segments[0].start_s)
    room = max(1.0, most_tokens - min(OVERLAP_S * per_second, most_tokens / 4))
    count = ceil(sums[-1] / room)
    windows: list[Sequence[Segment]] = []
    begin = 0
    while begin < len(segments):
        share = (sums[-1] - sums[begin]) / max(1, count - len(windows))
        end = max(begin + 1, bisect_right(sums, sums[begin] + min(room, share)) - 1)
        first = _earlier(segments, begin, sums, most_tokens - (sums[end] - sums[begin]))
        windows.append(segments[first:end])
        begin = end
    return windows


def halves(window: Sequence[Segment]) -> tuple[Sequence[Segment], Sequence[Segment]]:
    """Both halves of a window of two segments or more."""
    middle = len(window) // 2
    return window[:middle], window[middle:]


def _earlier(segments: Sequence[Segment], begin: int, sums: Sequence[int], room: int) -> int:
    """Where a window begins that repeats about a minute of the one before it, and no more than there is room for."""
    from_s = segments[begin].start_s - OVERLAP_S
    first = begin
    while first and segments[first - 1].start_s >= from_s and sums[begin] - sums[first - 1] <= room:
        first -= 1
    return first


def spread_sample(segments: Sequence[Segment], runs: int, run_length: int) -> Sequence[Segment]:
    """Runs of neighbouring segments, spread evenly over the whole; all of it where it is no longer than they are."""
    if len(segments) <= runs * run_length:
        return segments
    starts = (n * (len(segments) - run_length) // (runs - 1) for n in range(runs))
    return [segment for start in starts for segment in segments[start : start + run_length]]
