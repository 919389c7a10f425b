"""Topic boundaries out of words alone."""

import time
from collections import Counter
from math import hypot

import pytest

from madvision_assets.domain.text_tiling import boundary_strengths, depth_scores, similarities
from madvision_assets.domain.wording import content_stems, words_of

BICYCLES = ["wheels chain brake", "brake wheels pedal", "pedal chain wheels", "chain brake pedal", "wheels pedal brake"]
COOKING = ["onion garlic pan", "pan butter onion", "garlic butter pan", "butter onion garlic", "pan garlic butter"]
SAILING = ["sail mast anchor", "anchor harbour sail", "mast harbour anchor", "harbour sail mast", "anchor mast sail"]


def test_the_strongest_boundaries_lie_where_the_topic_changes() -> None:
    blocks = [text.split() for text in BICYCLES + COOKING + SAILING]

    strengths = boundary_strengths(blocks)

    strongest = sorted(range(len(strengths)), key=lambda gap: -strengths[gap])[:2]
    assert sorted(strongest) == [4, 9]


@pytest.mark.parametrize("blocks", [[], [["alone"]], [["same"], ["same"]], [[], [], []]])
def test_a_text_without_change_has_no_boundary(blocks: list[list[str]]) -> None:
    strengths = boundary_strengths(blocks)

    assert strengths == [0.0] * max(0, len(blocks) - 1)


def test_sliding_windows_see_what_fresh_windows_would_see() -> None:
    blocks = [text.split() for text in BICYCLES + COOKING]
    window = 3
    slid = similarities(blocks, window)

    fresh = []
    for gap in range(len(blocks) - 1):
        before = [word for block in blocks[max(0, gap + 1 - window) : gap + 1] for word in block]
        after = [word for block in blocks[gap + 1 : gap + 1 + window] for word in block]
        one, other = Counter(before), Counter(after)
        fresh.append(sum(one[w] * other[w] for w in one) / (hypot(*one.values()) * hypot(*other.values())))
    assert slid == pytest.approx(fresh)


def test_depth_is_measured_from_the_peaks_on_both_sides() -> None:
    assert depth_scores([0.2, 0.8, 0.3, 0.5, 0.6, 0.1]) == pytest.approx([0.6, 0.0, 0.8, 0.1, 0.0, 0.5])


@pytest.mark.no_cover
def test_fifteen_thousand_sentences_take_seconds_not_minutes() -> None:
    blocks = [[f"word{(n * k) % 997}" for k in range(1, 6)] for n in range(15_000)]

    began_s = time.process_time()
    strengths = boundary_strengths(blocks)

    assert len(strengths) == 14_999
    assert time.process_time() - began_s < 10


def test_forms_of_a_word_count_as_one_and_empty_words_as_none() -> None:
    assert content_stems(words_of("The models were modelled; it's a model.")) == ["model", "modell", "model"]
    assert content_stems(words_of("Um, yes, okay, you know.")) == []
