"""Words with their times, of stretches of text and the map from text to time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.tools.speech.batched.alignment import Map, begins
from madvision_assets.tools.speech.batched.pieces import FRAMES_PER_S, Piece
from madvision_assets.tools.speech.batched.transcript import FRAMES_A_STEP, Stretch

if TYPE_CHECKING:
    from whisper.timing import WordTiming
    from whisper.tokenizer import Tokenizer

# Whisper's own: marks that go with the word after them, and with that before.
BEFORE, AFTER = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - of languages that have these
ENDS = ".。!！?？"  # noqa: RUF001 - likewise
LONGEST_MEDIAN_S = 0.7  # a word lasts no longer than this, in the middle; and none at a sentence's end twice as long
FAR_S = 0.5  # from the stretch's own times: then a word's are wrong


def segments(
    piece: Piece, stretches: Sequence[Stretch], found: Map, tokenizer: "Tokenizer"
) -> tuple[HeardSegment, ...]:
    """The segments of a row, in seconds of the window, with words that rise and stay in their piece.

    Args:
        piece: that was decoded.
        stretches: of it, with text.
        found: the map of all their tokens.
        tokenizer: of the model.
    """
    from whisper.timing import merge_punctuations

    words = list(_timed(stretches, found, tokenizer))
    usual_s = _usual_s(words)
    _shorten(words, 2 * usual_s)
    merge_punctuations(words, BEFORE, AFTER)
    out, at = [], 0
    for stretch in stretches:
        own: list[WordTiming] = []
        tokens = 0
        while at < len(words) and tokens < len(stretch.tokens):
            tokens += len(words[at].tokens)
            own += [words[at]] if words[at].word else []  # a mark that went to its word has none of its own
            at += 1
        out.append(_segment(piece, stretch, own, usual_s, str(tokenizer.decode(stretch.tokens))))
    return tuple(out)


def in_order(found: Iterable[HeardSegment]) -> Iterator[HeardSegment]:
    """Segments by when they are, none of whose words begins before the one before it has ended."""
    until_s = 0.0
    for segment in sorted(found, key=lambda each: (each.start_s, each.end_s)):
        words = []
        for word in segment.words:
            start_s = max(word.start_s, until_s)
            until_s = max(word.end_s, start_s)
            words.append(replace(word, start_s=start_s, end_s=until_s))
        start_s, end_s = (words[0].start_s, words[-1].end_s) if words else (segment.start_s, segment.end_s)
        yield replace(segment, start_s=start_s, end_s=end_s, words=tuple(words))


def _timed(stretches: Sequence[Stretch], found: Map, tokenizer: "Tokenizer") -> "Iterator[WordTiming]":
    """Words in seconds of their piece, marks apart."""
    from whisper.timing import WordTiming

    tokens = [token for stretch in stretches for token in stretch.tokens]
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    at_s = begins(found.costs) * FRAMES_A_STEP / FRAMES_PER_S
    first = 0
    for text, group in zip(texts[:-1], groups[:-1], strict=True):
        last = first + len(group)
        probability = float(found.probabilities[first:last].mean())
        yield WordTiming(text, group, float(at_s[first]), float(at_s[last]), probability)
        first = last


def _usual_s(words: "Sequence[WordTiming]") -> float:
    """How long words last, in the middle, seconds."""
    lengths = sorted(word.end - word.start for word in words if word.end > word.start)
    return min(LONGEST_MEDIAN_S, lengths[len(lengths) // 2]) if lengths else 0.0


def _shorten(words: "Sequence[WordTiming]", most_s: float) -> None:
    """Take the pauses at the ends of sentences from the words there; the path gives a pause to one of them."""
    for before, word in pairwise(words):
        if word.end - word.start > most_s > 0:
            if word.word in ENDS:
                word.end = word.start + most_s
            elif before.word in ENDS:
                word.start = word.end - most_s


def _segment(piece: Piece, stretch: Stretch, words: "Sequence[WordTiming]", usual_s: float, text: str) -> HeardSegment:
    """A stretch with its words; where its first or last word strays far from its own times, those are believed."""
    if not words:
        return HeardSegment(text, stretch.start / FRAMES_PER_S, stretch.end / FRAMES_PER_S)
    own_s = [(piece.start_s + word.start, piece.start_s + word.end) for word in words]
    start_s, end_s = stretch.start / FRAMES_PER_S, stretch.end / FRAMES_PER_S
    if own_s[0][0] < start_s - FAR_S and start_s < own_s[0][1]:
        own_s[0] = min(own_s[0][1] - usual_s, start_s), own_s[0][1]
    if own_s[-1][1] > end_s + FAR_S and end_s > own_s[-1][0]:
        own_s[-1] = own_s[-1][0], max(own_s[-1][0] + usual_s, end_s)

    def inside(at_s: float) -> float:
        return round(min(max(at_s, piece.start_s), piece.end_s), 2)

    heard = tuple(
        HeardWord(word.word, inside(begin_s), inside(max(begin_s, stop_s)), word.probability)
        for word, (begin_s, stop_s) in zip(words, own_s, strict=True)
    )
    return HeardSegment(text, heard[0].start_s, heard[-1].end_s, heard)
