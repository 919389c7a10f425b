"""Where a text may be cut: between characters as people see them, not between a letter and its signs."""

import unicodedata
from collections.abc import Callable, Iterator

# The longest emoji have ten; whoever heaps up more gets them cut.
MAX_CHARS = 16
_JOINER = "\u200d"
_SIGNS = {"Mn", "Mc", "Me"}
# Stand before their consonant in Thai and Lao, and AM after it, though Unicode calls them letters.
_LEADING, _FOLLOWING = (
    frozenset("\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"),
    frozenset("\u0e33\u0eb3"),
)
# Unicode's class of the signs that make one letter of two in Indic scripts.
_VIRAMA = 9
_ASAT = "\u103a"  # is of it too, and ends a syllable of Burmese
_SKINS = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)


def graphemes(text: str) -> Iterator[str]:
    """A text in pieces, each a letter with all that belongs to it; near enough to Unicode's UAX #29."""
    piece = ""
    for char in text:
        if piece and (len(piece) >= MAX_CHARS or not belongs(piece, char)):
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece


def pieces_of(text: str, measure: Callable[[str], float], most: float) -> Iterator[str]:
    """A text in pieces of at most so much each, of whole graphemes."""
    piece, length = "", 0.0
    for each in graphemes(text):
        more = measure(each)
        if piece and length + more > most:
            yield piece
            piece, length = "", 0.0
        piece, length = piece + each, length + more
    if piece:
        yield piece


def belongs(piece: str, char: str) -> bool:
    """Whether a character belongs to what stands before it, which is not empty."""
    before = piece[-1]
    return (
        unicodedata.category(char) in _SIGNS  # variation selectors among them
        or _JOINER in {before, char}
        or before in _LEADING
        or char in _FOLLOWING
        or ord(char) in _SKINS
        or ord(char) in _TAGS
        or (ord(char) in _FLAGS and ord(before) in _FLAGS and len(piece) == 1)
        or (unicodedata.combining(before) == _VIRAMA and before != _ASAT)
    )
