"""When words are said. Engines read that off attention, which reaches into pauses and comes late behind them.

The sound knows better: beside a pause, a word begins where the sound does and ends where it ends.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf, isfinite

from madvision_assets.domain.heard import HeardWord

Span = tuple[float, float]

MIN_WORD_S = 0.02
# Engines lay words a little beside their stretch, and no further.
OUTSIDE_S = 1.0
# How near to the edge of a word a pause begins or ends that it is moved to; engines are seldom further off.
REACH_S = 0.5
# What stays of a word whose edge is moved, and how much of a pause lies so near, at least.
LEFT_S, LEAST_PAUSE_S = 0.04, 0.1


def within(heard: Sequence[HeardWord], span: Span) -> list[HeardWord]:
    """The words, those that lie far outside their stretch brought beside the word before them.

    One such time would push all words behind it there. Where most words lie outside, it is the stretch that is wrong.
    """
    low, high = span[0] - OUTSIDE_S, span[1] + OUTSIDE_S
    outside = sum(not low <= each <= high for word in heard for each in (word.start_s, word.end_s))
    if outside > len(heard) and all(isfinite(each) for word in heard for each in (word.start_s, word.end_s)):
        return list(heard)
    words: list[HeardWord] = []
    for word in heard:
        start_s = word.start_s if low <= word.start_s <= high else words[-1].end_s if words else span[0]
        words.append(replace(word, start_s=start_s, end_s=word.end_s if low <= word.end_s <= high else start_s))
    return words


def rising(heard: Iterable[HeardWord]) -> tuple[HeardWord, ...]:
    """The words that say something, with rising times, each of some length."""
    words: list[HeardWord] = []
    for item in heard:
        if item.text.strip():
            start_s = max(item.start_s, words[-1].end_s if words else 0.0)
            words.append(replace(item, start_s=start_s, end_s=max(item.end_s, start_s + MIN_WORD_S)))
    return tuple(words)


def on_sound(words: tuple[HeardWord, ...], audible: Sequence[Span]) -> tuple[HeardWord, ...]:
    """The words of a stretch, the first not starting and the last not ending in the silence beside them."""
    words = _out_of_silence_before(words, audible)
    mirrored = [(-end_s, -start_s) for start_s, end_s in reversed(audible)]
    return _mirrored(_out_of_silence_before(_mirrored(words), mirrored))


def into_sound(words: tuple[HeardWord, ...], audible: Sequence[Span]) -> tuple[HeardWord, ...]:
    """The words of a stretch, none between two others lying wholly in a silence: it is moved to the nearer sound.

    Args:
        words: in time order, not overlapping.
        audible: spans in time order, on the same clock.
    """
    placed = list(words)
    starts = [start_s for start_s, _ in audible]
    for at in range(1, len(placed) - 1):
        before, word, after = placed[at - 1 : at + 2]
        nearest = bisect_right(starts, word.start_s)
        if not 0 < nearest < len(audible) or audible[nearest - 1][1] > word.start_s or starts[nearest] < word.end_s:
            continue  # some of it is in sound, or nothing is on one of its sides
        ended_s, onset_s = audible[nearest - 1][1], audible[nearest][0]
        if word.start_s - ended_s <= onset_s - word.end_s:
            before, word = _at_end(before, word, ended_s)
        else:
            after, word = map(_turned, _at_end(_turned(after), _turned(word), -onset_s))
        if before.end_s <= word.start_s and word.end_s <= after.start_s:
            placed[at - 1 : at + 2] = before, word, after
    return tuple(placed)


def _at_end(before: HeardWord, word: HeardWord, ended_s: float) -> tuple[HeardWord, HeardWord]:
    """Two words, the second at the end of a sound; where the first takes all of that, it gives a little of it."""
    start_s = max(before.end_s, ended_s - max(LEFT_S, word.end_s - word.start_s))
    if ended_s - start_s < LEFT_S:
        start_s = max(before.start_s + MIN_WORD_S, ended_s - LEFT_S)
        before = replace(before, end_s=min(before.end_s, start_s))
    return before, replace(word, start_s=start_s, end_s=max(ended_s, start_s + MIN_WORD_S))


def between_pauses(words: Sequence[HeardWord], pauses: Sequence[Span]) -> tuple[HeardWord, ...]:
    """The words with their edges moved to those of the pauses that they lie beside.

    Args:
        words: in time order, not overlapping.
        pauses: quiet spans in time order, on the same clock.
    """
    if not words:
        return ()
    edges = [[word.start_s, word.end_s] for word in words]
    quiet_from, quiet_until = [start_s for start_s, _ in pauses], [end_s for _, end_s in pauses]
    # Before the first word and behind the last there is nobody whose time could be taken.
    around = [[-inf, edges[0][0]], *edges, [edges[-1][1], inf]]
    for before, after in pairwise(around):
        low, high = before[1] - REACH_S, after[0] + REACH_S
        near = pauses[bisect_right(quiet_until, low) : bisect_left(quiet_from, high)]
        # One that begins before the word before it, or ends behind the word after it, lies on the other side of that.
        between = [span for span in near if before[0] + LEFT_S <= span[0] and span[1] <= after[1] - LEFT_S]
        pause = max(between, key=lambda span: overlap_s(span, [(low, high)]), default=None)
        if pause is not None and overlap_s(pause, [(low, high)]) >= LEAST_PAUSE_S:
            before[1], after[0] = pause
    return tuple(
        replace(word, start_s=start_s, end_s=end_s) for word, (start_s, end_s) in zip(words, edges, strict=True)
    )


def overlap_s(span: Span, others: Iterable[Span]) -> float:
    """Seconds of ``span`` that lie in ``others`` (which do not overlap each other)."""
    return sum(max(0.0, min(span[1], end) - max(span[0], start)) for start, end in others)


def united(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What lies in spans of either kind, in time order, not overlapping."""
    out: list[Span] = []
    for start_s, end_s in sorted([*some, *others]):
        if out and start_s <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end_s)
        else:
            out.append((start_s, end_s))
    return out


def _mirrored(words: tuple[HeardWord, ...]) -> tuple[HeardWord, ...]:
    """The words as they are heard backwards."""
    return tuple(map(_turned, reversed(words)))


def _turned(word: HeardWord) -> HeardWord:
    return replace(word, start_s=-word.end_s, end_s=-word.start_s)


def _out_of_silence_before(words: tuple[HeardWord, ...], audible: Sequence[Span]) -> tuple[HeardWord, ...]:
    """The words with those that lie in silence before the first sound laid on its beginning, as short as need be."""
    if not words:
        return ()
    ends = [end_s for _, end_s in audible]
    at = bisect_right(ends, words[0].start_s + MIN_WORD_S)
    if at == len(audible) or audible[at][0] <= words[0].start_s or audible[at][0] >= words[-1].end_s:
        return words  # it begins in sound, or no sound is near
    onset_s = audible[at][0]
    early = sum(word.end_s <= onset_s + MIN_WORD_S for word in words)  # these lie in silence as wholes
    if early > len(words) - early:
        return words  # more of it is in silence than not: likely invented
    first = words[early]
    until_s = max(first.start_s, onset_s + early * MIN_WORD_S) if early else onset_s
    until_s = min(until_s, first.end_s - MIN_WORD_S)
    step_s = (until_s - onset_s) / early if early else 0.0
    laid = tuple(
        replace(word, start_s=onset_s + n * step_s, end_s=onset_s + (n + 1) * step_s)
        for n, word in enumerate(words[:early])
    )
    return (*laid, replace(first, start_s=max(first.start_s, until_s)), *words[early + 1 :])
