"""Which stretches of a talk make the best clips: topic boundaries, pauses and insight, weighed by dynamic programming.

Units are first joined to blocks of a fraction of a clip's length, so that the work is linear in the length of the talk
and does not grow with how long a clip may be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from statistics import median

from madvision_assets.domain.selection import WEAK_BELOW, goes_on, leans_back
from madvision_assets.domain.text_tiling import boundary_strengths
from madvision_assets.domain.timeline import Span, Timeline

# A silence of so many seconds, and half as long again as the usual gap, is a pause; twice as long, a full boundary.
PAUSE_S = 1.0
# From so strong a boundary on, a block ends early.
CLEAR_BOUNDARY = 0.5
# A clip is about so many blocks long at most.
BLOCKS_PER_CLIP = 24
# Mean insight of sentences that could hardly be better.
FULL_INSIGHT = 0.55
# A passage with fewer different words that carry a topic says nothing, or the same thing over and over.
MIN_DISTINCT_WORDS = 8
# Share of the score that a passage's edges decide; what is said decides the rest.
FORM_SHARE = 0.45
# How much a full boundary in the middle of a passage takes from its form.
CROSSING_COST = 0.6


@dataclass(frozen=True)
class Passage:
    """Units that make a clip together; ``score`` (0 to 1) weighs what they say and how well they are delimited."""

    span: Span
    score: float


def best_passages(
    timeline: Timeline, stems: Sequence[Sequence[str]], insights: Sequence[float], limits_s: tuple[float, float]
) -> list[Passage]:
    """The passages that together hold the most seconds of insight; they do not overlap and come in time order.

    Args:
        timeline: the units.
        stems: for each unit the words that carry a topic.
        insights: for each unit how much it says, 0 to 1.
        limits_s: shortest and longest speech of a passage, seconds.
    """
    search = _Search(timeline, stems, insights, limits_s)
    count = len(search.blocks)
    best = [0.0] * (count + 1)
    ending_here: list[tuple[int, Passage] | None] = [None] * (count + 1)
    for start in range(count):
        if best[start] > best[start + 1]:
            best[start + 1], ending_here[start + 1] = best[start], None
        for end, passage in search.passages_from(start):
            worth = best[start] + (passage.score - WEAK_BELOW) * timeline.speech_s(passage.span)
            if worth > best[end]:
                best[end], ending_here[end] = worth, (start, passage)
    return _traced_back(ending_here)


def boundaries_of(timeline: Timeline, stems: Sequence[Sequence[str]]) -> list[float]:
    """For each unit how strong the boundary after it is, 0 to 1: change of topic and pause together."""
    count = len(timeline.units)
    gaps_s = [timeline.gap_s(position) for position in range(count - 1)]
    pause_s = max(PAUSE_S, 1.5 * median(gaps_s)) if gaps_s else PAUSE_S
    pauses = [min(1.0, gap_s / (2 * pause_s)) if gap_s >= pause_s else 0.0 for gap_s in gaps_s]
    inner = [min(1.0, pause + topic) for pause, topic in zip(pauses, boundary_strengths(stems), strict=True)]
    return [*inner, 1.0] if count else []


class _Search:
    """What the search looks up: blocks of units, the boundaries after them, and sums over the units before each."""

    def __init__(
        self,
        timeline: Timeline,
        stems: Sequence[Sequence[str]],
        insights: Sequence[float],
        limits_s: tuple[float, float],
    ) -> None:
        self._timeline = timeline
        self._stems = stems
        self._shortest_s, self._longest_s = limits_s
        self._boundaries = boundaries_of(timeline, stems)
        self.blocks = list(self._joined(self._longest_s / BLOCKS_PER_CLIP))
        lengths_s = [unit.end_s - unit.start_s for unit in timeline.units]
        self._speech_sum_s = list(accumulate(lengths_s, initial=0.0))
        self._insight_sum_s = list(accumulate(map(mul, insights, lengths_s), initial=0.0))
        positions = range(len(timeline.units))
        before = [1.0, *self._boundaries]
        self._opening = [0.0 if leans_back(timeline, at) else (1 + before[at]) / 2 for at in positions]
        self._closing = [0.0 if goes_on(timeline, at) else (1 + self._boundaries[at]) / 2 for at in positions]

    def passages_from(self, start: int) -> Iterator[tuple[int, Passage]]:
        """Every passage worth a clip that begins with this block, with the number of the block that follows it."""
        crossed = 0.0
        distinct: set[str] = set()
        for end in range(start, len(self.blocks)):
            block = self.blocks[end]
            span = Span(self.blocks[start].first, block.last)
            speech_s = self._timeline.speech_s(span)
            if speech_s > self._longest_s:
                return
            distinct.update(*self._stems[block.first : block.last + 1])
            if speech_s >= self._shortest_s and len(distinct) >= MIN_DISTINCT_WORDS:
                score = self._score(span, crossed)
                if score > WEAK_BELOW:
                    yield end + 1, Passage(span, score)
            crossed = max(crossed, self._boundaries[span.last])

    def _score(self, span: Span, crossed: float) -> float:
        speech_s = self._speech_sum_s[span.last + 1] - self._speech_sum_s[span.first]
        insight_s = self._insight_sum_s[span.last + 1] - self._insight_sum_s[span.first]
        says = min(1.0, insight_s / (speech_s * FULL_INSIGHT)) if speech_s else 0.0
        edges = (self._opening[span.first] + self._closing[span.last]) / 2
        form = max(0.0, edges - CROSSING_COST * crossed)
        return says * (1 - FORM_SHARE + FORM_SHARE * form)

    def _joined(self, block_s: float) -> Iterator[Span]:
        """Units joined until they last as long as a block, or half as long where a clear boundary follows."""
        first = 0
        for position, boundary in enumerate(self._boundaries):
            length_s = self._timeline.speech_s(Span(first, position))
            is_clear = boundary >= CLEAR_BOUNDARY
            if length_s >= (block_s / 2 if is_clear else block_s) or position + 1 == len(self._boundaries):
                yield Span(first, position)
                first = position + 1


def _traced_back(ending_here: Sequence[tuple[int, Passage] | None]) -> list[Passage]:
    """The chosen passages, from the last one back to the first, turned round."""
    passages = []
    position = len(ending_here) - 1
    while position > 0:
        step = ending_here[position]
        if step is None:
            position -= 1
        else:
            position = step[0]
            passages.append(step[1])
    return passages[::-1]
