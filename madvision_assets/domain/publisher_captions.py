"""The captions that a publisher has made for a video: a reference for what was heard, or what is said in its place."""

import re
from collections.abc import Sequence

from madvision_assets.domain.heard import HeardSegment
from madvision_assets.domain.languages import is_language
from madvision_assets.domain.segments import as_segment, covered_s
from madvision_assets.domain.sentences import sentences
from madvision_assets.domain.subtitles import Subtitles
from madvision_assets.domain.transcript import Reference, Segment, Transcript
from madvision_assets.domain.word_alignment import joinable, spread
from madvision_assets.domain.word_times import Span, rising
from madvision_assets.domain.wording import words_of

# What is told of sounds, and who speaks: "[Music]", "(applause)", "♪", ">>".
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|[♪♫]+|>>+")


def segments_of(told: Subtitles, audible: Sequence[Span]) -> tuple[Segment, ...]:
    """The captions as sentences, their words laid over the sound of each; what tells of sounds is left out.

    Args:
        told: what the publisher says.
        audible: spans of the whole audio in time order, seconds.
    """
    stretches = [
        HeardSegment(joinable(text), cue.start_s, cue.end_s)
        for cue in told.cues
        if any(map(str.isalnum, text := _said(cue.text)))
    ]
    laid = [spread(each, audible) for each in stretches]
    words = iter(rising(word for each in laid for word in each.words))
    placed = [
        HeardSegment(each.text, each.start_s, each.end_s, tuple(next(words) for _ in each.words)) for each in laid
    ]
    return tuple(as_segment(each, 0.0).model_copy(update={"id": n}) for n, each in enumerate(sentences(placed)))


def transcript_of(
    video_id: str, told: Subtitles, language: str, duration_s: float, audible: Sequence[Span]
) -> Transcript:
    """The captions as a transcript, not sealed.

    Args:
        video_id: of which they are.
        told: what the publisher says.
        language: of it (ISO 639-1).
        duration_s: of the audio.
        audible: spans of it in time order, seconds.
    """
    segments = segments_of(told, audible)
    return Transcript(
        video_id=video_id,
        language=language,
        duration_s=round(duration_s, 3),
        audible_s=round(sum(end_s - start_s for start_s, end_s in audible), 3),
        covered_s=covered_s(segments, audible),
        segments=segments,
    )


def compared(heard: Transcript, told: Subtitles, language: str) -> Reference | None:
    """How what was heard differs from the captions; None where they are of another language, or say nothing.

    Args:
        heard: the transcript.
        told: what the publisher says.
        language: of it, as the source has it; empty where nobody says.
    """
    words = words_of(" ".join(_said(cue.text) for cue in told.cues))
    if not words or not is_language(language, heard.language):
        return None
    wrong = edits(words, words_of(heard.text))
    return Reference(language=language, words=len(words), word_error_rate=round(wrong / len(words), 4))


def edits(reference: Sequence[str], heard: Sequence[str]) -> int:
    """How many words have to be put in, left out or exchanged to make one of the other (V. Levenshtein, 1966).

    By bits (H. Hyyrö, 2003): hours of speech take a second.
    """
    if not reference:
        return len(heard)
    places: dict[str, int] = {}
    for n, word in enumerate(reference):
        places[word] = places.get(word, 0) | 1 << n
    every, last = (1 << len(reference)) - 1, 1 << (len(reference) - 1)
    up, down, distance = every, 0, len(reference)
    for word in heard:
        same = places.get(word, 0)
        vertical = same | down
        across = (((same & up) + up) ^ up) | same
        more, less = down | ~(across | up) & every, up & across
        distance += bool(more & last) - bool(less & last)
        more = (more << 1 | 1) & every
        up, down = (less << 1 | ~(vertical | more)) & every, more & vertical
    return distance


def _said(text: str) -> str:
    return " ".join(_ASIDE.sub(" ", text).split())
