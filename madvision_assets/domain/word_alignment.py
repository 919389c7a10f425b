"""Times for words that have none: from the same words as they were heard elsewhere, else laid between their neighbours.

Servers of transcriptions give text with its marks in stretches, and words without marks beside it; a person who
corrects a transcript gives text alone. Words are told again by their letters (R. Ratcliff and J. Metzener's matching,
as ``difflib`` has it), and nothing is believed that lies elsewhere than its stretch.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise

from madvision_assets.domain.heard import HeardSegment, HeardWord

Span = tuple[float, float]

# Scripts that put no space between words: each letter stands for itself.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"\s*(?:[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+)")
# A word heard so far outside of a stretch is another one that reads the same.
SLACK_S = 1.0
LEAST_S = 0.02
# Words are told again among so many at once: the work grows with the square of their number.
AT_ONCE = 4000


def tokens(text: str) -> list[str]:
    """The words of a text, each with the space before it: joined, they are the text (but for space at its end)."""
    return _TOKEN.findall(text)


def letters(word: str) -> str:
    """What of a word tells it from others."""
    return "".join(filter(str.isalnum, word.casefold()))


def with_times(stretches: Sequence[HeardSegment], known: Sequence[HeardWord]) -> list[HeardSegment]:
    """The stretches with all their words, which have the times of the same words among those that are known.

    Args:
        stretches: text with its bounds, in time order; their own words do not count.
        known: words with times, in time order; what of them the text does not have is left out.

    Returns:
        The same stretches; each word lies in its own or near it, ``estimated`` where its time is laid between those of
        others.
    """
    parts = list(_parts(known))
    out: list[HeardSegment] = []
    at = 0
    for batch in _batches(stretches):
        reach_s = batch[-1].end_s + SLACK_S
        until = at + bisect_right([part.start_s for part in parts[at:]], reach_s)
        out += _matched(batch, parts[at:until])
        # The next batch may begin before this one ends: what its first stretch reaches is looked at again.
        at = bisect_right([part.end_s for part in parts], batch[-1].end_s - SLACK_S)
    return out


def spread(stretch: HeardSegment, audible: Sequence[Span] = ()) -> HeardSegment:
    """The stretch with its words laid over its time by their letters, and over its sound where that is known.

    Args:
        stretch: text with its bounds.
        audible: spans in time order, on the same clock.
    """
    inside = [(max(a, stretch.start_s), min(b, stretch.end_s)) for a, b in audible]
    spans = [(a, b) for a, b in inside if b > a] or [(stretch.start_s, stretch.end_s)]
    return replace(stretch, words=_laid(tokens(stretch.text), spans, stretch.probability))


def _batches(stretches: Sequence[HeardSegment]) -> Iterator[list[HeardSegment]]:
    batch: list[HeardSegment] = []
    count = 0
    for stretch in stretches:
        batch.append(stretch)
        count += len(tokens(stretch.text))
        if count >= AT_ONCE:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


def _parts(known: Sequence[HeardWord]) -> Iterator[HeardWord]:
    """The known words, as ``tokens`` divides text: one that holds several shares its time among them."""
    for word in known:
        pieces = tokens(word.text)
        if len(pieces) == 1:
            yield word
        else:
            laid = _laid(pieces, [(word.start_s, word.end_s)], word.probability)
            yield from (replace(each, estimated=word.estimated) for each in laid)


def _matched(stretches: Sequence[HeardSegment], known: Sequence[HeardWord]) -> list[HeardSegment]:
    texts = [tokens(stretch.text) for stretch in stretches]
    flat = [(n, text) for n, words in enumerate(texts) for text in words]
    matcher = SequenceMatcher(None, [letters(w.text) for w in known], [letters(t) for _, t in flat], autojunk=False)
    found: list[list[HeardWord | None]] = [[] for _ in texts]
    same = {block.b + n: known[block.a + n] for block in matcher.get_matching_blocks() for n in range(block.size)}
    for at, (n, text) in enumerate(flat):
        word = same.get(at)
        found[n].append(replace(word, text=text) if word and _lies_in(word, stretches[n]) else None)
    return [
        replace(stretch, words=tuple(_filled(stretch, words, each)))
        for stretch, words, each in zip(stretches, texts, found, strict=True)
    ]


def _lies_in(word: HeardWord, stretch: HeardSegment) -> bool:
    middle_s = (word.start_s + word.end_s) / 2
    return stretch.start_s - SLACK_S <= middle_s <= stretch.end_s + SLACK_S


def _filled(stretch: HeardSegment, texts: Sequence[str], found: Sequence[HeardWord | None]) -> Iterator[HeardWord]:
    """The words of a stretch, those between two that were found again laid between them."""
    held = [n for n, word in enumerate(found) if word is not None]
    for before, after in pairwise([-1, *held, len(texts)]):
        left = found[before] if before >= 0 else None
        right = found[after] if after < len(texts) else None
        if left is not None:
            yield left
        start_s = left.end_s if left else min(stretch.start_s, right.start_s if right else stretch.start_s)
        end_s = right.start_s if right else max(stretch.end_s, start_s)
        between = texts[before + 1 : after]
        yield from _laid(between, [(start_s, max(end_s, start_s + LEAST_S * len(between)))], stretch.probability)


def _laid(texts: Sequence[str], spans: Sequence[Span], probability: float) -> tuple[HeardWord, ...]:
    """Words one behind the other over spans, each as long as its letters are many."""
    weights = [max(1, len(letters(text))) for text in texts]
    whole_s = sum(end_s - start_s for start_s, end_s in spans)
    done, words = 0, []
    for text, weight in zip(texts, weights, strict=True):
        from_s, done = whole_s * done / sum(weights), done + weight
        words.append(
            HeardWord(text, *_placed(from_s, whole_s * done / sum(weights), spans), probability, estimated=True)
        )
    return tuple(words)


def _placed(from_s: float, until_s: float, spans: Sequence[Span]) -> Span:
    """The time between two moments on the clock of the spans alone; of one that reaches over a gap its longest part."""
    parts, gone_s = [], 0.0
    for start_s, end_s in spans:
        low_s, high_s = max(from_s, gone_s), min(until_s, gone_s + end_s - start_s)
        if low_s <= high_s:
            parts.append((start_s + low_s - gone_s, start_s + high_s - gone_s))
        gone_s += end_s - start_s
    return max(parts, key=lambda part: part[1] - part[0], default=(spans[-1][1], spans[-1][1]))
