"""The form of a language model's answers: closed choices, segment IDs and verbatim words, no numbers of its own.

Field order is the order of writing: reasons come before verdicts. Scores are computed here, so that they can be
compared.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import Confidence, ContentKind
from madvision_assets.domain.wording import shortened

MAX_TITLE_CHARS = 80
MAX_TEXT_CHARS = 600
MAX_TOPICS = 5
MAX_TOPIC_CHARS = 40


class Strength(StrEnum):
    """How good a moment is, in words that a model uses consistently."""

    EXCEPTIONAL = "exceptional"
    STRONG = "strong"
    FAIR = "fair"
    WEAK = "weak"


# A weak moment stays below ``selection.WEAK_BELOW`` whatever else is said of it, a fair one above it.
STRENGTH_SCORES = {Strength.EXCEPTIONAL: 0.85, Strength.STRONG: 0.65, Strength.FAIR: 0.4, Strength.WEAK: 0.15}
HOOK_SCORE = 0.075
STANDS_ALONE_SCORE = 0.075


class Answer(BaseModel):
    """Base of the answers; nothing may be added to them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KindAnswer(Answer):
    """The kind of a video."""

    reason: str
    kind: ContentKind
    confidence: Confidence
    topics: list[str]

    def clean_topics(self) -> tuple[str, ...]:
        """The topics on one line each, without empty ones and repetitions."""
        topics = (shortened(topic, MAX_TOPIC_CHARS) for topic in self.topics)
        return tuple(dict.fromkeys(topic for topic in topics if topic))[:MAX_TOPICS]


class MomentAnswer(Answer):
    """One moment."""

    first_segment: int
    last_segment: int
    quote: str
    reason: str
    title: str
    strength: Strength
    hook: bool
    stands_alone: bool

    @property
    def score(self) -> float:
        """From 0 to 1."""
        score = STRENGTH_SCORES[self.strength] + HOOK_SCORE * self.hook + STANDS_ALONE_SCORE * self.stands_alone
        return round(score, 3)

    def moment(self) -> Moment:
        """The moment as the selection takes it; a missing title is taken from the quote."""
        return Moment(
            first_segment=self.first_segment,
            last_segment=self.last_segment,
            title=shortened(self.title, MAX_TITLE_CHARS) or shortened(self.quote, MAX_TITLE_CHARS) or "Untitled",
            reason=shortened(self.reason, MAX_TEXT_CHARS),
            quote=" ".join(self.quote.split()),
            score=self.score,
        )


class MomentsAnswer(Answer):
    """All moments of one reading."""

    moments: list[MomentAnswer]
