"""The fonts of burnt-in captions: Noto Sans for each script, out of packages (SIL Open Font License 1.1).

libass looks for no other font where a letter is missing, so that each run of a script names its own.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from itertools import groupby
from pathlib import Path

from madvision_assets.domain.failures import MediaToolMissingError
from madvision_assets.tools.media.cmap import characters_of

NOTO, CJK = "manimgx-fonts", "noto-cjk-sans-jp-bold"


@dataclass(frozen=True)
class Font:
    """A font file.

    Attributes:
        family: by which a caption names it.
        package: that brings it.
        path: in the package.
        line_em: ascent and descent together (OS/2 ``usWin…``), in parts of an em: what libass scales to a font's size.
    """

    family: str
    package: str
    path: str
    line_em: float


def _noto(script: str, line_em: float) -> Font:
    return Font(f"Noto Sans {script}".strip(), NOTO, f"manimgx_fonts/NotoSans{script}[wght].ttf", line_em)


LATIN = _noto("", 1.519)  # Greek, Cyrillic and Vietnamese as well
ARABIC = _noto("Arabic", 2.169)
EAST_ASIAN = Font("Noto Sans CJK JP", CJK, "noto_cjk_sans_jp_bold/NotoSansCJKjp-Bold.otf", 1.448)
EMOJI = Font("Noto Emoji", NOTO, "manimgx_fonts/NotoEmoji[wght].ttf", 1.172)
SYMBOLS = _noto("Symbols", 2.05)
# By the first code point of each block; what lies before the next is its own (Unicode 16, Blocks.txt).
BLOCKS: tuple[tuple[int, Font], ...] = (
    (0x0000, LATIN),
    (0x0530, _noto("Armenian", 1.36)),
    (0x0590, _noto("Hebrew", 1.36)),
    (0x0600, ARABIC),
    (0x0900, _noto("Devanagari", 1.906)),
    (0x0980, _noto("Bengali", 1.403)),
    (0x0A00, _noto("Gurmukhi", 1.304)),
    (0x0A80, _noto("Gujarati", 1.484)),
    (0x0B00, _noto("Oriya", 1.362)),
    (0x0B80, _noto("Tamil", 1.24)),
    (0x0C00, _noto("Telugu", 1.478)),
    (0x0C80, _noto("Kannada", 1.645)),
    (0x0D00, _noto("Malayalam", 1.247)),
    (0x0D80, _noto("Sinhala", 1.312)),
    (0x0E00, _noto("Thai", 1.511)),
    (0x0E80, _noto("Lao", 1.645)),
    (0x0F00, LATIN),
    (0x1000, _noto("Myanmar", 2.184)),
    (0x10A0, _noto("Georgian", 1.378)),
    (0x1100, EAST_ASIAN),
    (0x1200, _noto("Ethiopic", 1.362)),
    (0x13A0, LATIN),
    (0x1780, _noto("Khmer", 1.862)),
    (0x1800, LATIN),
    (0x2190, SYMBOLS),
    (0x2600, EMOJI),
    (0x27C0, SYMBOLS),
    (0x2C00, LATIN),
    (0x2D00, _noto("Georgian", 1.378)),
    (0x2D30, LATIN),
    (0x2D80, _noto("Ethiopic", 1.362)),
    (0x2DE0, LATIN),
    (0x2E80, EAST_ASIAN),
    (0xA4D0, LATIN),
    (0xA8E0, _noto("Devanagari", 1.906)),
    (0xA900, LATIN),
    (0xA960, EAST_ASIAN),
    (0xA980, LATIN),
    (0xAC00, EAST_ASIAN),
    (0xD800, LATIN),
    (0xF900, EAST_ASIAN),
    (0xFB00, LATIN),
    (0xFB1D, _noto("Hebrew", 1.36)),
    (0xFB50, ARABIC),
    (0xFE10, EAST_ASIAN),
    (0xFE70, ARABIC),
    (0xFF00, EAST_ASIAN),
    (0x10000, LATIN),
    (0x1F000, EMOJI),
    (0x20000, EAST_ASIAN),
    (0x32000, LATIN),
)
# Takes the font of what it stands beside, where that has it: space, punctuation.
_NEUTRAL = ("Z", "P")
# Belongs to the letter before: signs, joiners, variation selectors.
_DEPENDENT = ("Mn", "Mc", "Cf")
# Asked in turn for symbols that the font of their block has not.
_OTHERS = (LATIN, SYMBOLS, EAST_ASIAN, EMOJI)


def runs(text: str) -> Iterator[tuple[Font, str]]:
    """The text in stretches of one font each.

    Raises:
        MediaToolMissingError: a package with fonts is not installed.
    """
    fonts: list[Font] = []
    for char in text:
        fonts.append(fonts[-1] if fonts and _stays(char, fonts[-1]) else font_of(char))
    position = 0
    for font, group in groupby(fonts):
        length = len(list(group))
        yield font, text[position : position + length]
        position += length


def _stays(char: str, font: Font) -> bool:
    category = unicodedata.category(char)
    if category in _DEPENDENT:
        return True
    # East Asian marks are wide
    neutral = category.startswith((*_NEUTRAL, "M")) and ord(char) < 0x2E80  # noqa: PLR2004
    return neutral and _has(font, char)


@lru_cache(maxsize=4096)
def font_of(char: str) -> Font:
    """The font that has this character; that of its block where none has.

    Raises:
        MediaToolMissingError: a package with fonts is not installed.
    """
    code = ord(char)
    own = next(font for first, font in reversed(BLOCKS) if code >= first)
    if char.isascii() or char.isspace():
        return own
    return next((font for font in (own, *_OTHERS) if _has(font, char)), own)


def _has(font: Font, char: str) -> bool:
    return char == " " or ord(char) in characters_of(_file(font))


def files(fonts: Iterable[Font]) -> list[Path]:
    """Where the files of these fonts lie, each once.

    Raises:
        MediaToolMissingError: a package with fonts is not installed.
    """
    return sorted({_file(font) for font in fonts})


@lru_cache(maxsize=64)
def _file(font: Font) -> Path:
    try:
        found = Path(str(distribution(font.package).locate_file(font.path)))
    except PackageNotFoundError as error:
        raise MediaToolMissingError(f"the fonts of {font.package} are not installed") from error
    if not found.is_file():
        raise MediaToolMissingError(f"the font {font.family} is not in {font.package}")
    return found
