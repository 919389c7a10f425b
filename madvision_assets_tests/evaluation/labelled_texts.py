"""The labelled set of this repository: short texts written for it, with what two editors would cut out of each.

``texts_*.txt``: ``## id | kind | language | title``, then a sentence a line behind who chose it (A, B, both or none).
What is held out must not be looked at when weights or rules are changed.
"""

from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from madvision_assets.domain.video import Options
from madvision_assets.evaluation.labelled import LabelledTalk, Sentence

HERE = Path(__file__).parent
FITTED, HELD_OUT = HERE / "texts_fitted.txt", HERE / "texts_held_out.txt"
SECONDS_PER_WORD, PAUSE_S = 0.36, 0.4
# A clip or two of a text of about a minute.
OPTIONS = Options(max_clips=1, min_clip_s=6, max_clip_s=14)


class Marked(NamedTuple):
    """A sentence, and who chose it."""

    text: str
    by: frozenset[str]


def marked_texts(file: Path) -> dict[tuple[str, str, str, str], list[Marked]]:
    """By (id, kind, language, title) the sentences of each text."""
    texts: dict[tuple[str, str, str, str], list[Marked]] = {}
    current: list[Marked] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            name, kind, language, title = (part.strip() for part in line[3:].split("|"))
            current = texts.setdefault((name, kind, language, title), [])
        elif line:
            current.append(Marked(line[3:], frozenset(line[:2]) - {"-"}))
    return texts


def labelled(file: Path, editor: str) -> list[LabelledTalk]:
    """The texts as talks at an even pace, with what one editor (``A`` or ``B``) chose."""
    talks = []
    for (name, kind, language, title), sentences in marked_texts(file).items():
        lengths_s = [SECONDS_PER_WORD * len(each.text.split()) for each in sentences]
        starts_s = accumulate((length_s + PAUSE_S for length_s in lengths_s), initial=0.0)
        timed = tuple(
            Sentence(round(start_s, 3), round(start_s + length_s, 3), each.text)
            for each, start_s, length_s in zip(sentences, starts_s, lengths_s, strict=False)
        )
        talks.append(
            LabelledTalk(
                id=name,
                title=title,
                start_s=0.0,
                end_s=timed[-1].end_s,
                sentences=timed,
                chosen=tuple(n for n, each in enumerate(sentences) if editor in each.by),
                language=language,
                kind=kind,
            )
        )
    return talks
