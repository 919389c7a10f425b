"""Where a transcript is in doubt: stretches whose words the engine hardly believes itself."""

from collections.abc import Iterator, Sequence

from madvision_assets.domain.transcript import Doubtful, Segment, Word

# What the words around one say of it: a lone word that is unsure is mostly right.
AROUND = 3
UNSURE = 0.5


def doubtful(segments: Sequence[Segment]) -> tuple[Doubtful, ...]:
    """The stretches, in time order; each lies in one segment and has at least three words, or all that it has.

    Args:
        segments: of a transcript, in time order.
    """
    return tuple(stretch for segment in segments for stretch in _of(segment.words))


def _of(words: Sequence[Word]) -> Iterator[Doubtful]:
    size = min(AROUND, len(words))
    unsure = {
        n
        for at in range(len(words) - size + 1)
        if size and sum(word.probability for word in words[at : at + size]) < UNSURE * size
        for n in range(at, at + size)
    }
    run: list[Word] = []
    for n, word in enumerate(words):
        if n in unsure:
            run.append(word)
        elif run:
            yield _stretch(run)
            run = []
    if run:
        yield _stretch(run)


def _stretch(words: Sequence[Word]) -> Doubtful:
    probability = round(sum(word.probability for word in words) / len(words), 3)
    return Doubtful(start_s=words[0].start_s, end_s=words[-1].end_s, probability=probability)
