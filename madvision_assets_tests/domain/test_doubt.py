"""Claims about doubt: stretches that the engine hardly believes are marked, and a lone unsure word is not."""

from madvision_assets.domain.doubt import doubtful
from madvision_assets.domain.transcript import Segment, Word


def segment(*probabilities: float, at_s: float = 0.0) -> Segment:
    words = tuple(
        Word(text=f"w{n}", start_s=at_s + n, end_s=at_s + n + 1, probability=each)
        for n, each in enumerate(probabilities)
    )
    return Segment(id=0, start_s=at_s, end_s=at_s + len(words), text="w", words=words)


def test_words_that_are_hardly_believed_are_marked_together() -> None:
    (found,) = doubtful([segment(0.9, 0.95, 0.9, 0.3, 0.2, 0.4, 0.9, 0.99)])

    assert (found.start_s, found.end_s) == (3.0, 6.0) or (found.start_s <= 3.0 and found.end_s >= 6.0)
    assert found.probability < 0.6


def test_a_lone_unsure_word_is_not_marked() -> None:
    assert doubtful([segment(0.9, 0.95, 0.2, 0.9, 0.9)]) == ()


def test_a_sentence_of_one_word_can_be_in_doubt_and_one_without_words_cannot() -> None:
    found = doubtful([segment(0.3), segment(0.9, at_s=5.0), segment(at_s=9.0)])

    assert [(each.start_s, each.end_s, each.probability) for each in found] == [(0.0, 1.0, 0.3)]
