"""From what a speech engine heard to the segments of a transcript: clean times, no invented text."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.loops import MAX_COMPRESSION, MAX_REPEATS, REFRAIN_S, compression, without_loops
from madvision_assets.domain.sentences import sentences
from madvision_assets.domain.transcript import Segment, Word
from madvision_assets.domain.word_alignment import joinable, letters, spread, whole_words
from madvision_assets.domain.word_times import (
    MIN_WORD_S,
    Span,
    between_pauses,
    into_sound,
    on_sound,
    overlap_s,
    rising,
    united,
    within,
)

# Engines invent text in silence: a segment must overlap audible sound by at least this share of itself.
MIN_AUDIBLE_SHARE = 0.1
# What they invent they do not believe themselves: of hum and noise a word is made with a probability of a few percent.
MIN_PROBABILITY = 0.2
# What they do believe is kept where the sound goes up and down as speech, however loud others are beside it.
BELIEVED = 0.5


def clean_segments(
    heard: Iterable[HeardSegment],
    offset_s: float,
    audible: Sequence[Span],
    pauses: Sequence[Span] = (),
    faint: Sequence[Span] = (),
) -> list[Segment]:
    """Segments of one window in our form, a sentence each, IDs not yet given (0).

    Args:
        heard: as the engine gives them.
        offset_s: start of the window in the audio, seconds.
        audible: audible spans of the window, seconds from the window's start.
        pauses: the shorter silences too, likewise.
        faint: where speech may be hidden by louder sound nearby, likewise; what is believed there is kept.

    Returns:
        Segments in time order, shifted by ``offset_s``, not overlapping; those in silence are left out.
    """
    all_sound = united(audible, faint)
    spoken = [segment for item in heard if (segment := _in_any_sound(item, audible, all_sound, faint))]
    audibly = [each for each in sentences(without_loops(spoken)) if _is_kept(each, audible, all_sound)]
    laid = _between_pauses(audibly, pauses)
    # A word that was laid elsewhere may have made its sentence a long one.
    return [as_segment(each, offset_s) for segment in laid for each in sentences([segment])]


def number_segments(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The segments of a whole audio: loops cut short, no overlaps, IDs counting from 0."""
    runs: list[list[Segment]] = []
    for segment in segments:
        if runs and _is_repeated(runs[-1][-1], segment):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    kept = (segment for run in runs for segment in (run[:MAX_REPEATS] if _is_loop(run) else run))
    numbered: list[Segment] = []
    for segment in kept:
        free_from_s = numbered[-1].end_s if numbered else 0.0
        if segment.end_s > free_from_s:  # one that lies wholly in the last has no time of its own
            numbered.append(_after(segment, free_from_s, len(numbered)))
    return tuple(numbered)


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


def _in_any_sound(
    item: HeardSegment, audible: Sequence[Span], all_sound: Sequence[Span], faint: Sequence[Span]
) -> HeardSegment | None:
    """What was heard, laid on all sound where it is believed and reaches into what is faint; else on the audible."""
    believed = None
    if overlap_s((item.start_s, item.end_s), faint):
        believed = _on_sound(item, all_sound, BELIEVED)
    return believed or _on_sound(item, audible)


def _on_sound(item: HeardSegment, audible: Sequence[Span], least: float = MIN_PROBABILITY) -> HeardSegment | None:
    """What an engine heard, laid on the sound; None where it heard it in silence, or made it of noise."""
    if not item.words:
        whole = on_sound((HeardWord(item.text, item.start_s, item.end_s),), audible)[0]
        if not _is_audible(whole.start_s, whole.end_s, audible):
            return None
        item = spread(replace(item, text=joinable(item.text), start_s=whole.start_s, end_s=whole.end_s), audible)
    inside = whole_words(within(item.words, (item.start_s, item.end_s)))
    words = into_sound(on_sound(rising(inside), audible), audible)
    if not words:
        return None
    start_s, end_s = words[0].start_s, words[-1].end_s
    if not _is_audible(start_s, end_s, audible):
        return None
    if _sure(words) < least or not any(letter.isalnum() for letter in item.text):
        return None
    return HeardSegment(item.text, start_s, end_s, words)


def _is_kept(segment: HeardSegment, audible: Sequence[Span], all_sound: Sequence[Span]) -> bool:
    """Whether a sentence is in sound, or in faint sound and believed."""
    bounds = segment.start_s, segment.end_s
    return _is_audible(*bounds, audible) or (_is_audible(*bounds, all_sound) and _sure(segment.words) >= BELIEVED)


def _sure(words: Sequence[HeardWord]) -> float:
    """How sure an engine is of words, on average."""
    return sum(word.probability for word in words) / len(words)


def _is_audible(start_s: float, end_s: float, audible: Sequence[Span]) -> bool:
    """Whether enough of a stretch is in sound, and it is one at all."""
    return end_s > start_s and overlap_s((start_s, end_s), audible) >= MIN_AUDIBLE_SHARE * (end_s - start_s)


def _between_pauses(segments: Sequence[HeardSegment], pauses: Sequence[Span]) -> list[HeardSegment]:
    """The segments with their words laid between the pauses, which the words of all decide together."""
    placed = iter(between_pauses([word for segment in segments for word in segment.words], pauses))
    out: list[HeardSegment] = []
    for segment in segments:
        words = tuple(islice(placed, len(segment.words)))
        start_s, end_s = (words[0].start_s, words[-1].end_s) if words else (segment.start_s, segment.end_s)
        out.append(HeardSegment(segment.text, start_s, end_s, words))
    return out


def _is_repeated(before: Segment, segment: Segment) -> bool:
    """Whether a segment says the same again at once; one of signs alone has no letters to tell that by."""
    said = letters(segment.text)
    return said == letters(before.text) and segment.start_s - before.end_s < REFRAIN_S


def _is_loop(run: Sequence[Segment]) -> bool:
    """Whether the same is said again and again as no person does; of a short answer, one may."""
    return len(run) > MAX_REPEATS and compression([letters(each.text) for each in run]) > MAX_COMPRESSION


def _after(segment: Segment, free_from_s: float, number: int) -> Segment:
    """The segment with its number, and what of it lies before a time behind that; no word is lost."""
    words: list[Word] = []
    at_s = free_from_s
    # Many words in little time are as short as lets them end where they did.
    step_s = min(MIN_WORD_S, max(0.001, (segment.end_s - free_from_s) / max(1, len(segment.words))))
    for word in segment.words:
        start_s = max(word.start_s, at_s)
        at_s = round(max(word.end_s, start_s + (step_s if start_s > word.start_s else 0.0)), 3)
        words.append(word.model_copy(update={"start_s": start_s, "end_s": at_s}))
    bounds = {"start_s": max(segment.start_s, free_from_s), "end_s": max(segment.end_s, at_s)}
    return segment.model_copy(update={"id": number, **bounds, "words": tuple(words)})


def as_segment(heard: HeardSegment, offset_s: float) -> Segment:
    """In the form of our document, on the clock of the whole audio; its ID is not yet given (0)."""

    def at(time_s: float) -> float:
        return round(time_s + offset_s, 3)

    words = tuple(
        Word(
            text=word.text.strip(),
            start_s=at(word.start_s),
            end_s=at(word.end_s),
            probability=round(min(1.0, max(0.0, word.probability)), 4),
        )
        for word in heard.words
    )
    estimated = 2 * sum(word.estimated for word in heard.words) > len(words)
    bounds = {"start_s": at(heard.start_s), "end_s": at(heard.end_s)}
    return Segment(id=0, **bounds, text=heard.text.strip(), words=words, estimated=estimated)
