"""Moments of about the same worth, spread: over the thirds of a video, and over what is talked about."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.timeline import Timeline
from madvision_assets.domain.wording import content_stems, words_of

PARTS = 3
# What a full share of one third costs in score, and a moment that speaks of just the same: less than any two grades
# differ, so that it decides between equals alone.
THIRD_COST = 0.008
TOPIC_COST = 0.008
MOST_SHARES = 2.0


class Spread:
    """Which of some moments is to be placed next.

    Args:
        timeline: of the video.
        max_clips: that are wanted.
    """

    def __init__(self, timeline: Timeline, max_clips: int) -> None:
        firsts = [timeline.units[0].start_s, timeline.units[-1].end_s] if timeline.units else [0.0, 0.0]
        third_s = (firsts[1] - firsts[0]) / PARTS
        self._ids = [unit.segment_id for unit in timeline.units]
        self._starts = [unit.start_s for unit in timeline.units]
        self._edges = [firsts[0] + third_s * n for n in range(1, PARTS)]
        self._full = max(1.0, max_clips / PARTS)
        self._taken: Counter[int] = Counter()
        self._topics: list[frozenset[str]] = []

    def next_of(self, moments: Sequence[Moment]) -> Moment:
        """The best, where those that repeat what was taken count for a little less; the first of equals."""
        # Nobody can be better than the first by more than what it may lose.
        least = moments[0].score - MOST_SHARES * THIRD_COST - TOPIC_COST
        near = [moment for moment in moments if moment.score >= least]
        return max(near, key=self._worth)

    def took(self, moment: Moment) -> None:
        """A moment was placed."""
        self._taken[self._third(moment)] += 1
        self._topics.append(_topic(moment))

    def _worth(self, moment: Moment) -> float:
        crowd = min(MOST_SHARES, self._taken[self._third(moment)] / self._full)
        topic = _topic(moment)
        alike = max((len(topic & each) / len(topic | each) for each in self._topics if topic | each), default=0.0)
        return moment.score - THIRD_COST * crowd - TOPIC_COST * alike

    def _third(self, moment: Moment) -> int:
        at = min(max(0, bisect_right(self._ids, moment.first_segment) - 1), len(self._ids) - 1)
        return bisect_right(self._edges, self._starts[at]) if self._ids else 0


def _topic(moment: Moment) -> frozenset[str]:
    return frozenset(content_stems(words_of(f"{moment.title} {moment.quote}")))
