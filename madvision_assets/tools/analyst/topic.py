"""Where something is said about a topic that was asked for, told by its words alone."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import ceil

from madvision_assets.domain.quotes import UNSPACED
from madvision_assets.domain.timeline import Span
from madvision_assets.domain.wording import content_stems, has_form_of, letters, words_of

# Of the words of a topic so many are said where it is spoken of.
SAID_SHARE = 0.5


class Topic:
    """See the module.

    Args:
        topic: as asked for; empty for everything.
        texts: what is said, unit by unit.
        language: that is spoken, ISO 639-1.
    """

    def __init__(self, topic: str, texts: Sequence[str], language: str) -> None:
        said = list(_said(topic, texts, language))
        self._needed = ceil(SAID_SHARE * len(said))
        self._sums = [list(accumulate(each, initial=0)) for each in said]

    def is_in(self, span: Span) -> bool:
        """Whether it is spoken of in a span."""
        return sum(sums[span.last + 1] > sums[span.first] for sums in self._sums) >= self._needed


def _said(topic: str, texts: Sequence[str], language: str) -> Iterator[list[bool]]:
    """For each word of the topic, in which units it is said, in whatever form."""
    if UNSPACED.search(topic):
        yield [letters(topic) in letters(text) for text in texts]
        return
    words = words_of(topic)
    stems = [frozenset(content_stems(words_of(text), language)) for text in texts]
    wanted = dict.fromkeys(content_stems(words, language))
    for each in wanted:
        yield [has_form_of(each, here) for here in stems]
    if not wanted and words:  # of nothing but function words: as it is written
        yield [words in _runs(words_of(text), len(words)) for text in texts]


def _runs(words: Sequence[str], length: int) -> list[list[str]]:
    return [list(words[at : at + length]) for at in range(len(words) - length + 1)]
