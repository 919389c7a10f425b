"""Which stretches of a talk make the best clips: what the model makes of their words, and where they begin and end.

For every unit that may open a clip the best end is looked for, among ends that give about the length that is wanted;
the best of all these stretches are taken that do not overlap.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from statistics import median

from madvision_assets.domain.selection import goes_on, leans_back
from madvision_assets.domain.text_tiling import boundary_strengths
from madvision_assets.domain.timeline import Span, Timeline
from madvision_assets.domain.wording import is_question
from madvision_assets.tools.analyst.features import TalkFeatures
from madvision_assets.tools.analyst.model import Scorer, as_score

# A silence of so many seconds, and half as long again as the usual gap, is a pause; twice as long, a full boundary.
PAUSE_S = 1.0
# A passage with fewer different words that carry a topic says nothing, or the same thing over and over.
MIN_DISTINCT_WORDS, MIN_IN_SHORT, SHORT_S = 8, 5, 20.0
# Highlights of a short talk are shorter: so many would fill it, and this is as long as one is without being asked.
SHORT_TALK_CLIPS, USUAL_S = 6, 60.0
# Ends are tried from this share of the wanted length on, and about so many of them.
SHORTEST_SHARE, ENDS_TRIED = 0.6, 12
STARTS_PER_CLIP = 30
# Of what is said, no more than this is offered as its highlights; a few are offered of the shortest talk.
MAX_SHARE, MIN_OFFERED = 0.6, 4

# What form is worth beside words, in the model's unit. Set by hand and kept small: what is said decides.
PAUSE_WORTH, TOPIC_WORTH = 0.6, 0.1  # of a long pause, and of a change of topic, at an edge
PAUSE_COST, TOPIC_COST = 0.8, 0.2  # of the same in the middle
LEANS_COST, GOES_ON_COST = 0.2, 0.3
ANSWERED_WORTH = 0.1  # of opening with a question that is answered
OPEN_QUESTION_COST = 1.5  # of ending with one that is not
LENGTH_WORTH = 1.5  # of lasting e times as long


@dataclass(frozen=True)
class Passage:
    """Units that make a clip together.

    Attributes:
        span: the units.
        score: 0 to 1; 0.5 is what the talk's average would get.
        criteria: what its words, its edges, the breaks inside of it and its length are worth, in the model's unit.
    """

    span: Span
    score: float
    criteria: Mapping[str, float]


def wanted_length_s(speech_s: float, limits_s: tuple[float, float], clips: int) -> float:
    """How long clips had best be: as long as is allowed, but shorter where the talk is.

    Args:
        speech_s: of the whole talk.
        limits_s: of a clip.
        clips: how many are wanted.
    """
    fitting_s = max(MAX_SHARE * speech_s / clips, min(USUAL_S, speech_s / SHORT_TALK_CLIPS))
    return max(limits_s[0], min(limits_s[1], fitting_s))


def best_passages(
    timeline: Timeline,
    features: TalkFeatures,
    scorer: Scorer,
    left_out: Sequence[bool],
    limits_s: tuple[float, float],
    clips: int,
    offered: int,
    may_be: Callable[[Span], bool] = lambda _span: True,
) -> list[Passage]:
    """The best passages, best first, none over another.

    Args:
        timeline: the units.
        features: of each unit.
        scorer: says how good a stretch is.
        left_out: for each unit whether nothing of it may be in a clip.
        limits_s: shortest and longest speech of a passage.
        clips: how many clips are wanted.
        offered: at most so many passages.
        may_be: whether a stretch may be a passage.
    """
    speech_s = sum(unit.end_s - unit.start_s for unit in timeline.units)
    wanted_s = wanted_length_s(speech_s, limits_s, clips)
    shortest_s = max(limits_s[0], SHORTEST_SHARE * wanted_s)
    search = _Search(timeline, features, scorer, left_out, (shortest_s, wanted_s, limits_s[1]), may_be)
    best_first = sorted(search.found(), key=lambda found: (-found[0], found[1].first))
    room_s = MAX_SHARE * speech_s
    taken: list[Passage] = []
    free = [True] * len(timeline.units)
    for worth, span in best_first:
        if len(taken) >= offered:
            break
        if not (free[span.first] and free[span.last] and all(free[span.first : span.last + 1])):
            continue
        length_s = timeline.speech_s(span)
        if length_s > room_s and len(taken) >= MIN_OFFERED:
            continue
        room_s -= length_s
        free[span.first : span.last + 1] = [False] * (span.last + 1 - span.first)
        taken.append(Passage(span, as_score(worth), search.criteria(span)))
    return taken


def pauses_of(timeline: Timeline) -> list[float]:
    """For each unit how much of a pause follows it, 0 to 1."""
    count = len(timeline.units)
    gaps_s = [timeline.gap_s(position) for position in range(count - 1)]
    pause_s = max(PAUSE_S, 1.5 * median(gaps_s)) if gaps_s else PAUSE_S
    inner = [min(1.0, gap_s / (2 * pause_s)) if gap_s >= pause_s else 0.0 for gap_s in gaps_s]
    return [*inner, 1.0] if count else []


class _Search:
    """What the search looks up of each unit, worked out once."""

    def __init__(
        self,
        timeline: Timeline,
        features: TalkFeatures,
        scorer: Scorer,
        left_out: Sequence[bool],
        lengths_s: tuple[float, float, float],
        may_be: Callable[[Span], bool],
    ) -> None:
        self._may_be = may_be
        self._timeline, self._scorer = timeline, scorer
        self._shortest_s, self._longest_s, self._most_s = lengths_s
        self._stems = features.stems
        self._ends_s = [unit.end_s for unit in timeline.units]
        count = len(timeline.units)
        asked = [is_question(unit.text) for unit in timeline.units]
        pauses, topics = pauses_of(timeline), [*boundary_strengths(features.stems), 1.0][:count]
        edges = [PAUSE_WORTH * pause + TOPIC_WORTH * topic for pause, topic in zip(pauses, topics, strict=True)]
        self._crossing = [PAUSE_COST * pause + TOPIC_COST * topic for pause, topic in zip(pauses, topics, strict=True)]
        self._opening = [
            (edges[at - 1] if at else PAUSE_WORTH + TOPIC_WORTH)
            - LEANS_COST * leans_back(timeline, at)
            + ANSWERED_WORTH * (asked[at] and at + 2 < count and not asked[at + 1] and not asked[at + 2])
            for at in range(count)
        ]
        self._closing = [
            edges[at] - GOES_ON_COST * goes_on(timeline, at) - OPEN_QUESTION_COST * asked[at] for at in range(count)
        ]
        self._next_left_out = _next_true(left_out)

    def found(self) -> Iterator[tuple[float, Span]]:
        """For each unit that may open a passage the best one that it opens, with what it is worth."""
        tried_s = -inf
        for first, unit in enumerate(self._timeline.units):
            # Where clips are long, beginnings close to each other are not told apart, but for clear ones.
            if unit.start_s - tried_s < self._longest_s / STARTS_PER_CLIP and self._opening[first] < PAUSE_WORTH:
                continue
            tried_s = unit.start_s
            best = max(self._from(first), default=None)
            if best is not None and self._says_enough(Span(first, best[1])):
                yield best[0], Span(first, best[1])

    def criteria(self, span: Span) -> dict[str, float]:
        """What a passage is worth, by what it is worth it for."""
        return {
            "words": self._scorer.of(span.first, span.last),
            "opening": self._opening[span.first],
            "closing": self._closing[span.last],
            "breaks": -max(self._crossing[span.first : span.last], default=0.0),
            "length": self._length_worth(span.first, span.last),
        }

    def _length_worth(self, first: int, last: int) -> float:
        lasts_s = self._ends_s[last] - self._timeline.units[first].start_s
        return LENGTH_WORTH * log(lasts_s / self._longest_s)

    def _from(self, first: int) -> Iterator[tuple[float, int]]:
        start_s = self._timeline.units[first].start_s
        end = bisect_left(self._ends_s, start_s + self._shortest_s, lo=first)
        after = bisect_left(self._ends_s, start_s + self._longest_s + 1e-6, lo=first)
        if after <= end < len(self._ends_s) and self._ends_s[end] <= start_s + self._most_s + 1e-6:
            after = end + 1  # the wanted length lies inside of a sentence: a bit more, rather than nothing
        after = min(after, self._next_left_out[first])
        if end >= after:
            return
        step = max(1, (after - end) // ENDS_TRIED)
        crossed = max(self._crossing[first:end], default=0.0)
        opening = self._opening[first]
        for last in range(end, after, step):
            form = opening + self._closing[last] - crossed + self._length_worth(first, last)
            if self._may_be(Span(first, last)):
                yield self._scorer.of(first, last) + form, last
            crossed = max(crossed, *self._crossing[last : last + step])

    def _says_enough(self, span: Span) -> bool:
        needed = MIN_DISTINCT_WORDS if self._timeline.speech_s(span) >= SHORT_S else MIN_IN_SHORT
        distinct: set[str] = set()
        for stems in self._stems[span.first : span.last + 1]:
            distinct.update(stems)
            if len(distinct) >= needed:
                return True
        return False


def _next_true(flags: Sequence[bool]) -> list[int]:
    """For each position the first one from there on that is true; their number where there is none."""
    out = [len(flags)] * len(flags)
    found = len(flags)
    for at in range(len(flags) - 1, -1, -1):
        found = at if flags[at] else found
        out[at] = found
    return out
