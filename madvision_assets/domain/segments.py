"""From what a speech engine heard to the segments of a transcript: clean times, no invented text."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from madvision_assets.domain.transcript import Segment, Word

Span = tuple[float, float]

MIN_WORD_S = 0.02
# Engines invent text in silence: a segment must overlap audible sound by at least this share of itself.
MIN_AUDIBLE_SHARE = 0.1
# And they fall into loops: of the same text said again and again, so many are kept.
MAX_REPEATS = 3


@dataclass(frozen=True)
class HeardWord:
    """A word as an engine gives it: seconds from the start of its window; may have no length, or run backwards."""

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


def clean_segments(heard: Iterable[HeardSegment], offset_s: float, audible: Sequence[Span]) -> list[Segment]:
    """Segments of one window in our form, IDs not yet given (0).

    Args:
        heard: as the engine gives them.
        offset_s: start of the window in the audio, seconds.
        audible: audible spans of the window, seconds from the window's start.

    Returns:
        Segments in time order, shifted by ``offset_s``, not overlapping; those in silence are left out.
    """
    segments: list[Segment] = []
    for item in heard:
        text = item.text.strip()
        words = _on_sound(_words(item.words), audible)
        # Without times of words the whole counts as one.
        spoken = words or _on_sound((Word(text=text, start_s=item.start_s, end_s=item.end_s),), audible)
        start_s, end_s = spoken[0].start_s, spoken[-1].end_s
        if not text or end_s <= start_s or overlap_s((start_s, end_s), audible) < MIN_AUDIBLE_SHARE * (end_s - start_s):
            continue
        segment = Segment(id=0, start_s=start_s, end_s=end_s, text=text, words=words)
        segments.append(_shifted(segment, offset_s))
    return segments


def number_segments(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The segments of a whole audio: loops cut short, no overlaps, IDs counting from 0."""
    kept: list[Segment] = []
    repeats = 0
    for segment in segments:
        repeats = repeats + 1 if kept and segment.text == kept[-1].text else 1
        if repeats <= MAX_REPEATS:
            kept.append(segment)
    numbered: list[Segment] = []
    for segment in kept:
        free_from_s = numbered[-1].end_s if numbered else 0.0
        if segment.end_s > free_from_s:  # one that lies wholly in the last has no time of its own
            numbered.append(_after(segment, free_from_s, len(numbered)))
    return tuple(numbered)


def overlap_s(span: Span, others: Iterable[Span]) -> float:
    """Seconds of ``span`` that lie in ``others`` (which do not overlap each other)."""
    return sum(max(0.0, min(span[1], end) - max(span[0], start)) for start, end in others)


def covered_s(segments: Sequence[Segment], audible: Sequence[Span]) -> float:
    """Audible seconds inside segments; spans are in time order, so that each segment looks only at its own."""
    starts, ends = [start for start, _ in audible], [end for _, end in audible]
    own = ((s, audible[bisect_right(ends, s.start_s) : bisect_left(starts, s.end_s)]) for s in segments)
    return round(sum(overlap_s((segment.start_s, segment.end_s), spans) for segment, spans in own), 3)


def excerpt_starts(audible: Sequence[Span], length_s: float, count: int) -> list[float]:
    """Where to listen: up to so many times, evenly spread over what is audible, and no more than it has lengths."""
    whole_s = sum(end_s - start_s for start_s, end_s in audible)
    count = min(count, max(1, int(whole_s / length_s))) if audible else 0
    starts: list[float] = []
    heard_s = 0.0
    for start_s, end_s in audible:
        while len(starts) < count and (wanted_s := whole_s * (len(starts) + 0.5) / count) < heard_s + end_s - start_s:
            starts.append(start_s + wanted_s - heard_s)
        heard_s += end_s - start_s
    return starts


def _words(heard: Iterable[HeardWord]) -> tuple[Word, ...]:
    """Words with rising times, each of some length."""
    words: list[Word] = []
    for item in heard:
        text = item.text.strip()
        if not text:
            continue
        start_s = max(item.start_s, words[-1].end_s if words else 0.0)
        end_s = max(item.end_s, start_s + MIN_WORD_S)
        probability = min(1.0, max(0.0, item.probability))
        words.append(Word(text=text, start_s=start_s, end_s=end_s, probability=round(probability, 4)))
    return tuple(words)


def _after(segment: Segment, free_from_s: float, number: int) -> Segment:
    """The segment with its number, and with the part of it (and of its words) that lies after a time."""
    words = tuple(
        word.model_copy(update={"start_s": max(word.start_s, free_from_s)})
        for word in segment.words
        if word.end_s > free_from_s
    )
    start_s = max(segment.start_s, free_from_s)
    return segment.model_copy(update={"id": number, "start_s": start_s, "words": words})


def _on_sound(words: tuple[Word, ...], audible: Sequence[Span]) -> tuple[Word, ...]:
    """The words with the first not starting, and the last not ending, in the silence beside them.

    Whisper's times come from attention and reach into a pause, or lie in it altogether: a clip would open on it.
    """
    words = _out_of_silence_before(words, audible)
    mirrored = [(-end_s, -start_s) for start_s, end_s in reversed(audible)]
    return _mirrored(_out_of_silence_before(_mirrored(words), mirrored))


def _mirrored(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """The words as they are heard backwards."""
    turned = reversed(words)
    return tuple(word.model_copy(update={"start_s": -word.end_s, "end_s": -word.start_s}) for word in turned)


def _out_of_silence_before(words: tuple[Word, ...], audible: Sequence[Span]) -> tuple[Word, ...]:
    """The words with those that lie in silence before the first sound laid on its beginning, as short as need be."""
    if not words:
        return ()
    ends = [end_s for _, end_s in audible]
    at = bisect_right(ends, words[0].start_s + MIN_WORD_S)
    if at == len(audible) or audible[at][0] <= words[0].start_s or audible[at][0] >= words[-1].end_s:
        return words  # it begins in sound, or no sound is near
    onset_s = audible[at][0]
    early = sum(word.end_s <= onset_s + MIN_WORD_S for word in words)  # these lie in silence as wholes
    if early > len(words) - early:
        return words  # more of it is in silence than not: likely invented
    first = words[early]
    until_s = max(first.start_s, onset_s + early * MIN_WORD_S) if early else onset_s
    until_s = min(until_s, first.end_s - MIN_WORD_S)
    step_s = (until_s - onset_s) / early if early else 0.0
    laid = tuple(
        word.model_copy(update={"start_s": onset_s + n * step_s, "end_s": onset_s + (n + 1) * step_s})
        for n, word in enumerate(words[:early])
    )
    return (*laid, first.model_copy(update={"start_s": max(first.start_s, until_s)}), *words[early + 1 :])


def _shifted(segment: Segment, offset_s: float) -> Segment:
    def at(time_s: float) -> float:
        return round(time_s + offset_s, 3)

    words = tuple(w.model_copy(update={"start_s": at(w.start_s), "end_s": at(w.end_s)}) for w in segment.words)
    return segment.model_copy(
        update={"start_s": at(segment.start_s), "end_s": at(segment.end_s), "words": words},
    )
