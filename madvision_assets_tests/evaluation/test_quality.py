"""How good the offline choice is, as claims: it fails when a change makes it worse than it was measured to be."""

from pathlib import Path

import pytest

from madvision_assets.domain.video import Options
from madvision_assets.evaluation.labelled import LabelledTalk, read_set
from madvision_assets.evaluation.report import Report, evaluated
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets_tests.evaluation.labelled_texts import FITTED, HELD_OUT, OPTIONS, labelled, marked_texts

EDITORS = ("A", "B")
# What people chose lies beside the repository on our own machines: it is not ours to pass on.
EDITORS_CHOICE = Path(__file__).parents[2].parent / "shared" / "editors_choice" / "dev.json.xz"
# The lower ends of the intervals that were measured (docs/evaluation.md).
FITTED_F1, HELD_OUT_F1, EDITORS_CHOICE_F1 = 0.55, 0.60, 0.126


def report_on(talks: list[LabelledTalk], options: Options = OPTIONS) -> Report:
    return evaluated(talks, OfflineAnalyst(), options)


def test_there_are_forty_texts_of_many_kinds_each_with_two_editors_and_a_part_held_out() -> None:
    texts = marked_texts(FITTED) | marked_texts(HELD_OUT)

    assert len(texts) >= 40
    assert len({kind for _, kind, _, _ in texts}) >= 9
    assert len({language for _, _, language, _ in texts}) >= 5
    assert len(marked_texts(HELD_OUT)) >= 15
    for sentences in texts.values():
        assert all(any(editor in each.by for each in sentences) for editor in EDITORS)


@pytest.mark.parametrize("editor", EDITORS)
@pytest.mark.parametrize(("file", "least"), [(FITTED, FITTED_F1), (HELD_OUT, HELD_OUT_F1)])
def test_the_choice_is_as_good_as_it_was_and_better_than_chance(file: Path, least: float, editor: str) -> None:
    report = report_on(labelled(file, editor))

    for measure in ("f1", "ap"):
        assert report["analyst"][measure].mean > report["random"][measure].mean
        assert report["analyst"][measure].mean > report["lead"][measure].mean
    assert report["analyst"]["f1"].mean >= least


def test_the_two_editors_are_nearer_to_each_other_than_the_analyst_is() -> None:
    """Else the labels could not tell a good choice from a bad one."""
    alike = [
        2 * sum(len(each.by) == 2 for each in sentences) / sum(len(each.by) for each in sentences)
        for sentences in (marked_texts(FITTED) | marked_texts(HELD_OUT)).values()
    ]

    assert sum(alike) / len(alike) > report_on(labelled(FITTED, "A"))["analyst"]["f1"].mean


@pytest.mark.long
@pytest.mark.skipif(not EDITORS_CHOICE.exists(), reason="what human editors chose does not lie beside this checkout")
def test_it_finds_what_human_editors_chose_far_better_than_chance_and_better_than_every_baseline() -> None:
    """In sample: the weights are fitted to these talks; docs/evaluation.md has the cross-validated figures."""
    report = report_on(read_set(EDITORS_CHOICE), Options())
    analyst, chance = report["analyst"], report["random"]

    for measure in ("f1", "ap"):
        assert analyst[measure].interval[0] > chance[measure].interval[1]
        for picker in ("random", "uniform", "lead", "longest_answers"):
            assert analyst[measure].mean > report[picker][measure].mean
    assert analyst["f1"].mean >= EDITORS_CHOICE_F1
    assert analyst["starts_inside_sentence"].mean == 0
    assert analyst["clip_s"].mean > 30
