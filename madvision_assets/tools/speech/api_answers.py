"""What a transcription API answers, in the form of ours.

Servers differ in what they tell: words and segments with times, segments alone, or nothing but text. What is given is
taken, and nothing is made up: where no word has a time, the segment goes on without, and ``domain.segments`` lays its
words over its sound.
"""

import codecs
import json
from collections.abc import Sequence
from dataclasses import replace
from math import exp, isfinite
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from madvision_assets.domain.failures import SpeechApiBadAnswerError, SpeechApiUnavailableError
from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.languages import language_code
from madvision_assets.domain.word_alignment import joinable, with_times

# Whisper's own rule for a stretch in which nobody speaks.
NO_SPEECH, NO_SPEECH_LOGPROB = 0.6, -1.0
_Listed = BeforeValidator(lambda value: value or ())


class NoAnswerError(SpeechApiUnavailableError):
    """Nothing was heard, and nobody charges for it; told like its kind."""


def _told_number(value: object) -> float | None:
    """A number as a server tells it; None for what is none, as ``null``, NaN, or a text."""
    try:
        number = float(value)  # type: ignore[arg-type]  # anything that JSON has
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


_Number = Annotated[float | None, BeforeValidator(_told_number)]


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, frozen=True)

    start: _Number = None
    end: _Number = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """From when to when it is said, seconds; None where the server does not tell both."""
        return None if self.start is None or self.end is None else (self.start, self.end)


class _Word(_Part):
    word: str


class _Segment(_Part):
    text: str
    avg_logprob: _Number = None
    no_speech_prob: _Number = None

    @property
    def is_speech(self) -> bool:
        """Whether the server itself takes it for speech."""
        if self.no_speech_prob is None or self.avg_logprob is None:
            return True
        return self.no_speech_prob <= NO_SPEECH or self.avg_logprob > NO_SPEECH_LOGPROB

    @property
    def probability(self) -> float:
        """Of its words on average, as far as the server tells; a server that tells nothing is believed."""
        return 1.0 if self.avg_logprob is None else min(1.0, exp(min(0.0, self.avg_logprob)))


class Answer(BaseModel):
    """The body of an answer: ``verbose_json`` or ``json``; what we do not know is passed over."""

    model_config = ConfigDict(allow_inf_nan=False, frozen=True)

    text: str
    language: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    segments: Annotated[tuple[_Segment, ...], _Listed] = ()
    words: Annotated[tuple[_Word, ...], _Listed, Field(repr=False)] = ()

    @property
    def has_times(self) -> bool:
        """Whether it says of any part of the text when that is said; empty text has none that could be missing."""
        return any(part.bounds for part in (*self.segments, *self.words)) or not self._spoken

    @property
    def language_code(self) -> str:
        """Of the language that is spoken (ISO 639-1), empty where the server does not tell."""
        return language_code(self.language)

    def stretches(self, length_s: float) -> tuple[HeardSegment, ...]:
        """What was heard, seconds from the start of the sound that was sent.

        Args:
            length_s: of that sound; no time lies outside of it.
        """
        words = _words(self.words, length_s)
        heard = _segments(self.segments, length_s)
        if not any(each.bounds for each in self.segments) and self._spoken:
            bounds = (words[0].start_s, words[-1].end_s) if words else (0.0, length_s)
            heard = [HeardSegment(self._spoken, *bounds)]
        if not words:
            return tuple(heard)
        return tuple(map(_as_sure, with_times(heard, words)))

    @property
    def _spoken(self) -> str:
        """All that is said; where there are segments, what of them the server itself takes for speech."""
        if any(each.text.strip() for each in self.segments):
            return "".join(joinable(each.text) for each in self.segments if each.text.strip() and each.is_speech)
        return self.text.strip()


def _as_sure(segment: HeardSegment) -> HeardSegment:
    """With the probability of the segment in each of its words, of which servers tell none."""
    return replace(segment, words=tuple(replace(word, probability=segment.probability) for word in segment.words))


def read_answer(body: bytes) -> Answer:
    """The answer in a body.

    Raises:
        NoAnswerError: nothing was heard at all: it is a web page, say, or empty.
        SpeechApiBadAnswerError: it is no JSON, or of another form.
    """
    if not body.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"{", b"[")):
        raise NoAnswerError("the server does not answer as a transcription API does")
    try:
        return Answer.model_validate(json.loads(body))
    except (ValidationError, ValueError, RecursionError) as error:
        raise SpeechApiBadAnswerError("the server does not answer as a transcription API does") from error


def _words(given: Sequence[_Word], length_s: float) -> list[HeardWord]:
    """Words in time order, inside the sound; one without a time is laid between others by the text that it is in."""
    timed = sorted((bounds, each.word) for each in given if each.word.strip() and (bounds := each.bounds) is not None)
    return [HeardWord(text, *_within(bounds, length_s)) for bounds, text in timed if bounds[0] < length_s]


def _segments(given: Sequence[_Segment], length_s: float) -> list[HeardSegment]:
    """Segments in time order, inside the sound; one without a time goes with the one before it, or else behind it."""
    timed: list[tuple[tuple[float, float], str, float]] = []
    untimed = ""
    for n, each in enumerate(given):
        text = joinable(each.text) if each.text.strip() and each.is_speech else ""
        if text and each.bounds is not None:
            start_s, end_s = each.bounds
            timed.append(((0.0 if untimed else start_s, end_s), untimed + text, each.probability))
            untimed = ""
        elif text and timed:
            (start_s, end_s), said, sure = timed[-1]
            until_s = next((later.start for later in given[n + 1 :] if later.start is not None), length_s)
            timed[-1] = ((start_s, max(end_s, until_s)), said + text, sure)
        else:
            untimed += text
    if untimed:  # the server times nothing but what is no speech
        timed.append(((0.0, length_s), untimed, 1.0))
    timed.sort(key=lambda one: one[0])
    inside = [one for one in timed if one[0][0] < length_s]
    return [HeardSegment(text, *_within(bounds, length_s), probability=sure) for bounds, text, sure in inside]


def _within(bounds: tuple[float, float], length_s: float) -> tuple[float, float]:
    start_s = min(max(0.0, bounds[0]), length_s)
    return start_s, min(max(start_s, bounds[1]), length_s)
