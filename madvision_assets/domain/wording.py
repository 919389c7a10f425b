"""Words: how text is taken apart and compared, in every language that writes letters."""

import re
from collections.abc import Iterable
from functools import lru_cache

from madvision_assets.domain.normal_form import normal_form
from madvision_assets.domain.stop_words import STOP_WORDS

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NO_LETTERS = re.compile(r"[\W_]+")
# Of Latin scripts, Chinese and Japanese, Devanagari, Arabic and Urdu, Armenian, Ethiopic, Burmese and Khmer.
SENTENCE_MARKS = (
    ".!?\u2026\u203c\u2047\u2048\u2049\u3002\uff61\uff0e\uff01\uff1f"
    "\u0964\u0965\u061f\u06d4\u0589\u1362\u1367\u104b\u17d4"
)
_SENTENCE_END = re.compile(rf"(?<=[{SENTENCE_MARKS}])\s+")
_TERMINAL = tuple(SENTENCE_MARKS)
_CLOSERS = "\"'\u201d\u2019)]\u300d\u00bb"

MINUTES_PER_HOUR = 60

_SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ness", "ies", "ied", "ed", "ly", "es", "s", "e")
_OTHER_SUFFIXES = ("en", "er", "es", "e", "n", "s", "a", "o", "i")  # plurals and cases of the languages that are listed
_MIN_STEM_CHARS = 3
SHORT_CHARS = 3
MIN_ALIKE_CHARS = 4
_ELIDING = frozenset({"fr", "it"})


def words_of(text: str) -> list[str]:
    """The words of a text, folded to one case and one apostrophe, in order."""
    folded = normal_form("NFKC", text).casefold().replace("\u2019", "'")
    return _WORD.findall(folded)


def spelt_words_of(text: str) -> list[str]:
    """The words of a text in the case that they are written in, folded to one apostrophe, in order."""
    return _WORD.findall(normal_form("NFKC", text).replace("\u2019", "'"))


def content_stems(words: Iterable[str], language: str = "en") -> list[str]:
    """Of these words (as ``words_of`` gives them) the stems of those that carry a topic, in order."""
    return [stem(word, language) for word in words if is_content(word, language)]


@lru_cache(maxsize=200_000)
def is_content(word: str, language: str = "en") -> bool:
    """Whether a word carries a topic: neither function word nor noise nor a lone Latin letter.

    Of a language (ISO 639-1) without a list of function words, short Latin words count as such.
    """
    word = _unelided(word, language)
    if language not in STOP_WORDS:
        return len(word) > SHORT_CHARS or not word.isascii()
    return word not in STOP_WORDS[language] and (len(word) > 1 or not word.isascii())


@lru_cache(maxsize=200_000)
def stem(word: str, language: str = "en") -> str:
    """A word without its commonest endings, so that ``model`` and ``models`` are one; crude on purpose."""
    word = _unelided(word, language)
    for suffix in _SUFFIXES if language == "en" else _OTHER_SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM_CHARS:
            return word.removesuffix(suffix)
    return word


def has_form_of(stem: str, stems: Iterable[str]) -> bool:
    """Whether a stem is among others, or begins as one of them does: admit and admitted, resign and resignation.

    What has a digit is a number, and has no forms.
    """
    if stem in (stems := frozenset(stems)):
        return True
    if len(stem) < MIN_ALIKE_CHARS or any(letter.isdigit() for letter in stem):
        return False
    return any(len(each) >= MIN_ALIKE_CHARS and (each.startswith(stem) or stem.startswith(each)) for each in stems)


def _unelided(word: str, language: str) -> str:
    """Without the article that French and Italian write together with it: ``l'homme``, ``dell'acqua``."""
    return word.rpartition("'")[2] if language in _ELIDING else word


def letters(text: str) -> str:
    """Letters and digits only, folded: equal for texts that differ in case, spacing and punctuation."""
    return _NO_LETTERS.sub("", normal_form("NFKC", text).casefold())


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, split after terminal punctuation."""
    return [part for part in (piece.strip() for piece in _SENTENCE_END.split(text)) if part]


def ends_sentence(text: str) -> bool:
    """Whether a text ends with terminal punctuation (closing quotes and brackets aside)."""
    return text.rstrip().rstrip(_CLOSERS).endswith(_TERMINAL)


def is_question(text: str) -> bool:
    """Whether a text ends with a question mark (closing quotes and brackets aside)."""
    return text.rstrip().rstrip(_CLOSERS).endswith(("?", "\uff1f", "\u061f"))


def timecode(time_s: float) -> str:
    """Seconds for a person: ``m:ss.t``, or ``h:mm:ss.t`` from an hour on, hours without limit."""
    minutes, tenths = divmod(round(time_s * 10), 600)
    seconds = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds}" if minutes >= MINUTES_PER_HOUR else f"{minutes}:{seconds}"


def shortened(text: str, max_chars: int) -> str:
    """The text on one line, cut at a word's end and marked with an ellipsis where it is longer than allowed."""
    line = " ".join(text.split())
    if len(line) <= max_chars:
        return line
    head = line[: max_chars - 1]
    return (head.rsplit(" ", 1)[0] if " " in head else head).rstrip(" ,;:-") + "\u2026"
