"""What is said for the show and not of its subject: adverts, greetings, thanks, calls to subscribe."""

from collections.abc import Sequence
from itertools import accumulate

from madvision_assets.domain.timeline import Unit
from madvision_assets.tools.analyst.features import COUNTS, TalkFeatures

# Phrases are weighed by how surely they are said for the show.
WEIGHTS = {"advert": 1.0, "housekeeping": 0.6, "thanks": 0.4}
# A unit is part of it where the units around it, for so many seconds on both sides, hold so much per 100 words.
AROUND_S, FULL_PER_100_WORDS = 12.0, 4.0
# At the talk's edges, where shows greet and take leave, half of that is enough.
EDGE_S, EDGE_SHARE, AT_EDGE = 90.0, 0.05, 0.6
MIN_WEIGHT = 2.0


def said_for_the_show(units: Sequence[Unit], features: TalkFeatures) -> list[bool]:
    """For each unit whether it is in a passage of such phrases; nowhere in a language without a lexicon."""
    numbers = [(COUNTS.index(name), weight) for name, weight in WEIGHTS.items() if name in features.known]
    if not numbers or not units:
        return [False] * len(units)
    weights = [sum(weight * counts[n] for n, weight in numbers) for counts in features.counts]
    weight_sums = list(accumulate(weights, initial=0.0))
    word_sums = list(accumulate(map(len, features.words), initial=0))
    edge_s = min(EDGE_S, EDGE_SHARE * (units[-1].end_s - units[0].start_s))
    flags = []
    first = last = 0
    for at, unit in enumerate(units):
        while units[first].end_s < unit.start_s - AROUND_S:
            first += 1
        while last + 1 < len(units) and units[last + 1].start_s <= unit.end_s + AROUND_S:
            last += 1
        weight = weight_sums[last + 1] - weight_sums[first]
        words = max(1, word_sums[last + 1] - word_sums[first])
        at_edge = unit.start_s - units[0].start_s < edge_s or units[-1].end_s - unit.end_s < edge_s
        needed = FULL_PER_100_WORDS * (AT_EDGE if at_edge else 1.0)
        own = weights[at] > 0 or weight > 2 * MIN_WEIGHT
        flags.append(own and weight >= MIN_WEIGHT and 100 * weight / words >= needed)
    return _closed(flags)


def _closed(flags: list[bool]) -> list[bool]:
    """The flags with gaps of one or two units between two of them closed."""
    out = list(flags)
    for at in range(1, len(flags) - 1):
        if not flags[at] and flags[at - 1] and (flags[at + 1] or (at + 2 < len(flags) and flags[at + 2])):
            out[at] = True
    return out
