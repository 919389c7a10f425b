"""Quotes: what is said word for word, found in a transcript whole words at a time and given back as it stands there."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.wording import ends_sentence, letters

# Fewer words prove nothing, unless they are all of a sentence.
MIN_QUOTE_WORDS = 4
# A number is one word: "5 million" is not what "3.5 million" says.
_WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+(?:['\u2019][^\W_]+)*")
_MARKS = str.maketrans("", "", "'.,:")
# Scripts that put no space between words: each letter of theirs counts as one.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class Found:
    """A quote where it is said.

    Attributes:
        first: position of the text that it begins in.
        last: of the one that it ends in, inclusive.
        text: as it is said there, with its punctuation.
        words: how many.
        is_sentence: whether it begins and ends where a sentence does.
    """

    first: int
    last: int
    text: str
    words: int
    is_sentence: bool

    @property
    def proves(self) -> bool:
        """Whether it is long enough to prove where it was taken from."""
        return self.words >= MIN_QUOTE_WORDS or self.is_sentence


class _Word(NamedTuple):
    at: int
    start: int
    end: int
    letters: str


class SaidWords:
    """All that is said, word by word.

    Args:
        texts: what is said, in order.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._words = [word for at, text in enumerate(texts) for word in _words(at, text)]
        self._offsets = list(accumulate((len(word.letters) for word in self._words), initial=0))
        self._letters = "".join(word.letters for word in self._words)
        self._firsts = [word.at for word in self._words]

    def find(self, quote: str, first: int, last: int) -> Found | None:
        """The quote in the texts from ``first`` to ``last``, both inclusive; None where it is not said there.

        Letter by letter, whatever case, spacing and punctuation are, and on the edges of words.
        """
        wanted = letters(quote)
        begin = self._offsets[bisect_left(self._firsts, first)]
        end = self._offsets[bisect_left(self._firsts, last + 1)]
        at = self._letters.find(wanted, begin, end) if wanted else -1
        while at >= 0:
            one, other = bisect_left(self._offsets, at), bisect_left(self._offsets, at + len(wanted))
            if self._offsets[one] == at and self._offsets[other] == at + len(wanted):
                return self._found(one, other)
            at = self._letters.find(wanted, at + 1, end)
        return None

    def _found(self, one: int, other: int) -> Found:
        """The words from ``one`` on, before ``other``."""
        first, last = self._words[one], self._words[other - 1]
        end = _closed(self._texts[last.at], last.end)
        if first.at == last.at:
            parts = [self._texts[first.at][first.start : end]]
        else:
            parts = [
                self._texts[first.at][first.start :],
                *self._texts[first.at + 1 : last.at],
                self._texts[last.at][:end],
            ]
        before, after = self._texts[first.at][: first.start].strip(), self._texts[last.at][end:].strip()
        text = cleaned(" ".join(parts))
        is_sentence = (not before or ends_sentence(before)) and (not after or ends_sentence(text))
        return Found(first.at, last.at, text, other - one, is_sentence)


def _words(at: int, text: str) -> Iterator[_Word]:
    if text.isascii():  # as most are, and far quicker
        for match in _WORD.finditer(text):
            yield _Word(at, match.start(), match.end(), match.group().translate(_MARKS).lower())
        return
    for match in _WORD.finditer(text):
        if not UNSPACED.search(match.group()):
            yield _Word(at, match.start(), match.end(), letters(match.group()))
            continue
        for position in range(match.start(), match.end()):
            yield _Word(at, position, position + 1, letters(text[position]))


def _closed(text: str, end: int) -> int:
    """The end of a word with the punctuation that follows it."""
    while end < len(text) and not text[end].isspace() and unicodedata.category(text[end])[0] in "PS":
        end += 1
    return end
