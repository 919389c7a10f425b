"""From the stretches that an engine gives to sentences: what a person would call one, and none of them long.

Engines cut where their windows end, in the middle of a sentence or with three in one. All later rules, and whoever
reads captions, count in sentences.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.wording import SENTENCE_MARKS

LONGEST_S = 12.0
# A pause that ends a sentence though no full stop does.
PAUSE_S = 1.5
_CLOSING = "[\"'\u201d\u201c\u2019\u2018»«\u203a\u2039)\\]」』》〉】\uff09]*$"  # quotes and brackets behind a mark
SENTENCE_END = re.compile(rf"[{SENTENCE_MARKS}]+{_CLOSING}")
# A stop behind these ends no sentence; nor does one behind a single letter.
_SHORT = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "jr.", "sr.", "e.g.", "i.e.", "z.b."})
_NUMBER = "no."  # likewise before a number alone: else somebody says no
_INITIALS = re.compile(r"^(?:[^\W\d_]\.)+$")
_CLAUSE_ENDS = re.compile(rf"[,;:\u2013—、\uff0c\uff1b\uff1a\u060c\u061b]{_CLOSING}")
# Where a long sentence is cut: a clause's end is worth as much as a pause of so many seconds.
CLAUSE_WORTH_S = 0.5


def sentences(heard: Iterable[HeardSegment]) -> list[HeardSegment]:
    """The same words in the same order, a sentence of at most about 12 s to each segment.

    Segments without times of words stay as they are.
    """
    out: list[HeardSegment] = []
    open_words: list[HeardWord] = []
    for segment in heard:
        if not segment.words:
            out += _closed(open_words)
            open_words = []
            out.append(segment)
            continue
        for word in segment.words:
            if open_words and (_is_end(open_words[-1], word) or word.start_s - open_words[-1].end_s > PAUSE_S):
                out += _closed(open_words)
                open_words = []
            open_words.append(word)
    return out + _closed(open_words)


def _is_end(word: HeardWord, after: HeardWord) -> bool:
    """Whether a sentence ends with a word."""
    text = word.text.strip()
    if not SENTENCE_END.search(text) or text.lower() in _SHORT or _INITIALS.match(text):
        return False
    first = after.text.strip()[:1]
    return not first.islower() and not (text.lower() == _NUMBER and first.isdigit())


def _closed(words: Sequence[HeardWord]) -> list[HeardSegment]:
    return [_as_segment(part) for part in _short_enough(words)] if words else []


def _short_enough(words: Sequence[HeardWord]) -> Iterator[Sequence[HeardWord]]:
    """The words, cut in two as often as need be: at the longest pause, or the end of a clause, near the middle."""
    length_s = words[-1].end_s - words[0].start_s
    if length_s <= LONGEST_S or len(words) == 1:
        yield words
        return
    middle_s = words[0].start_s + length_s / 2

    def worth(at: int) -> float:
        before, after = words[at - 1], words[at]
        clause = CLAUSE_WORTH_S if _CLAUSE_ENDS.search(before.text.strip()) else 0.0
        off_centre = abs(after.start_s - middle_s) / length_s
        return clause + max(0.0, after.start_s - before.end_s) - off_centre

    cut = max(range(1, len(words)), key=worth)
    yield from _short_enough(words[:cut])
    yield from _short_enough(words[cut:])


def _as_segment(words: Sequence[HeardWord]) -> HeardSegment:
    return HeardSegment("".join(word.text for word in words), words[0].start_s, words[-1].end_s, tuple(words))
