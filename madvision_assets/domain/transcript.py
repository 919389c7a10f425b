"""The transcript: what is said, when, to the word."""

from math import inf
from typing import Annotated, ClassVar, Self

from pydantic import Field

from madvision_assets.domain.documents import Document
from madvision_assets.domain.provenance import Value


class Word(Value):
    """A word as spoken; ``text`` without surrounding space, half-open interval in seconds."""

    text: str
    start_s: float
    end_s: float
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0


class Segment(Value):
    """A stretch of speech, about a sentence. ``id`` counts from 0 in time order and is how prompts refer to it.

    ``speaker`` is a name or label where somebody has told it; speech engines do not.
    ``estimated`` where nobody heard when most of its words are said: their times are laid over its own.
    """

    id: int
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str = ""
    estimated: bool = False


class Transcript(Document):
    """Everything that is said in a video; no segments means that nobody speaks.

    Attributes:
        language: of the text, ISO 639-1, as spoken or detected.
        translated_from: the language that is spoken, where the text is a translation.
        duration_s: of the audio, seconds.
        audible_s: seconds of the audio that are louder than near silence.
        covered_s: of those, the seconds that lie in a segment.
        segments: in time order, not overlapping.
    """

    asset: ClassVar[str] = "transcript"

    language: str
    duration_s: float
    audible_s: float
    covered_s: float
    segments: tuple[Segment, ...]
    translated_from: str | None = None

    @property
    def no_speech(self) -> bool:
        """Whether nobody speaks."""
        return not self.segments

    def within(self, start_s: float, end_s: float | None) -> Self:
        """With those of its segments alone that lie wholly in an interval, seconds; None is the end. IDs stay."""
        last_s = inf if end_s is None else end_s
        inside = tuple(each for each in self.segments if start_s <= each.start_s and each.end_s <= last_s)
        return self.model_copy(update={"segments": inside})

    @property
    def text(self) -> str:
        """All of it as one string."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in time order."""
        return tuple(word for segment in self.segments for word in segment.words)
