"""Who picks clips: the analyst that is measured, and the baselines that it must be better than.

A baseline picks as many clips as the analyst did in the same talk, and of the same lengths; so neither the number nor
the length of clips can make the difference.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence

from madvision_assets.domain.content_type import ContentKind
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.selection import select
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.evaluation.labelled import LabelledTalk, transcript_of
from madvision_assets.evaluation.metrics import Clip
from madvision_assets.tools.analyst import Analyst

RANDOM_SEEDS = 20
TRIES = 200  # to lay a clip where none lies yet

# A talk, and which repeat of the question it is, from 0.
Picker = Callable[[LabelledTalk, int], list[Clip]]
Heard = Callable[[Recipe], None]


def analyst_picker(analyst: Analyst, options: Options, heard: Heard = lambda _: None) -> Picker:
    """What an analyst proposes, vetted as in the pipeline; best first. It is told of each answer who gave it."""

    def pick(talk: LabelledTalk, repeat: int) -> list[Clip]:
        transcript = transcript_of(talk, repeat)
        asked_for = transcript.within(options.start_s, options.end_s)
        source = SourceMetadata(extractor="labelled", title=talk.title)
        kind = ContentKind(talk.kind) if talk.kind in set(ContentKind) else ContentKind.OTHER
        proposal = analyst.propose(asked_for, kind, source, options)
        heard(proposal.recipe)
        chosen = select(proposal.moments, transcript, options, transcript.duration_s)
        return [(clip.start_s + talk.start_s, clip.end_s + talk.start_s) for clip in chosen.candidates]

    return pick


def random_clips(talk: LabelledTalk, lengths_s: Sequence[float], seed: int) -> list[Clip]:
    """Clips anywhere, none over another as far as there is room."""
    chance = random.Random(f"{talk.id} {seed}")  # noqa: S311 - no secret
    clips: list[Clip] = []
    for length_s in lengths_s:
        latest_s = max(talk.start_s, talk.end_s - length_s)
        for _ in range(TRIES):
            start_s = chance.uniform(talk.start_s, latest_s)
            if all(start_s + length_s <= start or start_s >= end for start, end in clips):
                break
        clips.append((start_s, min(talk.end_s, start_s + length_s)))
    return clips


def uniform_clips(talk: LabelledTalk, lengths_s: Sequence[float]) -> list[Clip]:
    """Clips in the middles of equal parts of the talk, in time order."""
    part_s = (talk.end_s - talk.start_s) / max(1, len(lengths_s))
    middles = [talk.start_s + (n + 0.5) * part_s for n in range(len(lengths_s))]
    return [(middle - length_s / 2, middle + length_s / 2) for middle, length_s in zip(middles, lengths_s, strict=True)]


def lead_clips(talk: LabelledTalk, lengths_s: Sequence[float]) -> list[Clip]:
    """Clips from the beginning on, one after the other."""
    clips: list[Clip] = []
    start_s = talk.start_s
    for length_s in lengths_s:
        clips.append((start_s, min(talk.end_s, start_s + length_s)))
        start_s += length_s
    return clips


def has_speakers(talk: LabelledTalk) -> bool:
    """Whether it is known who says what."""
    return len({sentence.speaker for sentence in talk.sentences if sentence.speaker}) > 1


def longest_answers(talk: LabelledTalk, lengths_s: Sequence[float]) -> list[Clip]:
    """The openings of the longest turns of whoever says most, the longest first."""
    said: Counter[str] = Counter()
    turns: list[tuple[str, float, float]] = []
    for sentence in talk.sentences:
        speaker = sentence.speaker or ""
        said[speaker] += len(sentence.text.split())
        if turns and turns[-1][0] == speaker:
            turns[-1] = (speaker, turns[-1][1], sentence.end_s)
        else:
            turns.append((speaker, sentence.start_s, sentence.end_s))
    guest = said.most_common(1)[0][0]
    longest = sorted((turn for turn in turns if turn[0] == guest), key=lambda turn: turn[1] - turn[2])
    return [
        (start_s, min(talk.end_s, start_s + length_s))
        for (_, start_s, _), length_s in zip(longest, lengths_s, strict=False)
    ]
