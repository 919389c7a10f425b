"""How much of a transcript is read at once: all of it where it fits, else windows that overlap."""

from collections.abc import Sequence

from madvision_assets.domain.transcript import Segment

# An English token is about four bytes; other scripts take more bytes and more tokens alike.
BYTES_PER_TOKEN = 4
WINDOW_S = 20 * 60.0
OVERLAP_S = 60.0


def estimated_tokens(text: str) -> int:
    """About how many tokens a text is."""
    return len(text.encode()) // BYTES_PER_TOKEN + 1


def windows_of(segments: Sequence[Segment]) -> list[Sequence[Segment]]:
    """Windows of about 20 minutes, each of which begins about a minute before the last one ends.

    Segments keep their IDs, whichever window they are read in.
    """
    windows: list[Sequence[Segment]] = []
    first = 0
    while first < len(segments):
        end_s = segments[first].start_s + WINDOW_S
        after = next((n for n in range(first, len(segments)) if segments[n].end_s > end_s), len(segments))
        after = max(after, first + 1)
        windows.append(segments[first:after])
        if after == len(segments):
            break
        overlap_from_s = segments[after - 1].end_s - OVERLAP_S
        first = next(n for n in range(first + 1, after + 1) if n == after or segments[n].start_s >= overlap_from_s)
    return windows


def spread_sample(segments: Sequence[Segment], runs: int, run_length: int) -> Sequence[Segment]:
    """Runs of neighbouring segments, spread evenly over the whole; all of it where it is no longer than they are."""
    if len(segments) <= runs * run_length:
        return segments
    starts = (n * (len(segments) - run_length) // (runs - 1) for n in range(runs))
    return [segment for start in starts for segment in segments[start : start + run_length]]
