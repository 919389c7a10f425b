"""Times for words that have none: from the same words as they were heard elsewhere, else laid between their neighbours.

Servers of transcriptions give text with its marks in stretches, and words without marks beside it; a person who
corrects a transcript gives text alone. Words are told again by their letters (R. Ratcliff and J. Metzener's matching,
as ``difflib`` has it), and nothing is believed that lies elsewhere than its stretch.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise
from unicodedata import category

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.normal_form import normal_form

Span = tuple[float, float]

# Scripts that put no space between words: each letter stands for itself.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"\s*(?:[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+)")
_MARKS = frozenset({"Mn", "Mc"})
# A word heard so far outside of a stretch is another one that reads the same.
SLACK_S = 0.5
LEAST_S = 0.02


def tokens(text: str) -> list[str]:
    """The words of a text, each with the space before it: joined, they are the text (but for space at its end)."""
    return _TOKEN.findall(text)


def is_unspaced(letter: str) -> bool:
    """Whether a letter is of a script that puts no space between words."""
    return re.fullmatch(f"[{_UNSPACED}]", letter) is not None


def letters(word: str) -> str:
    """What of a word tells it from others: letters and digits, and the marks that are vowels in many scripts.

    The points of Hebrew and Arabic are none, which are written or left out, nor is what chooses the form of a sign.
    """
    return "".join(each for each in normal_form("NFC", word.casefold()) if each.isalnum() or _is_vowel(each))


def _is_vowel(each: str) -> bool:
    return category(each) in _MARKS and not "\u0590" <= each <= "\u06ff" and each < "\ufe00"


def joinable(text: str) -> str:
    """A text with the space before it that parts it from what was said before, where its script has one."""
    return text if text[:1].isspace() or is_unspaced(text[:1]) else f" {text}"


def whole_words(heard: Sequence[HeardWord]) -> list[HeardWord]:
    """The words of one stretch, those that an engine has torn whole again: ``$5`` and ``,000``, ``e`` and ``-mail``.

    Whisper begins a word at each mark of ASCII; what belongs to the word before it has no space before it. Where no
    word of a stretch has one, the engine gives words without, and each is one. Joined, they are the text.
    """
    said = [word for word in heard if word.text]
    spaced = any(word.text[0].isspace() for word in said)
    unspaced = any(map(is_unspaced, "".join(word.text for word in said)))
    out: list[HeardWord] = []
    ended = True  # whether a space stands behind the last
    for word in said:
        if not word.text.strip():
            ended = True
            continue
        torn = spaced and not ended and not word.text[0].isspace()
        if torn and not any(map(is_unspaced, out[-1].text + word.text)):
            out[-1] = _both(out[-1], word)
        else:
            parted = not out or ended or not (spaced or unspaced)
            out.append(replace(word, text=joinable(word.text)) if parted else word)
        ended = word.text[-1].isspace()
    return out


def _both(word: HeardWord, rest: HeardWord) -> HeardWord:
    """One word of two parts; the probability is that of its letters."""
    some, more = len(letters(word.text)), len(letters(rest.text))
    some, more = (some, more) if some + more else (1, 1)
    probability = (word.probability * some + rest.probability * more) / (some + more)
    return HeardWord(
        word.text.rstrip() + rest.text,
        word.start_s,
        max(word.end_s, rest.end_s),
        probability,
        word.estimated and rest.estimated,
    )


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
    starts, middles = [part.start_s for part in parts], [(part.start_s + part.end_s) / 2 for part in parts]
    out: list[HeardSegment] = []
    free = 0  # each is the same word but once
    for stretch in stretches:
        low = max(free, bisect_left(middles, stretch.start_s - SLACK_S, lo=min(free, len(parts))))
        high = bisect_right(starts, stretch.end_s + SLACK_S)
        words, used = _matched(stretch, parts[low:high])
        free = max(free, low + used)
        out.append(replace(stretch, words=words))
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


def _parts(known: Sequence[HeardWord]) -> Iterator[HeardWord]:
    """The known words, as ``tokens`` divides text: one that holds several shares its time among them."""
    for word in known:
        pieces = tokens(word.text)
        if len(pieces) == 1:
            yield word
        else:
            laid = _laid(pieces, [(word.start_s, word.end_s)], word.probability)
            yield from (replace(each, estimated=word.estimated) for each in laid)


def _matched(stretch: HeardSegment, near: Sequence[HeardWord]) -> tuple[tuple[HeardWord, ...], int]:
    """The words of a stretch, and how many of those near it are used up."""
    texts = tokens(stretch.text)
    matcher = SequenceMatcher(None, [letters(w.text) for w in near], [letters(t) for t in texts], autojunk=False)
    same = {block.b + n: block.a + n for block in matcher.get_matching_blocks() for n in range(block.size)}
    found = [replace(near[same[at]], text=text) if at in same else None for at, text in enumerate(texts)]
    return tuple(_filled(stretch, texts, found)), max(same.values(), default=-1) + 1


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
