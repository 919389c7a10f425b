"""What is said, made searchable: words as they are compared, passages that are looked through, moments that are found.

One way to take text apart serves every database and every language, so that each finds the same.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain

from madvision_assets.domain.normal_form import normal_form
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.transcript import Segment, Transcript

MAX_QUESTION_CHARS = 500
MAX_QUESTION_WORDS = 64
# A word is compared by so many of its characters.
WORD_CHARS = 64
SENTENCE_CHARS = 2000
# Words that are asked for together lie within a passage; its row is short enough that PostgreSQL keeps it in one piece.
PASSAGE_S = 30.0
# Sentences with less than this between them are in one passage, wherever they lie.
STEP_S = PASSAGE_S / 2
# So many passages may have one moment.
SHARED = 3
# Of how words are taken apart and compared: what was indexed by another is indexed anew. 1 knew no marks, and the
# passages of 2 had but a sentence in common; those of 3 parted what was near a passage's edge.
RULE = 4
# What is written or left out as one likes: accents on letters of Latin, Greek and Cyrillic, points of Hebrew and Arabic
# with the stroke that stretches a word, and what chooses or joins forms of letters (after a virama, what parts them,
# too). Marks of other scripts are letters.
_OPTIONAL = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08ca-\u08e1\u08e3-\u08ff"
    "\u180b-\u180d\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    "|(?<=[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca])\u200c"
)
_MARKS = ("Mn", "Mc")
# Scripts that leave no space between words (kana, Han, Thai, Lao, Burmese, Khmer): each character counts as a word.
_UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003ffff"
)
_QUOTED = re.compile('["\u201c\u201d\u201e\u00ab\u00bb]')


class BadQuestionError(ValueError):
    """Nothing can be looked for; the message says what to do."""


class Sentence(Value):
    """A sentence and its half-open interval, seconds from the start of the video."""

    start_s: float
    end_s: float
    text: str


class Passage(Value):
    """Sentences that are looked through together; the next one begins with what is near to what follows them.

    Attributes:
        number: counts from 0 within the transcript.
        sentences: in time order; none in the only passage of a video in which nobody speaks.
    """

    number: int
    sentences: tuple[Sentence, ...]

    @property
    def words(self) -> list[str]:
        """As they are compared, in order."""
        return list(chain.from_iterable(words_in(each.text) for each in self.sentences))


class Question(Value):
    """What is looked for: each of these phrases, one word or several that follow each other."""

    phrases: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, text: str) -> "Question":
        """Words, all of which are to be there; what stands in quotes is to stand there so.

        Nothing else in it means anything: operators and marks are passed over.

        Raises:
            BadQuestionError: it has no word, or too many.
        """
        if len(text) > MAX_QUESTION_CHARS:
            raise BadQuestionError(f"Look for at most {MAX_QUESTION_CHARS} characters.")
        phrases: list[tuple[str, ...]] = []
        for n, part in enumerate(_QUOTED.split(text)):
            phrases += [tuple(words_in(each)) for each in ([part] if n % 2 else part.split())]
        asked = tuple(dict.fromkeys(phrase for phrase in phrases if phrase))
        if not asked:
            raise BadQuestionError("Look for a word, or for several; put a phrase in quotes.")
        if sum(map(len, asked)) > MAX_QUESTION_WORDS:
            raise BadQuestionError(f"Look for at most {MAX_QUESTION_WORDS} words.")
        return cls(phrases=asked)


def words_in(text: str) -> list[str]:
    """The words of a text as they are compared: without case, accents, and points that readers do without."""
    folded = _OPTIONAL.sub("", normal_form("NFKD", text).casefold())
    return [word[:WORD_CHARS] for word in _word().findall(unicodedata.normalize("NFC", folded))]


def passages_of(transcript: Transcript) -> list[Passage]:
    """What is said, as it is kept to be looked through; one passage at least, so that it is known to be there."""
    sentences = [_sentence(segment) for segment in transcript.segments]
    parts = list(_parts([each for each in sentences if each.text])) or [()]
    return [Passage(number=n, sentences=tuple(part)) for n, part in enumerate(parts)]


def moment_in(sentences: Sequence[Sentence], question: Question) -> Sentence | None:
    """The first moment of a passage in which everything is said, as short as can be: from sentence to sentence.

    None where something is not said in it.
    """
    words, owner = _numbered(sentences)
    found = [list(_places(words, phrase)) for phrase in question.phrases]
    if not all(found):
        return None
    spans = (_span(found, place) for place in min(found, key=len))
    first, last = min(((owner[start], owner[end]) for start, end in spans), key=lambda span: span[1] - span[0])
    told = sentences[first : last + 1]
    return Sentence(start_s=told[0].start_s, end_s=told[-1].end_s, text=" ".join(each.text for each in told))


@cache
def _word() -> re.Pattern[str]:
    """Letters and digits with the marks that follow them, such as vowel signs, which Python counts to no word."""
    marks = [chr(each) for each in range(0x300, 0x1F000) if unicodedata.category(chr(each)) in _MARKS]
    letters = rf"[^\W_{_UNSPACED}]"
    return re.compile(rf"[{_UNSPACED}]|{letters}+(?:(?:(?![{_UNSPACED}])[{''.join(marks)}])+{letters}*)*")


def _sentence(segment: Segment) -> Sentence:
    return Sentence(start_s=segment.start_s, end_s=segment.end_s, text=cleaned(segment.text, SENTENCE_CHARS))


def _parts(sentences: Sequence[Sentence]) -> Iterator[Sequence[Sentence]]:
    start = 0
    while start < len(sentences):
        first, last = sentences[start], start
        # Up to one that ends later, for a phrase may run over; and with all that begins soon after the first one ends.
        while last + 1 < len(sentences) and (
            sentences[last].end_s - first.start_s <= PASSAGE_S or _are_near(first, sentences[last + 1])
        ):
            last += 1
        yield sentences[start : last + 1]
        if last == len(sentences) - 1:
            return
        later = range(start + 1, last)
        following = sentences[last + 1]
        start = next((n for n in later if _are_near(sentences[n], following)), max(last, start + 1))


def _are_near(one: Sentence, other: Sentence) -> bool:
    """Whether words of both may lie so near to each other that they are to be found together; the other is later."""
    return other.start_s - one.end_s < STEP_S


def _numbered(sentences: Iterable[Sentence]) -> tuple[list[str], list[int]]:
    """All words in order, and the sentence of each."""
    words: list[str] = []
    owner: list[int] = []
    for n, each in enumerate(sentences):
        mine = words_in(each.text)
        words += mine
        owner += [n] * len(mine)
    return words, owner


def _places(words: Sequence[str], phrase: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last word of each place where a phrase stands."""
    length = len(phrase)
    for at, word in enumerate(words):
        if word == phrase[0] and tuple(words[at : at + length]) == tuple(phrase):
            yield at, at + length - 1


def _span(found: Sequence[Sequence[tuple[int, int]]], place: tuple[int, int]) -> tuple[int, int]:
    """From the first to the last word of a place and the nearest places of all other phrases."""
    nearest = [min(each, key=lambda other: abs(other[0] - place[0])) for each in found]
    return min(start for start, _ in nearest), max(end for _, end in nearest)
