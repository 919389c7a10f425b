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


class Stretch(Value):
    """A part of the audio, seconds."""

    start_s: float
    end_s: float


class Doubtful(Stretch):
    """A part whose words are in doubt; ``probability`` is their mean."""

    probability: float


class Reference(Value):
    """The publisher's own captions, and how what was heard differs from them.

    Attributes:
        language: of them, as the source has it; empty where it does not say.
        words: how many they have.
        word_error_rate: words to be put in, left out or exchanged for each of theirs; numbers and names are spelt in
            many ways, so that it is never 0.
    """

    language: str
    words: int
    word_error_rate: float


def _is_unsaid(value: object) -> bool:
    return not value


class Segment(Value):
    """A stretch of speech, about a sentence. ``id`` counts from 0 in time order and is how prompts refer to it.

    ``speaker`` is a name or label where somebody has told it; speech engines do not.
    ``estimated`` where nobody heard when most of its words are said: their times are laid over its own.
    ``language`` (ISO 639-1) where it is another than that of the transcript.
    """

    id: int
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str = ""
    estimated: bool = False
    # What is not told is left out: documents stay as they were, for versions before it too.
    language: Annotated[str, Field(exclude_if=_is_unsaid)] = ""


class Transcript(Document):
    """Everything that is said in a video; no segments means that nobody speaks.

    Attributes:
        language: of the text, ISO 639-1, as spoken or detected; of most of it, where there are several.
        translated_from: the language that is spoken, where the text is a translation.
        duration_s: of the audio, seconds.
        audible_s: seconds of the audio that are louder than near silence.
        covered_s: of those, the seconds that lie in a segment.
        segments: in time order, not overlapping.
        skipped: what no engine was given, since there is no sound in it: the longer silences, in time order.
        doubtful: what the engine hardly believes itself, in time order.
        reference: how it differs from the publisher's captions; None where there are none to compare with.
    """

    asset: ClassVar[str] = "transcript"

    language: str
    duration_s: float
    audible_s: float
    covered_s: float
    segments: tuple[Segment, ...]
    translated_from: str | None = None
    skipped: Annotated[tuple[Stretch, ...], Field(exclude_if=_is_unsaid)] = ()
    doubtful: Annotated[tuple[Doubtful, ...], Field(exclude_if=_is_unsaid)] = ()
    reference: Annotated[Reference | None, Field(exclude_if=_is_unsaid)] = None

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
    def languages(self) -> dict[str, float]:
        """Seconds of its segments in each language that is spoken, the most first."""
        spoken: dict[str, float] = {}
        for segment in self.segments:
            language = segment.language or self.language
            spoken[language] = spoken.get(language, 0.0) + segment.end_s - segment.start_s
        return {each: round(spoken[each], 3) for each in sorted(spoken, key=lambda each: -spoken[each])}

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in time order."""
        return tuple(word for segment in self.segments for word in segment.words)
