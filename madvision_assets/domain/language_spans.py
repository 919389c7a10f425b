"""Which language is spoken when: many excerpts vote, and a change has to be worth more than their doubts.

The likeliest sequence of languages (A. J. Viterbi, 1967): each excerpt speaks for its language as surely as an engine
is of it, and each change costs. So one excerpt of music or of a name changes nothing, and a second speaker does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

# What a change costs, in the natural logarithm of likelihoods: less than one excerpt that is quite sure at an edge, or
# than two in the middle, where there are two changes.
CHANGE = 3.5
LEAST_SHARE = 0.02  # nothing is surer than that
# Of what an engine leaves to other languages, the site's own has a half, another one a quarter; and it counts
# three times: above 60 % an engine knows better.
USUAL_REST, OTHER_REST, USUAL_WORTH = 0.5, 0.25, 3.0


@dataclass(frozen=True)
class Vote:
    """What an excerpt is in.

    Attributes:
        at_s: the middle of it, seconds.
        language: ISO 639-1.
        sure: how sure that is, 0 to 1.
    """

    at_s: float
    language: str
    sure: float


@dataclass(frozen=True)
class Spoken:
    """A language, and from when to when it is spoken, seconds."""

    language: str
    start_s: float
    end_s: float


def likeliest(votes: Sequence[Vote], usual: str = "") -> list[str]:
    """The language at each vote.

    Args:
        votes: in time order.
        usual: what the site says of the video's language; empty where it says nothing.
    """
    languages = sorted({vote.language for vote in votes} | ({usual} if usual and votes else set()))
    ways: dict[str, tuple[float, tuple[str, ...]]] = {}
    for vote in votes:
        ways = {each: _continued(ways, each, _likelihood(each, vote, usual)) for each in languages}
    return list(max(ways.values())[1]) if ways else []


def changes(votes: Sequence[Vote], usual: str = "") -> list[tuple[Vote, Vote]]:
    """The neighbouring votes between which the language changes, each with the language as it is decided."""
    decided = [replace(vote, language=each) for vote, each in zip(votes, likeliest(votes, usual), strict=True)]
    return [(before, after) for before, after in pairwise(decided) if before.language != after.language]


def _continued(
    ways: Mapping[str, tuple[float, tuple[str, ...]]], language: str, likelihood: float
) -> tuple[float, tuple[str, ...]]:
    """The likeliest way to a language at a vote, over the language at the vote before."""
    if not ways:
        return likelihood, (language,)
    before_likelihood, way = max(
        (known - (CHANGE if before != language else 0.0), way) for before, (known, way) in ways.items()
    )
    return before_likelihood + likelihood, (*way, language)


def _likelihood(language: str, vote: Vote, usual: str) -> float:
    rest = USUAL_REST if language == usual else OTHER_REST
    share = vote.sure if language == vote.language else (1 - vote.sure) * rest
    return math.log(max(LEAST_SHARE, share * (USUAL_WORTH if language == usual else 1.0)))
