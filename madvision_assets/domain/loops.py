"""Loops: what an engine says again and again, since it said it before. Of each, so much is kept as a person may say.

A loop is told by its words in one form, whatever their marks, and by how well they compress, as OpenAI's own Whisper
tells one. It may lie inside a stretch, or take turns over several (A, B, A, B). What comes back minutes later is a
refrain.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.normal_form import normal_form
from madvision_assets.domain.word_alignment import letters

# Of the same words said again and again, so many are kept.
MAX_REPEATS = 3
# Further apart than that it is no loop: an engine hears at most half a minute at once.
REFRAIN_S = 60.0
# No loop is longer: two stretches of half a minute that take turns.
MAX_PERIOD = 120
# OpenAI's own limit; people who say "no, no, no, no" stay below it.
MAX_COMPRESSION = 2.4


def without_loops(heard: Sequence[HeardSegment]) -> list[HeardSegment]:
    """The stretches with each loop cut after its third time; those of which nothing is left are left out.

    Args:
        heard: in time order; all have words.
    """
    words = [word for segment in heard for word in segment.words]
    loops = list(_loops(words))
    if not loops:
        return list(heard)
    dropped = {at for first, last in loops for at in range(first, last)}
    kept: list[HeardSegment] = []
    at = 0
    for segment in heard:
        left = tuple(word for n, word in enumerate(segment.words, at) if n not in dropped)
        at += len(segment.words)
        if len(left) == len(segment.words):
            kept.append(segment)
        elif left:
            text = "".join(word.text for word in left)
            kept.append(replace(segment, text=text, start_s=left[0].start_s, end_s=left[-1].end_s, words=left))
    return kept


def _loops(words: Sequence[HeardWord]) -> Iterator[tuple[int, int]]:
    """First and last index of the words that are one time too many."""
    keys = [letters(normal_form("NFKC", word.text)) for word in words]
    at = 0
    while at < len(keys):
        period, copies = _loop_at(at, keys, words)
        if copies:
            yield at + MAX_REPEATS * period, at + copies * period
        at += max(1, copies * period)


def _loop_at(at: int, keys: Sequence[str], words: Sequence[HeardWord]) -> tuple[int, int]:
    """Of the shortest loop that begins with a word: of how many words it is, and how often it is said; else zeros."""
    for period in range(1, min(MAX_PERIOD, (len(keys) - at) // (MAX_REPEATS + 1)) + 1):
        if keys[at + period] != keys[at]:
            continue
        end = at + period
        while end < len(keys) and keys[end] == keys[end - period] and _is_near(words[end - 1], words[end]):
            end += 1
        copies = (end - at) // period
        if copies > MAX_REPEATS and compression(keys[at : at + copies * period]) > MAX_COMPRESSION:
            return period, copies
    return 0, 0


def _is_near(before: HeardWord, after: HeardWord) -> bool:
    return after.start_s - before.end_s < REFRAIN_S


def compression(keys: Sequence[str]) -> float:
    """How many times shorter a text of these words gets."""
    text = " ".join(keys).encode()
    return len(text) / len(zlib.compress(text))
