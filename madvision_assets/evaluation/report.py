"""From talks and picks to figures with intervals, the analyst's beside every baseline's."""

import random
from collections.abc import Callable, Sequence
from statistics import fmean

from madvision_assets.domain.provenance import Value
from madvision_assets.domain.video import Options
from madvision_assets.evaluation.labelled import LabelledTalk
from madvision_assets.evaluation.metrics import FURTHER, MAIN, Clip, agreement, measures
from madvision_assets.evaluation.pickers import (
    RANDOM_SEEDS,
    Heard,
    analyst_picker,
    has_speakers,
    lead_clips,
    longest_answers,
    random_clips,
    uniform_clips,
)
from madvision_assets.tools.analyst import Analyst

ANALYST, LONGEST = "analyst", "longest_answers"
RESAMPLES = 2000
COVERED = 0.95
AGREEMENT = "repeat_agreement"


class Figure(Value):
    """A mean over talks with its bootstrap interval (percentiles, talks drawn with replacement, 95 %)."""

    mean: float
    interval: tuple[float, float]


# By picker, by measure.
Report = dict[str, dict[str, Figure]]
Told = Callable[[int, int], None]


def evaluated(
    talks: Sequence[LabelledTalk],
    analyst: Analyst,
    options: Options,
    *,
    repeats: int = 1,
    told: Told = lambda _done, _of: None,
    heard: Heard = lambda _: None,
) -> Report:
    """Measure an analyst.

    Args:
        talks: labelled.
        analyst: proposes; vetted as in the pipeline.
        options: how many and how long.
        repeats: how often each talk is given to it; from two on it is measured how alike its answers are.
        told: how many talks are done, of how many.
        heard: of each answer, who gave it.

    Raises:
        Failure: of the analyst.
    """
    pick = analyst_picker(analyst, options, heard)
    picks, agreements = [], []
    for number, talk in enumerate(talks, 1):
        first, *others = [pick(talk, repeat) for repeat in range(repeats)]
        picks.append(first)
        agreements.append(fmean(agreement(talk, first, other) for other in others) if others else 1.0)
        told(number, len(talks))
    report = evaluated_picks(talks, picks)
    if repeats > 1:
        report[ANALYST][AGREEMENT] = figure(agreements)
    return report


def evaluated_picks(talks: Sequence[LabelledTalk], picks: Sequence[Sequence[Clip]]) -> Report:
    """The figures of clips that were picked, best first, and of baselines with as many clips of the same lengths."""
    lengths_s = [[end_s - start_s for start_s, end_s in clips] for clips in picks]
    pairs = list(zip(talks, lengths_s, strict=True))
    rows = {
        ANALYST: [measures(talk, clips) for talk, clips in zip(talks, picks, strict=True)],
        "random": [_random(talk, lengths) for talk, lengths in pairs],
        "uniform": [measures(talk, uniform_clips(talk, lengths)) for talk, lengths in pairs],
        "lead": [measures(talk, lead_clips(talk, lengths)) for talk, lengths in pairs],
    }
    if all(map(has_speakers, talks)):
        rows[LONGEST] = [measures(talk, longest_answers(talk, lengths)) for talk, lengths in pairs]
    return {
        picker: {name: figure([row[name] for row in each]) for name in (*MAIN, *FURTHER)}
        for picker, each in rows.items()
    }


def figure(values: Sequence[float]) -> Figure:
    """The mean of a value for each talk, and between which means 95 of 100 resamples lie; the same every time."""
    chance = random.Random(0)  # noqa: S311 - no secret
    means = sorted(fmean(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    outside = round(RESAMPLES * (1 - COVERED) / 2)
    low, high = means[outside], means[-1 - outside]
    return Figure(mean=round(fmean(values), 4), interval=(round(low, 4), round(high, 4)))


def _random(talk: LabelledTalk, lengths_s: Sequence[float]) -> dict[str, float]:
    rows = [measures(talk, random_clips(talk, lengths_s, seed)) for seed in range(RANDOM_SEEDS)]
    return {name: fmean(row[name] for row in rows) for name in rows[0]}
