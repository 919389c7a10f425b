"""From the tokens of a row to stretches of text, and whether they are to be believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.tools.speech.batched.batch import Row
from madvision_assets.tools.speech.batched.pieces import FRAMES_PER_S, Piece

if TYPE_CHECKING:
    from whisper.tokenizer import Tokenizer

FRAMES_A_STEP = 2  # a time token counts steps of 20 ms
# Whisper's own limits: text that packs better than this repeats itself, and what is less likely is a guess.
MAX_COMPRESSION, MIN_LOGPROB, MIN_NO_SPEECH = 2.4, -1.0, 0.6
# What a row skips of its piece is decoded by itself when it is longer than this; in frames.
LEFT = 2 * FRAMES_PER_S


@dataclass(frozen=True)
class Stretch:
    """Text between two times, which are frames of the window; its tokens are those of text alone."""

    tokens: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Told:
    """What a row tells.

    Attributes:
        stretches: with text, in time order, inside the piece.
        left: what of the piece it skipped, before, between or behind them, where that is enough to hear by itself.
    """

    stretches: tuple[Stretch, ...]
    left: tuple[Piece, ...]


def told_by(row: Row, tokenizer: "Tokenizer") -> Told:
    """What a row tells, and what it leaves; one without text leaves nothing, since nobody speaks.

    Text without a time that closes it was cut off. Where there is closed text before it, and enough of the piece left,
    it is left to who decodes the rest; else it lasts to the end of the piece.
    """
    piece = row.task.piece
    stretches: list[Stretch] = []
    text: list[int] = []
    opened = piece.start
    for token in row.tokens:
        if token < tokenizer.eot:
            text.append(token)
        elif token >= tokenizer.timestamp_begin:
            at = min(piece.end, piece.start + FRAMES_A_STEP * (token - tokenizer.timestamp_begin))
            if text:
                stretches.append(Stretch(tuple(text), opened, at))
                text = []
            opened = at
    if text and (not stretches or piece.end - opened <= LEFT):
        stretches.append(Stretch(tuple(text), opened, piece.end))
    kept = tuple(each for each in stretches if _has_text(each, tokenizer))
    return Told(kept, tuple(_left(piece, kept)) if kept else ())


def _left(piece: Piece, stretches: Sequence[Stretch]) -> Iterator[Piece]:
    begins = [each.start for each in stretches] + [piece.end]
    ends = [piece.start] + [each.end for each in stretches]
    for start, end in zip(ends, begins, strict=True):
        if end - start > LEFT:
            yield Piece(start, end)


def fails(row: Row, text: str) -> bool:
    """Whether a row repeats itself or is a guess, and there is speech to hear."""
    from whisper.utils import compression_ratio

    guessed = row.logprob < MIN_LOGPROB
    return not is_silence(row) and (guessed or bool(text and compression_ratio(text) > MAX_COMPRESSION))


def is_silence(row: Row) -> bool:
    """Whether nobody speaks, as the model sees it: it says so, and what it wrote is a guess."""
    return row.no_speech > MIN_NO_SPEECH and row.logprob < MIN_LOGPROB


def text_of(stretches: Sequence[Stretch], tokenizer: "Tokenizer") -> str:
    """The text of stretches."""
    return str(tokenizer.decode([token for each in stretches for token in each.tokens])).strip()


def _has_text(stretch: Stretch, tokenizer: "Tokenizer") -> bool:
    return stretch.end > stretch.start and bool(tokenizer.decode(stretch.tokens).strip())
