"""What is measured of every unit of a talk, so that stretches of it can be compared.

Everything is a count that adds up over units and is compared per word, so that it does not matter whether an engine
gives short or long segments. None of it knows a show, a name or a subject.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log, log1p

from madvision_assets.domain.timeline import Unit
from madvision_assets.domain.wording import content_stems, ends_sentence, is_question, words_of
from madvision_assets.tools.analyst.lexicon import CATEGORIES, language_of, lexicon_of

# Counts beside those of the lexicon's categories.
FORMS = (
    "rare",  # stems, each weighed by how few units have it
    "fresh",  # stems that were not said before
    "central",  # stems, each weighed by how often the talk says it
    "content",  # words that carry a topic
    "letters",  # of all words
    "titled",  # stems that the title has, weighed like ``rare``
    "questions",
    "ends",  # of sentences
    "commas",
    "digits",
    "quoted",
    "names",  # words with a capital inside of a sentence
    "scraps",  # units of hardly a word
    "main",  # words of whoever speaks most
)
COUNTS = (*CATEGORIES, *FORMS)
SCRAP_WORDS = 3
_PUNCTUATED_SHARE = 0.3  # of units that end a sentence, from which a text counts as punctuated


@dataclass(frozen=True)
class TalkFeatures:
    """A talk in counts.

    Attributes:
        words: of each unit.
        stems: of each unit those that carry a topic.
        counts: for each unit its counts in the order of ``COUNTS``.
        language: ISO 639-1; empty where it is not known.
        known: the counts that mean something in this talk: without punctuation nothing is known of questions.
    """

    words: Sequence[Sequence[str]]
    stems: Sequence[Sequence[str]]
    counts: Sequence[Sequence[float]]
    language: str
    known: frozenset[str]

    @cached_property
    def units_with(self) -> Counter[str]:
        """In how many units each stem is said."""
        return Counter(stem for unit in self.stems for stem in set(unit))

    @cached_property
    def usual(self) -> Sequence[float]:
        """Each count per word of the whole talk, in the order of ``COUNTS``."""
        words = sum(map(len, self.words)) or 1
        return [sum(column) / words for column in zip(*self.counts, strict=True)] or [0.0] * len(COUNTS)


def features_of(units: Sequence[Unit], speakers: Sequence[str], language: str, title: str) -> TalkFeatures:
    """Count everything once.

    Args:
        units: of the timeline.
        speakers: of each unit; empty where nobody knows.
        language: as the transcript has it; may be empty.
        title: of the video; may be empty.
    """
    words = [words_of(unit.text) for unit in units]
    language = language_of(language, words)
    stems = [content_stems(unit, language) for unit in words]
    lexicon = lexicon_of(language)
    forms = _Forms(stems, set(content_stems(words_of(title), language)), speakers, words)
    nothing = [0.0] * len(CATEGORIES)
    counts = [
        [*(lexicon.counts(words[at]) if lexicon else nothing), *forms.of(at, unit.text, words[at])]
        for at, unit in enumerate(units)
    ]
    return TalkFeatures(
        words, stems, counts, language, _known(units, lexicon.told if lexicon else frozenset(), bool(title), speakers)
    )


def _known(units: Sequence[Unit], told: frozenset[str], has_title: bool, speakers: Sequence[str]) -> frozenset[str]:
    """What can be told of this talk."""
    unknown = set(CATEGORIES) - told
    ended = sum(ends_sentence(unit.text) for unit in units)
    if ended < _PUNCTUATED_SHARE * len(units):
        unknown |= {"ends", "commas", "quoted", "names"}
    if not has_title:
        unknown.add("titled")
    if len(set(filter(None, speakers))) < 2:  # noqa: PLR2004 - one alone says all
        unknown.add("main")
    return frozenset(COUNTS) - unknown


class _Forms:
    """Counts that need the whole talk."""

    def __init__(
        self, stems: Sequence[Sequence[str]], title: set[str], speakers: Sequence[str], words: Sequence[Sequence[str]]
    ) -> None:
        self._stems, self._title, self._speakers = stems, title, speakers
        said = Counter(stem for unit in stems for stem in set(unit))
        self._most = log1p(len(stems)) or 1.0
        self._rarity = {stem: (self._most - log(count)) / self._most for stem, count in said.items()}
        self._weight = {stem: log1p(count) for stem, count in said.items()}
        self._before: set[str] = set()
        spoken: Counter[str] = Counter()
        for speaker, unit in zip(speakers, words, strict=False):
            spoken[speaker] += len(unit)
        self._main = spoken.most_common(1)[0][0] if spoken else ""

    def of(self, at: int, text: str, words: Sequence[str]) -> list[float]:
        """The counts of a unit, in the order of ``FORMS``; units are asked for in order."""
        own = set(self._stems[at])
        fresh = len(own - self._before)
        self._before |= own
        raw = text.split()
        return [
            sum(self._rarity[stem] for stem in own),
            fresh,
            sum(self._weight[stem] for stem in own),
            len(self._stems[at]),
            sum(map(len, words)),
            sum(self._rarity[stem] for stem in own & self._title),
            is_question(text),
            ends_sentence(text),
            text.count(","),
            sum(word[:1].isdigit() for word in words),
            '"' in text or "\u201c" in text,
            sum(word[:1].isupper() and len(word) > 1 for word in raw[1:]),
            len(words) <= SCRAP_WORDS,
            len(words) if self._speakers and self._speakers[at] == self._main else 0,
        ]
