"""Fit the weights of the offline analyst's choice to what editors chose, and say how good it is on talks it never saw.

    python benchmarks/fit_choice.py SET.json.xz [--write]

SET is as ``docs/evaluation.md`` has it. A ridge logistic regression: is anything of a stretch of a minute among what
the editors chose? Each stretch is compared with the rest of its talk; nothing but counts per word and three terms of
place and pace is used (``tools/analyst/features.py``, ``model.py``). ``--write`` puts the weights of a fit to the
whole SET into the package; the figures that are printed are of talks left out of the fit, whole talks at a time.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from madvision_assets.domain.timeline import Timeline
from madvision_assets.domain.video import Options
from madvision_assets.evaluation.labelled import LabelledTalk, read_set, transcript_of
from madvision_assets.evaluation.pickers import analyst_picker
from madvision_assets.evaluation.report import evaluated, evaluated_picks
from madvision_assets.evaluation.tables import to_table
from madvision_assets.tools.analyst import model
from madvision_assets.tools.analyst.features import COUNTS, features_of
from madvision_assets.tools.analyst.model import TERMS, Frame, Weights
from madvision_assets.tools.analyst.offline import OfflineAnalyst

Array = NDArray[np.float64]
FOLDS = 8
RIDGE = 3000.0 / 20
# What is fitted; the other counts are for reasons and kinds. Fewer are nearer to what they reach on talks never seen.
FITTED = (
    "rare", "central", "titled", "fresh", "content", "ends", "questions", "main", "housekeeping", "advert", "thanks",
    "agreement", "hedge", "filler", "time", "condition", "absolute", "comparison", "definition", "person_first",
)  # fmt: skip
# What the ridge draws towards in place of 0, set by hand before the fit: what editors of any show are said to look for.
# One show's labels hardly tell these apart from nothing, and they keep its taste from being all that is known.
BELIEVED = {
    "importance": 6.0, "lesson": 6.0, "problem": 5.0, "reason": 5.0, "extreme": 5.0, "result": 4.0, "contrast": 4.0,
    "absolute": 3.0, "advice": 3.0, "emotion": 3.0,
}  # fmt: skip
# Talks of which much was chosen must not decide alone: what is positive of a talk weighs at most so many stretches.
POSITIVES, AT_LEAST = 40.0, 10.0
STRETCH_S, SHORTEST_S = 60.0, 25.0
STEP_UNITS = 2


def stretches(talk: LabelledTalk) -> tuple[Array, Array]:
    """Of every stretch of about a minute: its features, and whether an editor chose anything of it."""
    transcript = transcript_of(talk)
    timeline = Timeline(transcript, transcript.duration_s, STRETCH_S)
    speakers = [transcript.segments[unit.segment_id].speaker for unit in timeline.units]
    features = features_of(timeline.units, speakers, transcript.language, talk.title)
    known = np.array([name in features.known for name in COUNTS])
    counts = np.array(features.counts) * known
    words = np.array([len(unit) for unit in features.words], dtype=float)
    usual = np.array(features.usual) * known
    sums = np.vstack([np.zeros(len(COUNTS)), np.cumsum(counts - usual * words[:, None], axis=0)])
    word_sums = np.concatenate([[0.0], np.cumsum(words)])
    frame = Frame(timeline.units, float(words.sum()))
    chosen = np.isin([unit.segment_id for unit in timeline.units], talk.chosen)
    chosen_sums = np.concatenate([[0], np.cumsum(chosen)])
    rows, labels, last = [], [], 0
    for first in range(0, len(words), STEP_UNITS):
        last = max(last, first)
        while last + 1 < len(words) and timeline.units[last + 1].end_s - timeline.units[first].start_s <= STRETCH_S:
            last += 1
        start_s, end_s = timeline.units[first].start_s, timeline.units[last].end_s
        if end_s - start_s < SHORTEST_S:
            continue
        said = word_sums[last + 1] - word_sums[first]
        rates = (sums[last + 1] - sums[first]) / (said + model.PRIOR_WORDS)
        rows.append(np.concatenate([rates, frame.terms(start_s, end_s, said)]))
        labels.append(chosen_sums[last + 1] > chosen_sums[first])
    return np.array(rows), np.array(labels, dtype=float)


def fit(data: Sequence[tuple[Array, Array]], ridge: float = RIDGE) -> Weights:
    """A ridge logistic regression with an intercept (which nobody needs), by Newton's method."""
    rows, labels = np.vstack([rows for rows, _ in data]), np.concatenate([labels for _, labels in data])
    weight = np.concatenate([np.where(y > 0, POSITIVES / max(y.sum(), AT_LEAST), 1.0) for _, y in data])
    names = [name for name in (*COUNTS, *TERMS) if name in {*FITTED, *TERMS}]
    believed = np.array([BELIEVED.get(name, 0.0) for name in (*COUNTS, *TERMS)])
    offset = rows @ np.where(np.isin((*COUNTS, *TERMS), names), 0.0, believed)  # of what is only believed
    rows = rows[:, np.isin((*COUNTS, *TERMS), names)]
    scale = rows.std(axis=0) + 1e-9
    x = np.hstack([rows / scale, np.ones((len(rows), 1))])
    drawn_to = np.append(scale * [BELIEVED.get(name, 0.0) for name in names], 0.0)
    penalty = np.append(np.full(rows.shape[1], ridge), 1e-9)
    beta = np.zeros(x.shape[1])
    share = np.average(labels, weights=weight)
    beta[-1] = np.log(share / (1 - share))
    for _ in range(25):
        p = 1 / (1 + np.exp(-offset - x @ beta))
        slope = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(slope, x.T @ (weight * (labels - p)) - penalty * (beta - drawn_to))
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    values = {name: float(f"{value:.4g}") for name, value in zip(names, beta[:-1] / scale, strict=True)}
    terms = {name: values.pop(name) for name in TERMS}
    return Weights({**{n: v for n, v in BELIEVED.items() if n not in values}, **values}, terms)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    talks = read_set(arguments.set)
    data = [stretches(talk) for talk in talks]
    picks = {}
    for fold in range(FOLDS):
        left_out = [n for n in range(len(talks)) if n % FOLDS == fold]
        kept = [pair for n, pair in enumerate(data) if n % FOLDS != fold]
        pick = analyst_picker(OfflineAnalyst(fit(kept)), Options())
        picks |= {talks[n].id: pick(talks[n]) for n in left_out}
    print(f"Cross-validated, {FOLDS} folds of whole talks:")
    print(to_table(evaluated_picks(talks, [picks[talk.id] for talk in talks])))
    weights = fit(data)
    print("\nFitted to all of them (what is shipped):")
    print(to_table(evaluated(talks, OfflineAnalyst(weights), Options())))
    if arguments.write:
        file = Path(model.__file__).with_name(model.WEIGHTS_FILE)
        file.write_text(
            json.dumps({"counts": weights.counts, "terms": weights.terms}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
