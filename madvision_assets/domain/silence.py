"""Which parts of a window an engine is given: all but the longer silences, in which it would invent and not hear."""

from collections.abc import Sequence

from madvision_assets.domain.word_times import Span

# What a Whisper hears at once: to leave out less saves nothing.
SKIP_S = 30.0
# Of a silence, so much stays beside the sound.
AIR_S = 1.0


def parts(inside: Span, audible: Sequence[Span]) -> list[Span]:
    """The stretch without silences of at least half a minute, in time order; nothing where no sound is.

    Args:
        inside: the stretch, seconds.
        audible: spans in time order, on the same clock.
    """
    start_s, end_s = inside
    groups: list[list[float]] = []
    for from_s, until_s in within(inside, audible, offset_s=0.0):
        if groups and from_s - groups[-1][1] < SKIP_S:
            groups[-1][1] = until_s
        else:
            groups.append([from_s, until_s])
    if not groups:
        return []
    first_s = start_s if groups[0][0] - start_s < SKIP_S else groups[0][0] - AIR_S
    last_s = end_s if end_s - groups[-1][1] < SKIP_S else groups[-1][1] + AIR_S
    starts = [first_s, *(from_s - AIR_S for from_s, _ in groups[1:])]
    ends = [*(until_s + AIR_S for _, until_s in groups[:-1]), last_s]
    return list(zip(starts, ends, strict=True))


def within(inside: Span, spans: Sequence[Span], offset_s: float | None = None) -> list[Span]:
    """What of spans lies in a stretch, on the clock of the stretch, or on one that is so much behind theirs."""
    start_s, end_s = inside
    off_s = start_s if offset_s is None else offset_s
    clipped = ((max(from_s, start_s), min(until_s, end_s)) for from_s, until_s in spans)
    return [(from_s - off_s, until_s - off_s) for from_s, until_s in clipped if until_s > from_s]
