"""What kind of video it is: a closed choice, with the reason."""

from enum import StrEnum
from typing import ClassVar

from madvision_assets.domain.documents import Document


class ContentKind(StrEnum):
    """The closed set of kinds."""

    ENTERTAINMENT = "entertainment"
    KNOWLEDGE = "knowledge"
    SPEECH = "speech"
    OPINION = "opinion"
    EXPERIENCE = "experience"
    BUSINESS = "business"
    REVIEW = "review"
    INTERVIEW = "interview"
    NEWS = "news"
    TUTORIAL = "tutorial"
    MUSIC = "music"
    OTHER = "other"


class Confidence(StrEnum):
    """How sure the analyst is; a closed choice, because models give poor numbers."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ContentType(Document):
    """The verdict on a video.

    Attributes:
        kind: the chosen kind.
        confidence: how sure.
        reason: a sentence for a person.
        topics: a few words each, most important first.
        provisional: True where the offline analyst stood in for the language model.
    """

    asset: ClassVar[str] = "content_type"

    kind: ContentKind
    confidence: Confidence
    reason: str
    topics: tuple[str, ...] = ()
    provisional: bool = False
