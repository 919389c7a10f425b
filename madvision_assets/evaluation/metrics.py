"""Measures of clips beside what editors chose.

Hit, precision, recall, F1 and AP as in Rhapsody (Park et al., "Rhapsody: A Dataset for Highlight Detection in
Podcasts", 2025): a talk is cut into 100 segments of equal length, and one counts as chosen, or as picked, where a
chosen sentence, or a clip, touches it.
R1@IoU as in moment retrieval: whether the first clip overlaps a chosen passage by at least so much of their union.
"""

from collections.abc import Iterable, Sequence
from math import ceil, floor

from madvision_assets.evaluation.labelled import LabelledTalk

SEGMENTS = 100
# What of two spans that meet may overlap by rounding, seconds.
TOUCH_S = 0.01
# Chosen sentences that are no further apart are one passage: editors cut out what stands between.
SAME_PASSAGE_SENTENCES = 3
# A clip that begins so much after a sentence does, or ends so much before, is inside of it.
INSIDE_S = 0.5
IOU_LEVELS = (0.5, 0.7)

# Of a clip, start and end, seconds from the beginning of the file that the talk's times are in.
Clip = tuple[float, float]
MAIN = ("hit", "precision", "recall", "f1", "ap")
FURTHER = ("r1_iou_0.5", "r1_iou_0.7", "coverage", "starts_inside_sentence", "ends_inside_sentence", "clips", "clip_s")


def measures(talk: LabelledTalk, clips: Sequence[Clip]) -> dict[str, float]:
    """All measures of one talk, each 0 to 1 (but ``clips``, how many, and ``clip_s``, their mean length).

    Args:
        talk: what editors chose.
        clips: best first.
    """
    return {**_by_segments(talk, clips), **_by_passages(talk, clips)}


def segments_touched(talk: LabelledTalk, start_s: float, end_s: float) -> range:
    """Numbers of the segments that a span of time touches."""
    length_s = (talk.end_s - talk.start_s) / SEGMENTS
    first = floor((start_s - talk.start_s + TOUCH_S) / length_s)
    after = ceil((end_s - talk.start_s - TOUCH_S) / length_s)
    return range(max(0, first), min(SEGMENTS, max(after, first + 1)))


def passages(talk: LabelledTalk) -> list[Clip]:
    """What was chosen as passages: runs of chosen sentences."""
    runs: list[list[int]] = []
    for number in sorted(set(talk.chosen)):
        if runs and number - runs[-1][-1] <= SAME_PASSAGE_SENTENCES:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [(talk.sentences[run[0]].start_s, talk.sentences[run[-1]].end_s) for run in runs]


def iou(one: Clip, other: Clip) -> float:
    """Intersection over union of two spans of time."""
    both = min(one[1], other[1]) - max(one[0], other[0])
    union = max(one[1], other[1]) - min(one[0], other[0])
    return max(0.0, both) / union if union > 0 else 0.0


def agreement(talk: LabelledTalk, one: Sequence[Clip], other: Sequence[Clip]) -> float:
    """How alike two choices are: of the segments that either touches, the share that both do."""
    first, second = ({n for clip in clips for n in segments_touched(talk, *clip)} for clips in (one, other))
    return len(first & second) / len(first | second) if first | second else 1.0


def _by_segments(talk: LabelledTalk, clips: Sequence[Clip]) -> dict[str, float]:
    chosen = {
        n for at in talk.chosen for n in segments_touched(talk, talk.sentences[at].start_s, talk.sentences[at].end_s)
    }
    picked = list(dict.fromkeys(n for clip in clips for n in segments_touched(talk, *clip)))
    hits = 0
    precisions = 0.0
    for rank, segment in enumerate(picked, 1):
        if segment in chosen:
            hits += 1
            precisions += hits / rank
    precision, recall = hits / len(picked) if picked else 0.0, hits / len(chosen)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    # What is not picked is never found: it counts as a precision of 0.
    return {
        "hit": float(hits > 0),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "ap": precisions / len(chosen),
    }


def _by_passages(talk: LabelledTalk, clips: Sequence[Clip]) -> dict[str, float]:
    wanted = passages(talk)
    best = max((iou(clips[0], passage) for passage in wanted), default=0.0) if clips else 0.0
    covered = sum(
        any(start_s <= (talk.sentences[n].start_s + talk.sentences[n].end_s) / 2 < end_s for start_s, end_s in clips)
        for n in set(talk.chosen)
    )
    return {
        **{f"r1_iou_{level}": float(best >= level) for level in IOU_LEVELS},
        "coverage": covered / len(set(talk.chosen)),
        "starts_inside_sentence": _share(_inside(talk, start_s) for start_s, _ in clips),
        "ends_inside_sentence": _share(_inside(talk, end_s) for _, end_s in clips),
        "clips": float(len(clips)),
        "clip_s": sum(end_s - start_s for start_s, end_s in clips) / len(clips) if clips else 0.0,
    }


def _inside(talk: LabelledTalk, time_s: float) -> bool:
    return any(each.start_s + INSIDE_S < time_s < each.end_s - INSIDE_S for each in talk.sentences)


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return sum(values) / len(values) if values else 0.0
