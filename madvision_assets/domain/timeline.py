"""The transcript as a line of units, each of which is either wholly in a clip or wholly out of it.

A unit is a segment; only a segment that is longer than a clip may be falls into several, at its words. Units follow
each other in time and never overlap, whatever the speech engine says, and lie inside the media.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf

from madvision_assets.domain.quotes import Found, SaidWords
from madvision_assets.domain.transcript import Segment, Transcript, Word
from madvision_assets.domain.wording import ends_sentence

# Measured taste of the field: a clip may start so much before its first word and end so much after its last.
MAX_LEAD_S = 0.35
MAX_TAIL_S = 0.45


@dataclass(frozen=True)
class Unit:
    """Speech that is not cut: from its first word's start to its last word's end, seconds."""

    segment_id: int
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Span:
    """Units from ``first`` to ``last``, both inclusive, as positions in the timeline."""

    first: int
    last: int

    def holds(self, other: "Span") -> bool:
        """Whether the other span lies in this one."""
        return self.first <= other.first and other.last <= self.last


class Timeline:
    """Units in time order, found by segment ID and by what is said.

    Args:
        transcript: may have segments without words.
        media_duration_s: what lies after it is left out.
        longest_s: a segment of more than so many seconds is split at its words.
    """

    def __init__(self, transcript: Transcript, media_duration_s: float, longest_s: float) -> None:
        self._media_duration_s = media_duration_s
        self.known_segments = frozenset(segment.id for segment in transcript.segments)
        self.units = tuple(_monotone(_units(transcript, longest_s), media_duration_s))
        self._ids = [unit.segment_id for unit in self.units]

    def span_of(self, first_segment: int, last_segment: int) -> Span | None:
        """The units of these segments; None where none of them lies inside the media."""
        span = Span(bisect_left(self._ids, first_segment), bisect_right(self._ids, last_segment) - 1)
        return span if span.first <= span.last else None

    @cached_property
    def _said(self) -> SaidWords:
        return SaidWords([unit.text for unit in self.units])

    def find(self, quote: str, within: Span) -> tuple[Span, Found] | None:
        """The units that the quote lies in, and how it is said there; None where it is not."""
        found = self._said.find(quote, within.first, within.last)
        return (Span(found.first, found.last), found) if found else None

    def text_of(self, span: Span) -> str:
        """What is said in a span."""
        return " ".join(unit.text for unit in self.units[span.first : span.last + 1])

    def speech_s(self, span: Span) -> float:
        """Seconds from the first word's start to the last word's end."""
        return self.units[span.last].end_s - self.units[span.first].start_s

    def gap_s(self, position: int) -> float:
        """Silence between a unit and the next, seconds; unbounded before the first and after the last."""
        if position < 0 or position + 1 >= len(self.units):
            return inf
        return self.units[position + 1].start_s - self.units[position].end_s

    def cut_s(self, span: Span) -> tuple[float, float]:
        """Start and end at which the span is cut: some air on both sides, never more than half of the silence there.

        Both sides of a silence meet in the same middle, so that spans which follow each other never overlap.
        """
        first, last = self.units[span.first], self.units[span.last]
        before = self.units[span.first - 1] if span.first else None
        after = self.units[span.last + 1] if span.last + 1 < len(self.units) else None
        start_s = max(0.0, first.start_s - MAX_LEAD_S, _middle(before, first) if before else 0.0)
        end_s = min(self._media_duration_s, last.end_s + MAX_TAIL_S, _middle(last, after) if after else inf)
        return start_s, end_s


def _middle(left: Unit, right: Unit) -> float:
    # Written so that rounding cannot carry it into either unit.
    return min(right.start_s, left.end_s + (right.start_s - left.end_s) / 2)


def _units(transcript: Transcript, longest_s: float) -> Iterator[Unit]:
    for segment in transcript.segments:
        if segment.words and _words_s(segment.words) > longest_s:
            yield from _pieces(segment, longest_s)
        elif segment.words:
            start_s, end_s = segment.words[0].start_s, max(word.end_s for word in segment.words)
            yield Unit(segment.id, start_s, end_s, segment.text)
        else:
            yield Unit(segment.id, segment.start_s, segment.end_s, segment.text)


def _pieces(segment: Segment, longest_s: float) -> Iterator[Unit]:
    """A long segment's sentences, or parts of half a clip's length where it has none."""
    piece: list[Word] = []
    for word in segment.words:
        if piece and (ends_sentence(piece[-1].text) or word.end_s - piece[0].start_s > longest_s / 2):
            yield _piece(segment.id, piece)
            piece = []
        piece.append(word)
    yield _piece(segment.id, piece)


def _piece(segment_id: int, words: list[Word]) -> Unit:
    text = " ".join(word.text for word in words)
    return Unit(segment_id, words[0].start_s, max(word.end_s for word in words), text)


def _words_s(words: tuple[Word, ...]) -> float:
    return words[-1].end_s - words[0].start_s


def _monotone(units: Iterator[Unit], media_duration_s: float) -> Iterator[Unit]:
    """Units that do not overlap and end with the media; those that begin after its end are left out."""
    clock_s = 0.0
    for unit in units:
        start_s = max(unit.start_s, clock_s)
        if start_s >= media_duration_s:
            return
        clock_s = max(start_s, min(unit.end_s, media_duration_s))
        yield Unit(unit.segment_id, start_s, clock_s, unit.text)
