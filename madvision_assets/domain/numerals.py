"""Numbers in a text, each whole, and equal where their value is: ``20 000`` is ``20,000``, and ``5`` is not ``3.5``."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from madvision_assets.domain.normal_form import normal_form

# In groups of three; or with marks inside, and with what is written on to it: 3.5M, 1990s, B2B.
_NUMBER = re.compile(
    r"(?<![\w.,])\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?!\w)|(?<![a-z])[a-z]*\d+[a-z]*(?:[.,:'](?=\d)\d+[a-z]*)*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")
_MARK = re.compile(r"[.,' ]")
_GROUP_DIGITS = 3
# From two on: "one" is more often a word than a number.
_FIRST = 2
_WORDS = {
    "de": "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "en": "two three four five six seven eight nine ten eleven twelve",
    "es": "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "fr": "deux trois quatre cinq six sept huit - dix onze douze",
    "it": "due tre quattro cinque - sette otto nove dieci undici dodici",
    "nl": "twee drie vier vijf zes zeven acht negen tien elf twaalf",
    "pt": "dois três quatro cinco seis sete oito nove dez onze doze",
}
NUMBER_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        code: {word: str(n) for n, word in enumerate(words.split(), _FIRST) if word != "-"}
        for code, words in _WORDS.items()
    }
)
# Numbers only where digits are looked for: they are "new" and "you are" as well.
_PERHAPS: Mapping[str, Mapping[str, str]] = MappingProxyType({"fr": {"neuf": "9"}, "it": {"sei": "6"}})
# Where "one" is a number: the #1 mistake, rule 1.
_ONE = re.compile(
    r"\b(?:number|rule|step|part|episode|chapter|lesson|phase|round|season|day|level|tip"
    r"|nummer|regel|schritt|teil|folge|kapitel|tag|punkt)[ -](?:one|eins)\b"
)


def says_numbers(said: str, language: str, wanted: frozenset[str]) -> bool:
    """Whether all of these values are said, also by words that are not always numbers.

    Args:
        said: what is said.
        language: that is spoken, ISO 639-1.
        wanted: of ``numbers_of``.
    """
    folded = _folded(said)
    perhaps = _PERHAPS.get(language, {})
    heard = {perhaps[word] for word in _WORD.findall(folded) if word in perhaps}
    if _ONE.search(folded):
        heard.add("1")
    return wanted <= numbers_of(said, language) | heard


def numbers_of(text: str, language: str) -> frozenset[str]:
    """The values of all numbers in a text, with those that are written as words in its language (ISO 639-1)."""
    folded = _folded(text)
    words = NUMBER_WORDS.get(language, {})
    written = {words[word] for word in _WORD.findall(folded) if word in words}
    return frozenset(written | {_value(each) for each in _NUMBER.findall(folded)})


def without_numbers(text: str, language: str) -> str:
    """A text without its numbers, and without the words for them in its language; its case stays."""
    words = NUMBER_WORDS.get(language, {})
    rest = _NUMBER.sub(" ", normal_form("NFKC", text))
    return _WORD.sub(lambda found: " " if found.group().casefold() in words else found.group(), rest)


def _folded(text: str) -> str:
    return normal_form("NFKC", text).casefold().replace("\u2019", "'")


def _value(number: str) -> str:
    """One spelling for each value; what is no plain number stands for itself."""
    digits = "".join(str(unicodedata.digit(each)) if each.isdecimal() else each for each in number)
    parts, marks = _MARK.split(digits), _MARK.findall(digits)
    if not all(each.isdecimal() for each in parts):
        return digits
    grouped = all(len(each) == _GROUP_DIGITS for each in parts[1:]) and len(parts[0]) <= _GROUP_DIGITS
    if grouped and len(set(marks)) <= 1 and parts[0] != "0":
        return _whole("".join(parts))
    if len(marks) == 1 or (len(set(marks[:-1])) == 1 and marks[-1] not in marks[:-1]):
        part = parts[-1].rstrip("0")
        return _whole("".join(parts[:-1])) + (f".{part}" if part else "")
    return _whole(digits) if not marks else ".".join(parts)


def _whole(digits: str) -> str:
    return digits.lstrip("0") or "0"
