"""What a transcription API answers, in the form of ours.

Servers differ in what they tell: words and segments with times, segments alone, or nothing but text. What is given is
taken, and nothing is made up: where no word has a time, the segment goes on without, and ``domain.segments`` lays its
words over its sound.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import exp
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from madvision_assets.domain.failures import SpeechApiBadAnswerError, SpeechApiUnavailableError
from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.languages import language_code
from madvision_assets.domain.word_alignment import with_times

# Whisper's own rule for a stretch in which nobody speaks.
NO_SPEECH, NO_SPEECH_LOGPROB = 0.6, -1.0
_Listed = BeforeValidator(lambda value: value or ())


class NoAnswerError(SpeechApiUnavailableError):
    """Nothing was heard, and nobody charges for it; told like its kind."""


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, frozen=True)

    start: float = 0.0
    end: float = 0.0


class _Word(_Part):
    word: str


class _Segment(_Part):
    text: str
    avg_logprob: float | None = None
    no_speech_prob: float | None = None

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
        return bool(self.segments or self.words) or not self.text.strip()

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
        if not heard and self.text.strip():
            bounds = (words[0].start_s, words[-1].end_s) if words else (0.0, length_s)
            heard = [HeardSegment(self.text, *bounds)]
        if not words:
            return tuple(heard)
        return tuple(map(_as_sure, with_times(heard, words)))


def _as_sure(segment: HeardSegment) -> HeardSegment:
    """With the probability of the segment in each of its words, of which servers tell none."""
    return replace(segment, words=tuple(replace(word, probability=segment.probability) for word in segment.words))


def read_answer(body: bytes) -> Answer:
    """The answer in a body.

    Raises:
        NoAnswerError: nothing was heard at all: it is a web page, say, or empty.
        SpeechApiBadAnswerError: it is no JSON, or of another form.
    """
    if not body.lstrip().startswith((b"{", b"[")):
        raise NoAnswerError("the server does not answer as a transcription API does")
    try:
        return Answer.model_validate(json.loads(body))
    except (ValidationError, ValueError, RecursionError) as error:
        raise SpeechApiBadAnswerError("the server does not answer as a transcription API does") from error


def _words(given: Sequence[_Word], length_s: float) -> list[HeardWord]:
    """Words in time order, inside the sound."""
    ordered = sorted(given, key=lambda word: (word.start, word.end))
    inside = [word for word in ordered if word.word.strip() and word.start < length_s]
    return [HeardWord(word.word, *_within(word, length_s)) for word in inside]


def _segments(given: Sequence[_Segment], length_s: float) -> list[HeardSegment]:
    ordered = sorted(given, key=lambda segment: (segment.start, segment.end))
    inside = [each for each in ordered if each.text.strip() and each.is_speech and each.start < length_s]
    return [HeardSegment(each.text, *_within(each, length_s), probability=each.probability) for each in inside]


def _within(part: _Part, length_s: float) -> tuple[float, float]:
    start_s = min(max(0.0, part.start), length_s)
    return start_s, min(max(start_s, part.end), length_s)
