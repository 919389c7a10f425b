"""TextTiling: where the topic changes, from words alone.

M. A. Hearst, "TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages", Computational Linguistics 23(1),
1997. The vocabulary of the blocks before and after each gap is compared by cosine; a gap lies as *deep* as the
similarity rises again on both sides of it. Here over several window sizes, whose depths are averaged. Linear in the
number of words.
"""

from collections import Counter
from collections.abc import Sequence
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
    before: Counter[str] = Counter(blocks[0])
    after: Counter[str] = Counter(word for block in blocks[1 : 1 + window] for word in block)
    result = [cosine(before, after)]
    for gap in range(1, len(blocks) - 1):
        _move(before, blocks[gap], blocks[gap - window] if gap >= window else ())
        _move(after, blocks[gap + window] if gap + window < len(blocks) else (), blocks[gap])
        result.append(cosine(before, after))
    return result


def cosine(one: Counter[str], other: Counter[str]) -> float:
    """Cosine of the angle between two bags of words; 0 where one is empty."""
    if len(one) > len(other):
        one, other = other, one
    dot = sum(count * other[word] for word, count in one.items() if word in other)
    if not dot:
        return 0.0
    return dot / sqrt(sum(c * c for c in one.values()) * sum(c * c for c in other.values()))


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


def _move(bag: Counter[str], entering: Sequence[str], leaving: Sequence[str]) -> None:
    for word in entering:
        bag[word] += 1
    for word in leaving:
        bag[word] -= 1
        if not bag[word]:
            del bag[word]
