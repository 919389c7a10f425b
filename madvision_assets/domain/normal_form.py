"""One form for each character (Unicode Standard Annex 15), in a time that a stranger's text cannot stretch."""

import unicodedata
from collections.abc import Iterator
from typing import Literal

# What is shorter is put in order at once, whatever it is made of.
SHORT_CHARS = 1000
# Marks on one letter; more are no writing (the annex's stream-safe form), and to order them takes their number squared.
MAX_MARKS = 30


def normal_form(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """The text in this form; of more marks on one letter than any writing has, the first are kept."""
    if len(text) > SHORT_CHARS and not text.isascii():
        text = "".join(_stream_safe(text))
    return unicodedata.normalize(form, text)


def _stream_safe(text: str) -> Iterator[str]:
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MAX_MARKS:
            yield char
