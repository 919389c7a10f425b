"""What a speech engine gives: words and stretches of speech, as it heard them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What is asked of an engine beside the sound.

    Attributes:
        language: that is spoken (ISO 639-1); None where the engine is to find out.
        translate: whether what is said is written down in English.
        vocabulary: names and words that are likely to be said.
    """

    language: str | None = None
    translate: bool = False
    vocabulary: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The vocabulary, as the text that a Whisper takes for what was said before; empty without any."""
        return f"{', '.join(self.vocabulary)}." if self.vocabulary else ""


@dataclass(frozen=True)
class HeardWord:
    """A word as an engine gives it, with the space before it where its language has one.

    Seconds from the start of its window; it may have no length, or run backwards. ``estimated`` where nobody heard
    when it is said, and its time was laid between those of others.
    """

    text: str
    start_s: float
    end_s: float
    probability: float = 1.0
    estimated: bool = False


@dataclass(frozen=True)
class HeardSegment:
    """A stretch of speech, likewise; ``words`` are empty where the engine gives no times for them.

    ``probability`` is that of all of it, for an engine that gives none of the words.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[HeardWord, ...] = ()
    probability: float = 1.0
