"""Measures and baselines, worked out by hand."""

import pytest

from madvision_assets.evaluation.labelled import LabelledTalk, Sentence
from madvision_assets.evaluation.metrics import agreement, iou, measures, passages, segments_touched
from madvision_assets.evaluation.pickers import lead_clips, longest_answers, random_clips, uniform_clips
from madvision_assets.evaluation.report import figure


def talk(chosen: tuple[int, ...] = (20, 21)) -> LabelledTalk:
    """A hundred sentences of ten seconds, as many as segments; a host asks every tenth."""
    sentences = tuple(
        Sentence(100 + 10.0 * n, 110 + 10.0 * n, f"Sentence {n}.", "host" if n % 10 == 0 else "guest")
        for n in range(100)
    )
    return LabelledTalk(id="t", start_s=100, end_s=1100, sentences=sentences, chosen=chosen)


def test_hit_precision_recall_f1_and_ap_are_counted_over_a_hundred_segments() -> None:
    """Two segments chosen, 20 and 21. Picked in order 50, 51, then 21, 22: one of four is right, at the third place."""
    found = measures(talk(), [(600.0, 620.0), (310.0, 330.0)])

    assert found["hit"] == 1
    assert found["precision"] == pytest.approx(1 / 4)
    assert found["recall"] == pytest.approx(1 / 2)
    assert found["f1"] == pytest.approx(1 / 3)
    assert found["ap"] == pytest.approx((1 / 3) / 2)


def test_what_is_found_first_counts_for_more() -> None:
    early, late = [(300.0, 320.0), (600.0, 620.0)], [(600.0, 620.0), (300.0, 320.0)]

    assert measures(talk(), early)["ap"] > measures(talk(), late)["ap"]
    assert measures(talk(), early)["f1"] == measures(talk(), late)["f1"]


def test_no_clip_is_no_hit_and_no_error() -> None:
    found = measures(talk(), [])

    assert {name: found[name] for name in ("hit", "precision", "recall", "f1", "ap", "coverage")} == dict.fromkeys(
        ("hit", "precision", "recall", "f1", "ap", "coverage"), 0.0
    )


def test_a_clip_counts_in_every_segment_that_it_touches_and_in_no_other() -> None:
    assert list(segments_touched(talk(), 305.0, 325.0)) == [20, 21, 22]
    assert list(segments_touched(talk(), 310.0, 320.0)) == [21]
    assert list(segments_touched(talk(), 1095.0, 1200.0)) == [99]


def test_the_first_clip_is_compared_with_whole_passages() -> None:
    chosen = talk((20, 21, 23, 60))

    assert passages(chosen) == [(300.0, 340.0), (700.0, 710.0)]
    assert measures(chosen, [(300.0, 330.0)])["r1_iou_0.7"] == 1
    assert measures(chosen, [(300.0, 325.0)])["r1_iou_0.7"] == 0
    assert measures(chosen, [(300.0, 325.0)])["r1_iou_0.5"] == 1
    assert measures(chosen, [(300.0, 325.0)])["coverage"] == pytest.approx(2 / 4)
    assert iou((0.0, 10.0), (20.0, 30.0)) == 0


def test_edges_inside_of_a_sentence_are_told() -> None:
    found = measures(talk(), [(300.0, 325.0), (404.0, 430.0)])

    assert found["starts_inside_sentence"] == pytest.approx(1 / 2)
    assert found["ends_inside_sentence"] == pytest.approx(1 / 2)


def test_equal_choices_agree_wholly_and_others_not_at_all() -> None:
    assert agreement(talk(), [(300.0, 320.0)], [(300.0, 320.0)]) == 1
    assert agreement(talk(), [(300.0, 320.0)], [(500.0, 520.0)]) == 0


def test_baselines_have_the_lengths_that_they_are_given_and_lie_in_the_talk() -> None:
    lengths_s = [30.0, 40.0, 50.0]
    picked = {
        "uniform": uniform_clips(talk(), lengths_s),
        "lead": lead_clips(talk(), lengths_s),
        "random": random_clips(talk(), lengths_s, seed=1),
        "longest": longest_answers(talk(), lengths_s),
    }

    for clips in picked.values():
        assert [end_s - start_s for start_s, end_s in clips] == pytest.approx(lengths_s)
        assert all(100 <= start_s < end_s <= 1100 for start_s, end_s in clips)
    assert picked["lead"][0][0] == 100
    assert random_clips(talk(), lengths_s, seed=1) == picked["random"] != random_clips(talk(), lengths_s, seed=2)


def test_the_longest_answers_are_the_guests_and_not_the_hosts() -> None:
    starts_s = {start_s for start_s, _ in longest_answers(talk(), [20.0] * 5)}

    assert starts_s <= {110 + 100.0 * n for n in range(10)}


def test_an_interval_holds_its_mean_and_is_the_same_every_time() -> None:
    values = [0.0, 0.1, 0.2, 0.1, 0.4, 0.0, 0.3]
    low, high = figure(values).interval

    assert low < figure(values).mean < high
    assert figure(values) == figure(values)
    assert figure([0.5, 0.5]).interval == (0.5, 0.5)
