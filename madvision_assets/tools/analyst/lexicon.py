"""What the words of a talk do, by language: lists of phrases that state a reason, tell a story, thank or advertise.

The lists lie in ``words/<language>.toml``, one line for each category. A language without a file has no lexicon; what
is judged by categories then counts as average.
"""

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from madvision_assets.domain.stop_words import STOP_WORDS
from madvision_assets.domain.wording import words_of

# In the order in which counts are given; every file has every one of them.
CATEGORIES = (
    "importance", "problem", "lesson", "result", "reason", "absolute", "contrast", "advice", "comparison",
    "person_first", "person_we", "person_you", "person_third", "people", "negation", "hedge", "belief", "story",
    "speech", "definition", "generic", "condition", "example", "emotion", "numbers", "order", "time", "extreme",
    "filler", "agreement", "thanks", "housekeeping", "advert",
)  # fmt: skip
_FOLDER = "words"
# The words of a text that are looked at to tell its language, and the share that must be function words of it.
_SAMPLE_WORDS, _MIN_SHARE = 3000, 0.15


class Lexicon:
    """Counts phrases by category.

    Args:
        phrases: for each category its phrases, parted by commas; a category without any is not told in this language.
    """

    def __init__(self, phrases: dict[str, str]) -> None:
        self.told = frozenset(name for name in CATEGORIES if phrases.get(name))
        # By first word: the categories that it is of alone, and the phrases that it begins.
        self._by_word: dict[str, tuple[list[int], list[tuple[list[str], int]]]] = {}
        for number, category in enumerate(CATEGORIES):
            for words in filter(None, map(words_of, phrases.get(category, "").split(","))):
                alone, begun = self._by_word.setdefault(words[0], ([], []))
                if len(words) == 1:
                    alone.append(number)
                else:
                    begun.append((words, number))

    def counts(self, words: Sequence[str]) -> list[float]:
        """How often each category is found in a unit's words, in the order of ``CATEGORIES``."""
        out = [0.0] * len(CATEGORIES)
        for at, word in enumerate(words):
            found = self._by_word.get(word)
            if found is None:
                continue
            for number in found[0]:
                out[number] += 1
            for phrase, number in found[1]:
                if words[at : at + len(phrase)] == phrase:
                    out[number] += 1
        return out


@cache
def lexicon_of(language: str) -> Lexicon | None:
    """The lexicon of a language (ISO 639-1); None where there is none."""
    file = files(__package__) / _FOLDER / f"{language}.toml"
    return Lexicon(tomllib.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def language_of(said: str, words: Iterable[Sequence[str]]) -> str:
    """The language of a transcript: what it says of itself, else the one whose function words are met most.

    Args:
        said: a code such as ``en`` or ``pt-BR``; may be empty.
        words: of each unit.

    Returns:
        An ISO 639-1 code, or an empty string where no language that is known fits.
    """
    code = said.lower().replace("_", "-").partition("-")[0]
    if code and code != "und":
        return code
    sample = [word for unit in words for word in unit][:_SAMPLE_WORDS]
    shares = {each: sum(word in stop for word in sample) / max(1, len(sample)) for each, stop in STOP_WORDS.items()}
    best = max(shares, key=lambda each: shares[each])
    return best if shares[best] >= _MIN_SHARE else ""
