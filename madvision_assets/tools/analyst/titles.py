"""What a clip is called, quoted with and recommended by: whole sentences of its own, and a reason in plain words."""

import re
from collections import Counter
from collections.abc import Sequence

from madvision_assets.domain.selection import BACKREFERENCES, CONNECTIVES
from madvision_assets.domain.wording import (
    content_stems,
    ends_sentence,
    is_content,
    is_question,
    sentences_of,
    shortened,
    stem,
    words_of,
)
from madvision_assets.tools.analyst.features import TalkFeatures
from madvision_assets.tools.analyst.lexicon import CATEGORIES

MAX_QUOTE_CHARS = 240
MAX_TITLE_CHARS, LONGEST_TITLE_CHARS = 80, 110
MIN_TITLE_WORDS, GOOD_TITLE_WORDS = 4, 7
MIN_CLAUSE_WORDS = 5
TOPICS = 2
# Words before a comma that a sentence does without.
_OPENERS = re.compile(
    r"^(?:(?:and|so|but|yeah|yes|well|okay|ok|right|look|um|uh|now|then|also|oh|no|actually|absolutely|exactly|"
    r"i mean|you know|und|also|ja|aber|et|donc|alors|mais|y|pero|bueno|entonces|e|ma|allora|mas|então|en|maar|dus)"
    r",\s+)+",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[,;:]\s+|\s+[\u2013\u2014-]+\s+")
# What begins with these is no sentence of its own.
_SUBORDINATORS = frozenset(
    words_of("""
    if when because although while which who whose that where whereas unless until since as like than whether to of for
    with without from by at in about wenn weil dass obwohl während als si quand parce que qui lorsque cuando porque
    mientras quando perché se mentre embora enquanto als omdat terwijl dat
    """)
)
# A piece that ends with one of these was cut.
_UNENDED = frozenset(
    words_of("a an the of to in for with and or but so that is are was were be my your our their i we")
)

_FOR_THE_SHOW = re.compile(
    r"\b(questions? for you|next question|last question|more questions|thank|welcome|episode|podcast)\b", re.IGNORECASE
)

# How a reason names what a passage does; the rest of the categories say nothing to a person.
_DOES = {
    "lesson": "draws a lesson",
    "importance": "says what matters",
    "problem": "names a problem",
    "result": "tells what came of it",
    "reason": "gives reasons",
    "contrast": "sets one view against another",
    "advice": "gives advice",
    "story": "tells a story",
    "example": "gives an example",
    "definition": "explains an idea",
    "numbers": "names figures",
    "emotion": "shows feeling",
    "extreme": "takes a clear stand",
}


def title_of(texts: Sequence[str], worth: Sequence[float], language: str) -> str:
    """A whole sentence or question of the passage, or where all are long a clause that stands alone.

    Args:
        texts: of the passage's units.
        worth: of each unit, higher is better.
        language: ISO 639-1.
    """
    sentences = [
        (_without_opener(sentence), value + (0.3 if at == 0 and is_question(sentence) else 0.0))
        for at, (text, value) in enumerate(zip(texts, worth, strict=True))
        for sentence in sentences_of(text)
    ]
    here = Counter(word for sentence, _ in sentences for word in content_stems(words_of(sentence), language))
    for longest, strict in (
        (MAX_TITLE_CHARS, True),
        (LONGEST_TITLE_CHARS, True),
        (0, True),
        (LONGEST_TITLE_CHARS, False),
    ):
        fitting = [
            (_fitness(sentence, value, here, language), -at, sentence)
            for at, (sentence, value) in enumerate(sentences)
            if len(sentence) <= longest and _stands_alone(sentence, strict=strict)
        ]
        if not longest:
            clauses = enumerate(clause for sentence, _ in sentences for clause in _clauses(sentence))
            fitting = [(_fitness(clause, 0.0, here, language), -at, clause) for at, clause in clauses]
        if fitting:
            return _as_title(max(fitting)[2])
    longest_text = max((sentence for sentence, _ in sentences), key=len, default="")
    return _as_title(shortened(longest_text, LONGEST_TITLE_CHARS))


def quote_of(texts: Sequence[str], worth: Sequence[float]) -> str:
    """The words that it is quoted with: of its best unit, verbatim; of a long one a sentence."""
    best = max(range(len(texts)), key=lambda at: (worth[at], -at))
    text = texts[best].strip()
    if len(text) <= MAX_QUOTE_CHARS:
        return text
    short = [sentence for sentence in sentences_of(text) if len(sentence) <= MAX_QUOTE_CHARS]
    return max(short, key=len) if short else shortened(text, MAX_QUOTE_CHARS).rstrip("\u2026").rstrip()


def reason_of(features: TalkFeatures, first: int, last: int, opens_with: str) -> str:
    """Why it was chosen, in a sentence.

    Args:
        features: of the talk.
        first: the passage's first unit.
        last: its last, inclusive.
        opens_with: the text of its first unit.
    """
    counts = [sum(unit[n] for unit in features.counts[first : last + 1]) for n in range(len(CATEGORIES))]
    words = max(1, sum(map(len, features.words[first : last + 1])))
    lift = {
        name: counts[n] / words / (features.usual[n] + 1 / words)
        for n, name in enumerate(CATEGORIES)
        if name in _DOES and counts[n] >= 2 and name in features.known  # noqa: PLR2004 - once is chance
    }
    does = [_DOES[name] for name in sorted(lift, key=lambda name: -lift[name])[:3]]
    if is_question(opens_with):
        does = ["opens with a question and answers it", *does[:2]]
    about = topics_of(features, first, last)
    what = _listed(does) if does else "says much in few words"
    return f"It {what}{f', about {_listed(about)}' if about else ''}."


def topics_of(features: TalkFeatures, first: int, last: int) -> list[str]:
    """The words that are said often here and rarely elsewhere (tf-idf), as first spelt here; each at least twice."""
    spelt: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for unit in features.words[first : last + 1]:
        for word in unit:
            if is_content(word, features.language) and not word.isdigit():
                key = stem(word, features.language)
                counts[key] += 1
                spelt.setdefault(key, word)
    ranked = sorted(
        (key for key, count in counts.items() if count > 1),
        key=lambda key: (-counts[key] / features.units_with[key] ** 0.5, key),
    )
    return [spelt[key] for key in ranked[:TOPICS]]


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _without_opener(sentence: str) -> str:
    """Without the words that only lead over to it."""
    return _OPENERS.sub("", sentence.strip())


def _stands_alone(sentence: str, *, strict: bool) -> bool:
    words = words_of(sentence)
    if len(words) < MIN_TITLE_WORDS or words[-1] in _UNENDED:
        return False
    if words[0] in CONNECTIVES or sentence.count('"') % 2 or sentence.count("\u201c") != sentence.count("\u201d"):
        return False
    if not strict:
        return True
    hangs = words[0] in _SUBORDINATORS and "," not in sentence and not is_question(sentence)
    lower = sentence[:1].islower() and ends_sentence(sentence)  # the rest of a sentence
    return words[0] not in BACKREFERENCES and not hangs and not lower and not _FOR_THE_SHOW.search(sentence)


def _clauses(sentence: str) -> list[str]:
    """The beginnings of a long sentence that end with a clause and could stand alone."""
    ends = [found.start() for found in _CLAUSE_END.finditer(sentence)]
    pieces = [sentence[:end] for end in ends if end <= MAX_TITLE_CHARS]
    return [
        piece
        for piece in pieces
        if len(words_of(piece)) >= MIN_CLAUSE_WORDS
        and words_of(piece)[0] not in _SUBORDINATORS
        and _stands_alone(piece, strict=True)
    ]


def _fitness(sentence: str, value: float, here: Counter[str], language: str) -> float:
    """How well a sentence names its passage: good words, its own topic, neither curt nor long."""
    words = words_of(sentence)
    stems = set(content_stems(words, language))
    topical = sum(here[each] for each in stems) / max(1, sum(here.values()))
    curt = max(0, GOOD_TITLE_WORDS - len(words)) * 0.12
    pointing = 0.25 * (words[0] in _SUBORDINATORS) + 0.15 * any(
        w in {"this", "that", "it", "those", "these"} for w in words
    )
    return value + 1.5 * topical + 0.12 * min(4, len(stems)) - curt - pointing


def _as_title(sentence: str) -> str:
    text = " ".join(sentence.split()).rstrip(" .,;:\u2026-\u2013\u2014")
    return text[:1].upper() + text[1:]
