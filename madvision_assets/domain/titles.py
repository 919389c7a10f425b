"""Titles that are true: every word of theirs that carries a topic is said in the clip, and every number, whole."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from madvision_assets.domain.numerals import NUMBER_WORDS, numbers_of, says_numbers, without_numbers
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.quotes import UNSPACED
from madvision_assets.domain.wording import (
    MIN_ALIKE_CHARS,
    content_stems,
    has_form_of,
    is_content,
    is_question,
    letters,
    sentences_of,
    spelt_words_of,
    stem,
    words_of,
)

# A longer title is cut; a sentence in place of one is shorter.
MAX_TITLE_CHARS, MAX_SENTENCE_CHARS = 120, 90
MIN_TITLE_WORDS = 3
# What a word may end in and be the same word still: first of those that may be names, then of all, then of long ones.
_INFLECTIONS = frozenset(words_of("s es e en n er ern ens em"))
_ENDINGS = _INFLECTIONS | frozenset(words_of("ed ing ings"))
_DERIVED = frozenset(
    words_of("""
    al ally abl able ably anc ance ant ation ence enc ent er ers ership ful hood ic ical ion ional ions ism ist ists
    ity iv ive iz ment ments ness or ors ous t y
    """)
)
_MIN_DERIVED_CHARS, _MIN_LONG_CHARS, _MAX_END_CHARS = 5, 6, 3
# Languages that begin all nouns with a capital letter, so that it tells no name.
_CAPITAL_NOUNS = frozenset({"de", "lb"})
_ABBREVIATION_CHARS = range(3, 5)
_PARTS, _ROMAN = re.compile(r"[^\W\d_]+"), re.compile(r"[IVXLCDM]+")
# Where one of these is said, what it stands beside is not so.
_NEGATIONS = frozenset(
    words_of("""
    not no never nobody nothing none neither nor without cannot nicht kein keine keinen keiner keinem nie niemals
    niemand nichts ohne pas jamais rien sans nunca nada nadie ninguno ninguna sin non nessuno niente senza mai não
    ninguém sem niet geen nooit niemand niets zonder не ни нет никогда
    """)
)
_CLAUSES = re.compile(r"[,;:.!?\u2026\u2013\u2014]+\s+|\s+(?:and|but|und|aber|et|mais|y|pero|e|ma|mas|en|maar)\s+")


class _Spelt(NamedTuple):
    """A word that carries a topic: its stem, and whether it is written with a capital letter."""

    stem: str
    capital: bool


def true_title(title: str, said: str, quote: str, language: str = "en", title_language: str | None = None) -> str:
    """The title where all that it speaks of is said; else a sentence of the clip, that of the quote where it is short.

    Args:
        title: as proposed.
        said: in the clip.
        quote: a part of it.
        language: that is spoken, ISO 639-1.
        title_language: of the title; in another one hardly more than numbers can be looked for. None is the spoken one.
    """
    told = cleaned(title, MAX_TITLE_CHARS)
    translated = title_language not in (None, language)
    names_something = any(letter.isalpha() for letter in told)
    if names_something and (
        _is_said_in_translation(told, said, language, title_language or language)
        if translated
        else is_said(told, said, language)
    ):
        return told
    sentences = [cleaned(each) for each in sentences_of(said)]
    fitting = [each for each in sentences if len(each) <= MAX_SENTENCE_CHARS and _says_something(each)]
    wanted = letters(quote)
    of_quote = (each for each in fitting if letters(each) in wanted or wanted in letters(each))
    return next(of_quote, None) or next(iter(fitting), None) or cleaned(quote or said, MAX_TITLE_CHARS)


def is_said(title: str, said: str, language: str = "en") -> bool:
    """Whether each number and each word of a title that carries a topic is said, and not the opposite of it.

    Numbers are said whole, names as they are written, other words in whatever form.
    """
    if letters(title) in letters(said) and UNSPACED.search(title):
        return says_numbers(said, language, numbers_of(title, language))
    if UNSPACED.search(title) or not says_numbers(said, language, numbers_of(title, language)):
        return False
    told = spelt_words_of(without_numbers(title, language))
    wanted = _spelt(told)
    heard = frozenset(_spelt(spelt_words_of(without_numbers(said, language))))
    names = _names(told)
    if not all(_has_form(each, heard, language, is_name=each in names) for each in wanted):
        return False
    return not _is_the_opposite(title, [each.stem for each in wanted], said)


def _spelt(words: Iterable[str]) -> list[_Spelt]:
    folded = ((word, word.casefold()) for word in words)
    return [_Spelt(stem(each), word[0].isupper()) for word, each in folded if is_content(each)]


def _names(words: Sequence[str]) -> set[_Spelt]:
    """The words inside a title that may be names: with a capital letter, where not all others have one as well."""
    inside = [each for word in words[1:] for each in _spelt([word])]
    return {each for each in inside if each.capital} if any(not each.capital for each in inside) else set()


def _has_form(wanted: _Spelt, heard: Iterable[_Spelt], language: str, *, is_name: bool) -> bool:
    return any(
        wanted.stem == each.stem
        or (
            min(len(wanted.stem), len(each.stem)) >= MIN_ALIKE_CHARS
            and (each.capital or not is_name)
            and _is_form(
                wanted.stem,
                each.stem,
                language,
                name=language not in _CAPITAL_NOUNS and wanted.capital and each.capital,
            )
        )
        for each in heard
    )


def _is_form(one: str, other: str, language: str, *, name: bool) -> bool:
    """Whether the longer of two stems is the shorter one with an ending; a name has few."""
    short, long = sorted((one, other), key=len)
    if not long.startswith(short):
        return False
    end = long[len(short) :]
    if language not in NUMBER_WORDS:  # names too are inflected there, and by endings that are not listed here
        return len(end) <= _MAX_END_CHARS
    if name:
        return not end or end in _INFLECTIONS
    ends = {end, end.removeprefix(short[-1])}  # admit, admitted
    return bool(
        ends & (_ENDINGS | {""})
        or (len(short) >= _MIN_DERIVED_CHARS and ends & _DERIVED)
        or (len(short) >= _MIN_LONG_CHARS and len(end) <= _MAX_END_CHARS)
    )


def _is_said_in_translation(title: str, said: str, language: str, title_language: str) -> bool:
    """Whether each number of a title in another language is said, and where it has an abbreviation, that or another.

    Languages call people, places and days by other names, so that other words which are not said tell nothing.
    """
    numbers = numbers_of(title, title_language if language in NUMBER_WORDS else "")
    if not says_numbers(said, language, numbers):
        return False
    heard = _abbreviations(said)
    wanted = set() if title.isupper() else _abbreviations(title)
    written = {_script(each) for each in spelt_words_of(said)}
    if heard or {_script(each) for each in wanted}.isdisjoint(written):
        return True
    return {each.casefold() for each in wanted} <= {each.casefold() for each in _PARTS.findall(said)}


def _abbreviations(text: str) -> set[str]:
    """Those as CEO is: longer words in capitals are stressed, shorter ones are EU here and UE there."""
    found = (each for each in _PARTS.findall(text) if len(each) in _ABBREVIATION_CHARS and each.isupper())
    return {each for each in found if is_content(each.casefold()) and not _ROMAN.fullmatch(each)}


def _script(word: str) -> str:
    return unicodedata.name(word[0], "").partition(" ")[0]


def _is_the_opposite(title: str, wanted: Sequence[str], said: str) -> bool:
    """Whether all clauses that say most of a title deny what it affirms, or affirm what it denies."""
    if is_question(title) or letters(title) in letters(said):  # asks, or says it word for word
        return False
    clauses = [words for each in _CLAUSES.split(said) if (words := words_of(each))]
    stems = [frozenset(content_stems(words)) for words in clauses]
    told = [sum(has_form_of(stem, each) for stem in wanted) for each in stems]
    most = max(told, default=0)
    denied = {_denies(words) for count, words in zip(told, clauses, strict=True) if count == most}
    return most > 0 and denied == {not _denies(words_of(title))}


def _denies(words: Sequence[str]) -> bool:
    return any(word in _NEGATIONS or word.endswith("n't") for word in words)


def _says_something(sentence: str) -> bool:
    return len(words_of(sentence)) >= MIN_TITLE_WORDS or UNSPACED.search(sentence) is not None
