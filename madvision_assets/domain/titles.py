"""Titles that are true: every word of theirs that carries a topic is said in the clip."""

from collections.abc import Iterable

from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.quotes import UNSPACED
from madvision_assets.domain.wording import content_stems, letters, sentences_of, words_of

# A longer title is cut; a sentence in place of one is shorter.
MAX_TITLE_CHARS, MAX_SENTENCE_CHARS = 120, 90
MIN_TITLE_WORDS = 3
# Stems that begin alike are forms of one word: admit and admitted, resign and resignation.
MIN_ALIKE_CHARS = 4


def true_title(title: str, said: str, quote: str) -> str:
    """The title where all that it speaks of is said; else a sentence of the clip, that of the quote where it is short.

    Args:
        title: as proposed.
        said: in the clip.
        quote: a part of it.
    """
    told = cleaned(title, MAX_TITLE_CHARS)
    if told and is_said(told, said):
        return told
    sentences = [cleaned(each) for each in sentences_of(said)]
    fitting = [each for each in sentences if len(each) <= MAX_SENTENCE_CHARS and _says_something(each)]
    wanted = letters(quote)
    of_quote = (each for each in fitting if letters(each) in wanted or wanted in letters(each))
    return next(of_quote, None) or next(iter(fitting), None) or cleaned(quote or said, MAX_TITLE_CHARS)


def is_said(title: str, said: str) -> bool:
    """Whether each word of a title that carries a topic is said, in whatever form."""
    if UNSPACED.search(title):
        return letters(title) in letters(said)
    stems = frozenset(content_stems(words_of(said)))
    return all(stem in stems or _has_form_of(stem, stems) for stem in content_stems(words_of(title)))


def _says_something(sentence: str) -> bool:
    return len(words_of(sentence)) >= MIN_TITLE_WORDS or UNSPACED.search(sentence) is not None


def _has_form_of(stem: str, stems: Iterable[str]) -> bool:
    if len(stem) < MIN_ALIKE_CHARS:
        return False
    return any(len(each) >= MIN_ALIKE_CHARS and (each.startswith(stem) or stem.startswith(each)) for each in stems)
