"""Captions as ASS, word by word, in the three styles; ``reframe`` has ffmpeg's libass burn them in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.captions import are_spaced
from madvision_assets.domain.phrases import LETTERING, Box, Phrase, phrases, place
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.transcript import Word
from madvision_assets.tools.media import fonts

if TYPE_CHECKING:
    from collections.abc import Callable

    FacesShown = Callable[[float, float], Sequence[Box]]

STYLE = "Caption"
TICK_MS = 10  # of ASS
WORD_JOINER = "\u2060"
# As &HBBGGRR& of ASS.
WHITE, SPOKEN, FILLED, DIM = "&HFFFFFF&", "&H3BE1FF&", "&H9FE23C&", "&HC8C8C8&"


@dataclass(frozen=True)
class Burnt:
    """Captions as they are burnt in.

    Attributes:
        ass: the file.
        fonts: those that it names.
    """

    ass: str
    fonts: tuple[fonts.Font, ...]


def captions(
    words: Sequence[Word],
    clip_s: float,
    style: CaptionStyle,
    shape: Shape,
    size: tuple[int, int],
    faces_shown: "FacesShown | None" = None,
) -> Burnt:
    """The captions of a clip, for pictures of a shape and size.

    Args:
        words: of the clip, in seconds from its start, as ``domain.captions.words_of_clip`` gives them.
        clip_s: length of the clip.
        style: how they look.
        shape: of the picture; says where captions may stand.
        size: width and height of the picture, pixels.
        faces_shown: the faces that are seen from one time to another, in that picture.
    """
    lettering = LETTERING[shape]
    em_px = lettering.size * min(size)
    line_em = size[0] * (1 - 2 * lettering.side) / em_px
    file = _file(style, size, em_px, lettering.side)
    used: dict[fonts.Font, None] = {fonts.LATIN: None}
    at: float | None = None
    for phrase in phrases(words, clip_s, line_em):
        shown = faces_shown(phrase.start_s, phrase.end_s) if faces_shown else ()
        at = place(lettering, size, shown, at)
        position = f"{{\\an5\\pos({size[0] // 2},{round(at * size[1])})}}"
        used |= dict.fromkeys(font for word in phrase.words for font, _ in fonts.runs(word.text))
        for event in _events(phrase, style, em_px):
            event.text = position + event.text
            file.events.append(event)
    return Burnt(file.to_string("ass"), tuple(used))


def font_folder(burnt: Burnt, folder: Path) -> list[Path]:
    """Fills a folder with links to the captions' fonts, for libass, and gives the files that they lead to.

    Raises:
        MediaToolMissingError: a package with fonts is not installed.
    """
    folder.mkdir(exist_ok=True)
    found = fonts.files(burnt.fonts)
    for path in found:
        link = folder / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    return found


def _file(style: CaptionStyle, size: tuple[int, int], em_px: float, side: float) -> Any:
    import pysubs2

    file = pysubs2.SSAFile()
    file.info |= {
        "PlayResX": str(size[0]), "PlayResY": str(size[1]), "WrapStyle": "0", "ScaledBorderAndShadow": "yes",
        "YCbCr Matrix": "None",
    }  # fmt: skip
    boxed = style is CaptionStyle.PLAIN
    margin = round(side * size[0])
    file.styles = {
        STYLE: pysubs2.SSAStyle(
            fontname=fonts.LATIN.family,
            fontsize=round(em_px * fonts.LATIN.line_em, 1),
            bold=True,
            primarycolor=pysubs2.Color(255, 255, 255),
            outlinecolor=pysubs2.Color(0, 0, 0, 0),
            backcolor=pysubs2.Color(0, 0, 0, 70 if boxed else 120),
            borderstyle=4 if boxed else 1,  # 4: libass's box around all lines; its shadow is the box's margin
            outline=0.0 if boxed else round(em_px * 0.075, 1),
            shadow=round(em_px * (0.22 if boxed else 0.03), 1),
            alignment=pysubs2.Alignment.MIDDLE_CENTER,
            marginl=margin,
            marginr=margin,
            marginv=0,
            encoding=-1,  # libass: the direction of a line is that of its text
        )
    }
    return file


def _events(phrase: Phrase, style: CaptionStyle, em_px: float) -> Iterator[Any]:
    import pysubs2

    for index, start_s, end_s in phrase.states():
        colours = [_colour(style, number, index) for number in range(len(phrase.words))]
        text = "".join(_lettered(phrase, colours, em_px))
        begin, end = _ticks(start_s), _ticks(end_s)
        if end > begin:
            yield pysubs2.SSAEvent(start=begin, end=end, text=text, style=STYLE)


def _ticks(time_s: float) -> int:
    return round(time_s * 1000 / TICK_MS) * TICK_MS


def _colour(style: CaptionStyle, number: int, spoken: int) -> str:
    match style:
        case CaptionStyle.BOLD:
            return SPOKEN if number == spoken else WHITE
        case CaptionStyle.KARAOKE:
            return FILLED if number <= spoken else WHITE
        case CaptionStyle.PLAIN:
            return WHITE if number <= spoken else DIM


def _lettered(phrase: Phrase, colours: Sequence[str], em_px: float) -> Iterator[str]:
    """The phrase with its fonts, colours and line breaks."""
    before: tuple[fonts.Font, str] | None = None
    for number, word in enumerate(phrase.words):
        if number in phrase.breaks:
            yield "\\N"
        elif number and are_spaced(phrase.words[number - 1].text, word.text):
            yield " "
        for font, text in fonts.runs(word.text):
            if before != (font, colours[number]):
                yield f"{{\\fn{font.family}\\fs{em_px * font.line_em:.1f}\\1c{colours[number]}}}"
                before = (font, colours[number])
            yield _plain(text)


def _plain(text: str) -> str:
    """Text that says nothing to libass."""
    return text.replace("\\", f"\\{WORD_JOINER}").replace("{", "\\{")
