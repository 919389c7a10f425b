"""Titles that are true: every word of theirs that carries a topic is said in the clip."""

import re

from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.quotes import UNSPACED
from madvision_assets.domain.wording import content_stems, has_form_of, letters, sentences_of, words_of

# A longer title is cut; a sentence in place of one is shorter.
MAX_TITLE_CHARS, MAX_SENTENCE_CHARS = 120, 90
MIN_TITLE_WORDS = 3
_NUMBER = re.compile(r"\d+")


def true_title(title: str, said: str, quote: str, *, translated: bool = False) -> str:
    """The title where all that it speaks of is said; else a sentence of the clip, that of the quote where it is short.

    Args:
        title: as proposed.
        said: in the clip.
        quote: a part of it.
        translated: the title is in another language, so that only its numbers can be looked for.
    """
    told = cleaned(title, MAX_TITLE_CHARS)
    if told and (_numbers_are_said(told, said) if translated else is_said(told, said)):
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
    return all(has_form_of(stem, stems) for stem in content_stems(words_of(title)))


def _numbers_are_said(title: str, said: str) -> bool:
    return set(_NUMBER.findall(title)) <= set(_NUMBER.findall(said))


def _says_something(sentence: str) -> bool:
    return len(words_of(sentence)) >= MIN_TITLE_WORDS or UNSPACED.search(sentence) is not None
