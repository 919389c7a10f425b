"""TextTiling: where the topic changes, from words alone.

M. A. Hearst, "TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages", Computational Linguistics 23(1),
1997. The vocabulary of the blocks before and after each gap is compared by cosine; a gap lies as *deep* as the
similarity rises again on both sides of it. Here over several window sizes, whose depths are averaged. Linear in the
number of words.
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import fmean, pstdev

# In blocks (sentences) on each side of a gap: from a remark to a section of a talk.
WINDOW_SIZES = (3, 6, 10)
# Depths further than this many standard deviations above the mean count as full boundaries.
FULL_BOUNDARY_DEVIATIONS = 2.0


def boundary_strengths(blocks: Sequence[Sequence[str]], window_sizes: Sequence[int] = WINDOW_SIZES) -> list[float]:
    """How much the topic changes after each block but the last.

    Args:
        blocks: the stems of each sentence that carry a topic, in order.
        window_sizes: in blocks.

    Returns:
        A value from 0 (same topic) to 1 (another) for each of the ``len(blocks) - 1`` gaps.
    """
    if len(blocks) < 2:  # noqa: PLR2004 - one block has no gap
        return []
    depths = [depth_scores(similarities(blocks, size)) for size in window_sizes]
    mean_depths = [fmean(column) for column in zip(*depths, strict=True)]
    mean, deviation = fmean(mean_depths), pstdev(mean_depths)
    if deviation == 0:
        return [0.0] * len(mean_depths)
    scale = FULL_BOUNDARY_DEVIATIONS * deviation
    return [min(1.0, max(0.0, (depth - mean) / scale)) for depth in mean_depths]


def similarities(blocks: Sequence[Sequence[str]], window: int) -> list[float]:
    """Cosine between the words of up to ``window`` blocks before and after each gap."""
    before, after = _Bag(), _Bag()
    before.add(blocks[0])
    for block in blocks[1 : 1 + window]:
        after.add(block)
    result = [before.cosine(after)]
    for gap in range(1, len(blocks) - 1):
        before.add(blocks[gap])
        if gap >= window:
            before.remove(blocks[gap - window])
        if gap + window < len(blocks):
            after.add(blocks[gap + window])
        after.remove(blocks[gap])
        result.append(before.cosine(after))
    return result


def depth_scores(values: Sequence[float]) -> list[float]:
    """For each value how far the curve rises from it to the peak on its left, plus likewise on its right."""
    left = _peaks(values)
    right = _peaks(values[::-1])[::-1]
    return [a + b - 2 * value for a, b, value in zip(left, right, values, strict=True)]


def _peaks(values: Sequence[float]) -> list[float]:
    """For each value the height reached by going left for as long as the curve does not fall."""
    peaks: list[float] = []
    for position, value in enumerate(values):
        climbs = position > 0 and values[position - 1] >= value
        peaks.append(peaks[-1] if climbs else value)
    return peaks


class _Bag:
    """A bag of words that words enter and leave; keeps the square of its length, so that no word is looked at twice."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.square = 0

    def add(self, words: Iterable[str]) -> None:
        """Take words in."""
        counts = self.counts
        for word in words:
            count = counts.get(word, 0)
            self.square += 2 * count + 1
            counts[word] = count + 1

    def remove(self, words: Iterable[str]) -> None:
        """Let words go that were taken in."""
        counts = self.counts
        for word in words:
            count = counts[word]
            self.square -= 2 * count - 1
            if count > 1:
                counts[word] = count - 1
            else:
                del counts[word]

    def cosine(self, other: "_Bag") -> float:
        """Cosine of the angle between two bags; 0 where one is empty."""
        one, two = self.counts, other.counts
        dot = sum([one[word] * two[word] for word in one.keys() & two.keys()])
        return dot / sqrt(self.square * other.square) if dot else 0.0
