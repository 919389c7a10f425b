"""Titles that are true: every word of theirs that carries a topic is said in the clip."""

import re
from collections.abc import Sequence

from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.quotes import UNSPACED
from madvision_assets.domain.wording import content_stems, has_form_of, is_question, letters, sentences_of, words_of

# A longer title is cut; a sentence in place of one is shorter.
MAX_TITLE_CHARS, MAX_SENTENCE_CHARS = 120, 90
MIN_TITLE_WORDS = 3
_NUMBER = re.compile(r"\d+")
# Where one of these is said, what it stands beside is not so.
_NEGATIONS = frozenset(
    words_of("""
    not no never nobody nothing none neither nor without cannot nicht kein keine keinen keiner keinem nie niemals
    niemand nichts ohne pas jamais rien sans nunca nada nadie ninguno ninguna sin non nessuno niente senza mai não
    ninguém sem niet geen nooit niemand niets zonder не ни нет никогда
    """)
)
_CLAUSES = re.compile(r"[,;:.!?\u2026\u2013\u2014]+\s+|\s+(?:and|but|und|aber|et|mais|y|pero|e|ma|mas|en|maar)\s+")


def true_title(title: str, said: str, quote: str, *, translated: bool = False) -> str:
    """The title where all that it speaks of is said; else a sentence of the clip, that of the quote where it is short.

    Args:
        title: as proposed.
        said: in the clip.
        quote: a part of it.
        translated: the title is in another language, so that only its numbers can be looked for.
    """
    told = cleaned(title, MAX_TITLE_CHARS)
    names_something = any(letter.isalpha() for letter in told)
    if names_something and (_numbers_are_said(told, said) if translated else is_said(told, said)):
        return told
    sentences = [cleaned(each) for each in sentences_of(said)]
    fitting = [each for each in sentences if len(each) <= MAX_SENTENCE_CHARS and _says_something(each)]
    wanted = letters(quote)
    of_quote = (each for each in fitting if letters(each) in wanted or wanted in letters(each))
    return next(of_quote, None) or next(iter(fitting), None) or cleaned(quote or said, MAX_TITLE_CHARS)


def is_said(title: str, said: str) -> bool:
    """Whether each word of a title that carries a topic is said, in whatever form, and not the opposite of it."""
    if UNSPACED.search(title):
        return letters(title) in letters(said)
    stems = frozenset(content_stems(words_of(said)))
    wanted = content_stems(words_of(title))
    return all(has_form_of(stem, stems) for stem in wanted) and not _is_the_opposite(title, wanted, said)


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


def _numbers_are_said(title: str, said: str) -> bool:
    return set(_NUMBER.findall(title)) <= set(_NUMBER.findall(said))


def _says_something(sentence: str) -> bool:
    return len(words_of(sentence)) >= MIN_TITLE_WORDS or UNSPACED.search(sentence) is not None
