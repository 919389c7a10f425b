"""How worthwhile a stretch of talk is: a linear model of what editors chose, fitted by ``benchmarks/fit_choice.py``.

A stretch is compared with the rest of its own talk, so that what is usual in a talk (its subject, its pace, how its
speakers talk) counts neither for nor against any part of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from math import exp, log

from madvision_assets.domain.timeline import Unit
from madvision_assets.tools.analyst.features import COUNTS, TalkFeatures

WEIGHTS_FILE = "weights.json"
# So many words of the talk's average are mixed into a stretch: what is said in ten words tells little.
PRIOR_WORDS = 15.0
TERMS = ("pace", "early", "late")
# Beginnings and ends are what they are in talks of this length; in shorter ones they count less.
FULL_LENGTH_S = 1200.0
# Where in a talk editors take most: the edges of a plateau with slopes, as shares of the talk.
EARLY = (0.03, 0.08, 0.33, 0.5)
LATE_FROM = 0.85
MIN_PACE = 0.2  # words a second


@dataclass(frozen=True)
class Weights:
    """Of a stretch: per count (per word, beside the talk's own rate), and per term."""

    counts: Mapping[str, float]
    terms: Mapping[str, float]

    @staticmethod
    @cache
    def shipped() -> "Weights":
        """Those that lie in the package."""
        kept = json.loads((files(__package__) / WEIGHTS_FILE).read_text(encoding="utf-8"))
        return Weights(kept["counts"], kept["terms"])


class Scorer:
    """The model at one talk; every stretch is answered in constant time.

    Args:
        units: of the timeline.
        features: of the same units.
        weights: of the model.
    """

    def __init__(self, units: Sequence[Unit], features: TalkFeatures, weights: Weights) -> None:
        self._units = units
        self._terms = weights.terms
        words = [float(len(each)) for each in features.words]
        self._words = list(accumulate(words, initial=0.0))
        used = [
            (n, weights.counts[name]) for n, name in enumerate(COUNTS) if name in features.known & set(weights.counts)
        ]
        base = sum(weight * features.usual[n] for n, weight in used)
        values = (
            sum(weight * counts[n] for n, weight in used) - base * said
            for counts, said in zip(features.counts, words, strict=True)
        )
        self._values = list(accumulate(values, initial=0.0))
        self._frame = Frame(units, self._words[-1])

    def of(self, first: int, last: int) -> float:
        """How far units ``first`` to ``last``, both inclusive, are above the talk's average; 0 is as good as it."""
        words = self._words[last + 1] - self._words[first]
        said = (self._values[last + 1] - self._values[first]) / (words + PRIOR_WORDS)
        terms = self._frame.terms(self._units[first].start_s, self._units[last].end_s, words)
        return said + sum(self._terms.get(name, 0.0) * value for name, value in zip(TERMS, terms, strict=True))

    def unit(self, position: int) -> float:
        """How far the words of one unit alone are above the average."""
        words = self._words[position + 1] - self._words[position]
        return (self._values[position + 1] - self._values[position]) / (words + PRIOR_WORDS / 2)


class Frame:
    """Where in its talk a stretch lies, and how fast it is spoken."""

    def __init__(self, units: Sequence[Unit], words: float) -> None:
        self._start_s = units[0].start_s if units else 0.0
        self._length_s = max(1.0, units[-1].end_s - self._start_s) if units else 1.0
        self._pace = max(MIN_PACE, words / max(1.0, sum(unit.end_s - unit.start_s for unit in units)))
        self._damping = min(1.0, self._length_s / FULL_LENGTH_S)

    def terms(self, start_s: float, end_s: float, words: float) -> tuple[float, float, float]:
        """In the order of ``TERMS``: pace beside the talk's (logarithm), nearness to early, nearness to the end."""
        at = ((start_s + end_s) / 2 - self._start_s) / self._length_s
        up, top, edge, down = EARLY
        early = min(1.0, max(0.0, (at - up) / (top - up)), max(0.0, (down - at) / (down - edge)))
        late = max(0.0, at - LATE_FROM) / (1 - LATE_FROM)
        pace = log(max(MIN_PACE, words / max(1.0, end_s - start_s)) / self._pace)
        return max(-1.0, min(1.0, pace)), self._damping * early, self._damping * late


def as_score(advantage: float) -> float:
    """An advantage over the talk's average as a score from 0 to 1; the average itself is about 0.5."""
    return 1 / (1 + exp(-advantage))
