"""What a speech engine gives: words and stretches of speech, as it heard them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HeardWord:
    """A word as an engine gives it, with the space before it where its language has one.

    Seconds from the start of its window; it may have no length, or run backwards.
    """

    text: str
    start_s: float
    end_s: float
    probability: float = 1.0


@dataclass(frozen=True)
class HeardSegment:
    """A stretch of speech, likewise; ``words`` are empty where the engine gives no times for them."""

    text: str
    start_s: float
    end_s: float
    words: tuple[HeardWord, ...] = ()
