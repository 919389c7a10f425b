"""Burnt-in captions: which words stand in the picture together, in which lines, from when to when, and where."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from madvision_assets.domain.captions import are_spaced, whole_letters
from madvision_assets.domain.graphemes import pieces_of
from madvision_assets.domain.renditions import Shape
from madvision_assets.domain.sentences import SENTENCE_END
from madvision_assets.domain.transcript import Word

MAX_LINES = 2
MAX_PHRASE_S = 3.5
PAUSE_S = 0.45
HOLD_S = 0.3  # a phrase stays so long after its last word, where nothing follows
CLAUSE_END = tuple(",;:\u060c\u061b\u3001\uff0c\uff1b\uff1a\u2013\u2014")  # Arabic and East Asian ones, dashes
FULL_ENOUGH = 0.5  # of all its lines, to end a phrase with a clause

# Widths of characters in a bold sans-serif, in parts of the font's size: rather too wide than too narrow.
_NARROW, _WIDE = frozenset("iljtfrI.,'\u2019!:;|()[]-"), frozenset("mwMW@%—…")
_NARROW_EM, _WIDE_EM, _UPPER_EM, _USUAL_EM, _FULL_EM, _SPACE_EM = 0.4, 1.0, 0.75, 0.65, 1.05, 0.28


@dataclass(frozen=True)
class Lettering:
    """Where captions may stand, in parts of the picture's width and height, and how large they are.

    Attributes:
        size: of the letters, in parts of the shorter side.
        side: free to the left and to the right: there, platforms show buttons.
        places: middles of the two lines, best first, in parts of the height from the top.
    """

    size: float
    side: float
    places: tuple[float, ...]


# Short-video platforms cover the lowest fifth, the uppermost tenth and a strip at the right of a vertical picture.
LETTERING = {
    Shape.SOURCE: Lettering(0.062, 0.12, (0.87, 0.11)),
    Shape.VERTICAL: Lettering(0.074, 0.12, (0.70, 0.76, 0.62, 0.5, 0.17)),
    Shape.SQUARE: Lettering(0.066, 0.08, (0.85, 0.5, 0.12)),
    Shape.PORTRAIT: Lettering(0.070, 0.09, (0.80, 0.86, 0.5, 0.13)),
}
LINE_HEIGHT = 1.3  # of the size


@dataclass(frozen=True)
class Box:
    """A part of a picture, pixels from its upper left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Phrase:
    """Words that stand in the picture together.

    Attributes:
        words: in the order in which they are said, seconds from the clip's start.
        breaks: before which words a new line begins.
        start_s: when they appear.
        end_s: when they go.
    """

    words: tuple[Word, ...]
    breaks: tuple[int, ...]
    start_s: float
    end_s: float

    def states(self) -> Iterator[tuple[int, float, float]]:
        """For each word its number, and from when to when it is the one that is spoken."""
        starts = [self.start_s, *(word.start_s for word in self.words[1:]), self.end_s]
        for index, (start_s, end_s) in enumerate(pairwise(starts)):
            if end_s > start_s:
                yield index, start_s, end_s


def phrases(words: Sequence[Word], clip_s: float, line_em: float) -> list[Phrase]:
    """The phrases of a clip, in order, not overlapping; each begins with its first word.

    A phrase ends with a sentence, before a pause, with a clause where it is half full already, and where it is full.

    Args:
        words: of the clip, seconds from its start, as ``captions.words_of_clip`` gives them.
        clip_s: length of the clip.
        line_em: width of a line, in parts of the size of the letters.
    """
    groups = list(_groups([piece for word in whole_letters(words) for piece in _pieces(word, line_em)], line_em))
    made: list[Phrase] = []
    for index, group in enumerate(groups):
        start_s = max(0.0, group[0].start_s, made[-1].end_s if made else 0.0)
        next_s = groups[index + 1][0].start_s if index + 1 < len(groups) else clip_s
        # Where the next one comes soon, this one stays until then: an empty moment would flicker.
        end_s = min(max(group[-1].end_s + HOLD_S, start_s), next_s, clip_s)
        if next_s - end_s < HOLD_S and index + 1 < len(groups):
            end_s = min(next_s, clip_s)
        if end_s > start_s:
            made.append(Phrase(tuple(group), _breaks(group, line_em) or (), start_s, end_s))
    return made


def width_em(text: str) -> float:
    """About how wide a text is, in parts of the size of its letters."""
    return sum(map(_char_em, text))


def place(lettering: Lettering, size: tuple[int, int], faces: Iterable[Box], before: float | None) -> float:
    """Where a phrase stands: the middle of its lines, in parts of the height.

    The first place that covers no face; the one before is kept where it does not, so that captions do not jump.

    Args:
        lettering: of the shape.
        size: of the finished picture.
        faces: that are seen while it stands there, in the finished picture.
        before: where the phrase before stood.
    """
    shown = list(faces)
    places = lettering.places if before is None else (before, *(p for p in lettering.places if p != before))
    return min(places, key=lambda at: (round(_covered(at, lettering, size, shown), 2), places.index(at)))


def _covered(at: float, lettering: Lettering, size: tuple[int, int], faces: Sequence[Box]) -> float:
    """How much of the faces' height the lines would cover, 0 to 1, of the one that is covered most."""
    width, height = size
    half = MAX_LINES * LINE_HEIGHT * lettering.size * min(size) / 2
    top, bottom = at * height - half, at * height + half
    left, right = lettering.side * width, (1 - lettering.side) * width
    beside = (face for face in faces if face.left < right and face.left + face.width > left)
    return max(
        (max(0.0, min(bottom, f.top + f.height) - max(top, f.top)) / max(1.0, f.height) for f in beside), default=0.0
    )


def _pieces(word: Word, line_em: float) -> Iterator[Word]:
    """The word; in pieces where it is wider than a line."""
    pieces = list(pieces_of(word.text, width_em, line_em)) or [""]
    step_s = (word.end_s - word.start_s) / len(pieces)
    for index, text in enumerate(pieces):
        start_s = word.start_s + index * step_s
        yield word.model_copy(update={"text": text, "start_s": start_s, "end_s": start_s + step_s})


def _groups(words: Iterable[Word], line_em: float) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (_ends(group, line_em) or _parted(group, word) or _breaks([*group, word], line_em) is None):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _ends(group: Sequence[Word], line_em: float) -> bool:
    text = group[-1].text
    filled = width_em(_text(group)) / (line_em * MAX_LINES)
    return bool(SENTENCE_END.search(text)) or (text.endswith(CLAUSE_END) and filled >= FULL_ENOUGH)


def _parted(group: Sequence[Word], word: Word) -> bool:
    return word.start_s - group[-1].end_s >= PAUSE_S or word.end_s - group[0].start_s > MAX_PHRASE_S


def _breaks(group: Sequence[Word], line_em: float) -> tuple[int, ...] | None:
    """No break where one line does, else the one by which two lines are most alike; None where two do not do."""
    if width_em(_text(group)) <= line_em:
        return ()
    pairs = ((at, width_em(_text(group[:at])), width_em(_text(group[at:]))) for at in range(1, len(group)))
    fitting = [(abs(first - second), at) for at, first, second in pairs if max(first, second) <= line_em]
    return (min(fitting)[1],) if fitting else None


def _text(group: Sequence[Word]) -> str:
    text = group[0].text
    for one, other in pairwise(group):
        text += (" " if are_spaced(one.text, other.text) else "") + other.text
    return text


def _char_em(char: str) -> float:
    if char.isspace():
        return _SPACE_EM
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return _FULL_EM
    if char in _NARROW:
        return _NARROW_EM
    return _WIDE_EM if char in _WIDE else _UPPER_EM if char.isupper() else _USUAL_EM
