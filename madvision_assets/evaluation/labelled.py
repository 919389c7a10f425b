"""Talks of which it is known what editors chose: their file, and how one becomes a transcript."""

import hashlib
import json
import lzma
import re
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from madvision_assets.domain.provenance import Value
from madvision_assets.domain.transcript import Segment, Transcript

# Text compresses well; a file that grows beyond this is none of ours.
MAX_CHARS = 500_000_000
# Parts the number of a repeat from the ID of its talk.
_REPEAT = "__"
# What can be a part of an ID as it is.
_PLAIN = re.compile(rf"(?!.*{_REPEAT})[A-Za-z0-9_-]{{1,80}}")
# Times are often given in whole seconds.
ROUNDED_S = 1.0


class Sentence(NamedTuple):
    """A sentence: half-open, seconds; who says it, or an empty string where nobody knows."""

    start_s: float
    end_s: float
    text: str
    speaker: str | None = ""


class LabelledTalk(Value):
    """A talk with what editors chose of it.

    Attributes:
        id: names it.
        title: as its publisher has it.
        start_s: where what counts begins, seconds.
        end_s: where it ends.
        sentences: in time order.
        chosen: which sentences the editors chose, by their place in ``sentences``, from 0.
        language: ISO 639-1; empty where it is not told.
        kind: of content, where somebody has said it.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    title: str = ""
    start_s: float
    end_s: float
    sentences: Annotated[tuple[Sentence, ...], Field(min_length=1)]
    chosen: tuple[int, ...]
    language: str = ""
    kind: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.start_s < self.end_s:
            raise ValueError("end_s must be after start_s")
        if any(
            later.start_s < earlier.start_s for earlier, later in zip(self.sentences, self.sentences[1:], strict=False)
        ):
            raise ValueError("its sentences are not in time order")
        first_s, last_s = self.start_s - ROUNDED_S, self.end_s + ROUNDED_S
        if any(not first_s <= each.start_s <= each.end_s <= last_s for each in self.sentences):
            raise ValueError("a sentence ends before it begins, or lies outside of start_s to end_s")
        if any(not 0 <= number < len(self.sentences) for number in self.chosen):
            raise ValueError(f"chosen names a sentence that there is not (it has {len(self.sentences)}, from 0)")
        if not self.chosen:
            raise ValueError("nothing of it is chosen, so that nothing can be measured")
        return self


_SET = TypeAdapter(Annotated[list[LabelledTalk], Field(min_length=1)])


def read_set(file: Path) -> list[LabelledTalk]:
    """The talks of a file, JSON or (``.xz``) compressed JSON.

    Raises:
        ValueError: it cannot be read or is no such set; the sentence says where and why.
    """
    try:
        text = _text_of(file)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise ValueError(f"Cannot read {file}: {error}.") from error
    if len(text) > MAX_CHARS:
        raise ValueError(f"{file} is larger than a labelled set may be ({MAX_CHARS:,} characters).")
    try:
        talks = _SET.validate_python(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is no JSON: {error}.") from error
    except ValidationError as error:
        raise ValueError(f"{file} is no labelled set: {_first(error)} docs/evaluation.md has the form.") from error
    if len({talk.id for talk in talks}) < len(talks):
        raise ValueError(f"{file} is no labelled set: two of its talks have one id.")
    return talks


def transcript_of(talk: LabelledTalk, repeat: int = 0) -> Transcript:
    """The talk as a speech engine would have given it: its sentences are segments, without times of words.

    Times count from the talk's own start, so that nothing before it can be chosen. It has an ID of its own, and another
    one for each repeat: ceilings are of a video, and what was answered about one is not asked again.
    """
    segments = tuple(
        Segment(
            id=n,
            start_s=round(max(0.0, each.start_s - talk.start_s), 3),
            end_s=round(max(0.0, each.end_s - talk.start_s), 3),
            text=each.text,
            speaker=each.speaker or "",
        )
        for n, each in enumerate(talk.sentences)
    )
    spoken_s = sum(segment.end_s - segment.start_s for segment in segments)
    return Transcript(
        video_id=_video_id(talk, repeat),
        language=talk.language,
        duration_s=talk.end_s - talk.start_s,
        audible_s=spoken_s,
        covered_s=spoken_s,
        segments=segments,
    )


def _video_id(talk: LabelledTalk, repeat: int) -> str:
    told = talk.id if _PLAIN.fullmatch(talk.id) else hashlib.sha256(talk.id.encode(errors="replace")).hexdigest()[:16]
    return f"evaluated-{told}" + f"{_REPEAT}{repeat + 1}" * bool(repeat)


def _text_of(file: Path) -> str:
    if file.suffix == ".xz":
        with lzma.open(file, "rt", encoding="utf-8") as stream:
            return stream.read(MAX_CHARS + 1)
    with file.open(encoding="utf-8") as stream:
        return stream.read(MAX_CHARS + 1)


def _first(error: ValidationError) -> str:
    """What is wrong first, and where."""
    found = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in found["loc"])
    at = f"at {place}: " if place else ""
    return f"{at}{found['msg'].removeprefix('Value error, ')}."
