"""How much a sentence has to say, judged by rules: cue phrases, rare words, and few empty ones.

The cue phrases are English; in other languages rare words and density decide alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from madvision_assets.domain.wording import content_stems, words_of

# Shares of the three parts in a sentence's insight.
CUE_SHARE, INFORMATION_SHARE, DENSITY_SHARE = 0.45, 0.35, 0.2
# So many distinct words, each said nowhere else, make a sentence as informative as it gets.
FULL_INFORMATION_STEMS = 5.0
_NUMBER_WORDS = "two three four five six seven eight nine ten twenty fifty hundred thousand million billion percent"


@dataclass(frozen=True)
class Cue:
    """A pattern in a sentence that says it matters.

    Attributes:
        name: for a person, fits after "cues:".
        weight: what it adds, 0 to 1; a sentence's cues add up to at most 1.
        pattern: found anywhere in the sentence, whatever the case.
    """

    name: str
    weight: float
    pattern: re.Pattern[str]


def _cue(name: str, weight: float, pattern: str) -> Cue:
    return Cue(name, weight, re.compile(pattern, re.IGNORECASE))


CUES = (
    _cue("a question", 0.3, r"\?\s*[\"')\u2019\u201d]*\s*$"),
    _cue("a statement of importance", 0.5, r"\b(important|crucial|key (point|idea|thing)|essential|most of all)\b"),
    _cue("a problem", 0.4, r"\b(problem|mistake|wrong|fail(s|ed|ure)?|bug|trouble|hard part|challenge)\b"),
    _cue("a lesson", 0.5, r"\b(learn(ed|t)?|lesson|realiz|realis|turn(s|ed) out|found out|discovered|secret)\b"),
    _cue("a result", 0.4, r"\b(results?|solution|answer|improved?|reduced|doubled|halved|outcome|that is why)\b"),
    _cue("a reason", 0.3, r"\b(because|the reason|therefore|which means|that means)\b"),
    _cue("an absolute", 0.25, r"\b(first|never|always|every|nobody|nothing|everyone|only|best|worst|biggest)\b"),
    _cue("a number", 0.25, r"\d|\b(" + "|".join(_NUMBER_WORDS.split()) + r")\b"),
    _cue("a contrast", 0.25, r"\b(but|however|instead|although|unlike|rather than|on the other hand|while)\b"),
    _cue("advice", 0.3, r"\b(you (should|must|need to|have to)|never do|make sure|remember|imagine)\b"),
)


def cues_in(sentence: str) -> list[Cue]:
    """The cues of a sentence, in the order of ``CUES``."""
    return [cue for cue in CUES if cue.pattern.search(sentence)]


class Rarity:
    """How rarely each stem is said: 1 for one that a single block has, towards 0 for one that every block has.

    Inverse document frequency, K. Sparck Jones 1972, with sentences as documents and scaled to 1.

    Args:
        blocks: the stems of each sentence.
    """

    def __init__(self, blocks: Sequence[Iterable[str]]) -> None:
        self._blocks = len(blocks)
        self._blocks_with = Counter(stem for block in blocks for stem in set(block))

    def of(self, stem: str) -> float:
        """Rarity of a stem; one that was never seen is as rare as can be."""
        most = log(1 + self._blocks)
        return log((1 + self._blocks) / max(1, self._blocks_with[stem])) / most if most else 0.0


def insight(sentence: str, rarity: Rarity) -> float:
    """How much a sentence has to say, 0 to 1; 0 for one of fillers only."""
    words = words_of(sentence)
    stems = content_stems(words)
    if not stems:
        return 0.0
    cues = min(1.0, sum(cue.weight for cue in cues_in(sentence)))
    information = min(1.0, sum(map(rarity.of, set(stems))) / FULL_INFORMATION_STEMS)
    return CUE_SHARE * cues + INFORMATION_SHARE * information + DENSITY_SHARE * len(stems) / len(words)
