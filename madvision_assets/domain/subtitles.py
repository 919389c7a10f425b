"""Reading what a person has corrected: SubRip, WebVTT, or the JSON that a transcript is handed out as.

Read strictly: a file that is not what it seems is refused in a sentence that says where, since what it says becomes the
text of record. Marks for italics and the like are left out.
"""

import html
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from madvision_assets.domain.languages import language_tag
from madvision_assets.domain.transcript_forms import Form

MAX_FILE_BYTES = 20 * 1024**2
READABLE = (Form.SRT, Form.VTT, Form.JSON)
# Of two cues; editors round to frames.
OVERLAP_S = 0.1
# So much behind the end of the sound.
LATE_S = 1.0
_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"^\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?$")
_ARROW = "-->"
# What subtitles are dressed with: WebVTT's own, those of SubRip, positions of SubStation Alpha, times inside of a cue.
_DRESS = re.compile(r"</?(?:[biu]|c|v|lang|ruby|rt|font|br)(?:[.\s][^<>]*)?/?>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z!][^<>]*>", re.IGNORECASE)
_ASIDE = re.compile(r"^(?:NOTE|STYLE|REGION)(?:\s|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class BadSubtitlesError(ValueError):
    """A file that cannot be taken; the message is a sentence that says why and where."""


@dataclass(frozen=True)
class SpokenCue:
    """Text with its time, seconds from the start of the video; ``number`` is its place in the file, from 1.

    ``language`` (as in a transcript: empty is that of most) and ``speaker`` where the file tells them; None where it
    does not.
    """

    number: int
    start_s: float
    end_s: float
    text: str
    language: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Subtitles:
    """What a file says.

    Attributes:
        cues: in time order, not overlapping.
        video_id: of the video that it says it is of; None where it does not say.
        language: likewise.
        duration_s: likewise of its sound, seconds.
    """

    cues: tuple[SpokenCue, ...]
    video_id: str | None = None
    language: str | None = None
    duration_s: float | None = None


def _known_language(told: object) -> object:
    if told is None:
        return ""
    if not isinstance(told, str) or not told.strip():
        return told
    if not (code := language_tag(told)):
        raise ValueError("This is no language: give its code, such as en, de or ja")
    return code


_Language = Annotated[str, BeforeValidator(_known_language)]


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    start_s: float
    end_s: float
    text: str
    language: _Language = ""  # left out where it is that of the transcript
    speaker: str | None = None


class _Exported(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    segments: list[_Part]
    video_id: str | None = None
    language: _Language | None = None
    duration_s: float | None = None


def read_subtitles(data: bytes, form: Form, duration_s: float) -> Subtitles:
    """What a file says.

    Args:
        data: its bytes.
        form: one of ``READABLE``.
        duration_s: of the video's sound, seconds.

    Raises:
        BadSubtitlesError: says what is wrong with it, and where.
    """
    text = _decoded(data)
    if form is Form.JSON:
        found = _of_json(text)
    elif form is Form.VTT and not re.match(r"WEBVTT(?:\s|$)", text):
        raise BadSubtitlesError("The file is no WebVTT: it does not begin with WEBVTT.")
    else:
        found = Subtitles(tuple(_cues(text.splitlines(), in_vtt=form is Form.VTT)))
    if found.duration_s is not None and abs(found.duration_s - duration_s) > LATE_S:
        raise BadSubtitlesError(
            f"The file is of a video of {_clock(found.duration_s)}, and this one lasts {_clock(duration_s)}."
        )
    if not found.cues:
        raise BadSubtitlesError("The file says nothing: it has no cue with text.")
    _check(found.cues, duration_s)
    return found


def _decoded(data: bytes) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise BadSubtitlesError(f"The file has more than {MAX_FILE_BYTES // 1024**2} MiB.")
    if not data.strip():
        raise BadSubtitlesError("The file is empty.")
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadSubtitlesError(
            f"The file is not text in UTF-8 (at byte {error.start}). Save it as UTF-8, and import it again."
        ) from error
    if "\0" in text:
        raise BadSubtitlesError("The file is no text: it holds zero bytes.")
    return text


def _of_json(text: str) -> Subtitles:
    try:
        found = _Exported.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise BadSubtitlesError(f"The file is no transcript as it is exported: {place}: {said}.") from error
    except (ValueError, RecursionError) as error:
        raise BadSubtitlesError("The file is no JSON.") from error
    cues = (
        SpokenCue(n, each.start_s, each.end_s, _plain(each.text, n), each.language.strip(), _name(each.speaker))
        for n, each in enumerate(found.segments, 1)
    )
    return Subtitles(tuple(cue for cue in cues if cue.text), found.video_id, found.language or None, found.duration_s)


def _name(told: str | None) -> str | None:
    """A speaker's name, on one line."""
    return None if told is None else " ".join(_CONTROL.sub(" ", told).split())


def _cues(lines: Sequence[str], *, in_vtt: bool) -> Iterator[SpokenCue]:
    """The cues with text; those that show nothing are left out."""
    times: tuple[float, float] | None = None
    said: list[str] = []
    number = 0
    for block in _blocks(lines):
        at = next((n for n, (_, line) in enumerate(block) if _ARROW in line), None)
        if at is None:
            aside = in_vtt and (_ASIDE.match(block[0][1]) or block[0][0] == 1)
            if not aside and times is not None:  # text behind an empty line in its cue
                said += [line for _, line in block]
            elif not aside:
                raise BadSubtitlesError(f"Line {block[0][0]} is text without a time.")
            continue
        if at > 1:
            raise BadSubtitlesError(f"Line {block[0][0]} is text without a time.")
        if times is not None and (text := _plain(" ".join(said), number)):
            yield SpokenCue(number, *times, text)
        number += 1
        times, said = _times(*block[at]), [line for _, line in block[at + 1 :]]
        if any(_ARROW in line for line in said):
            raise BadSubtitlesError(f"Behind cue {number}, at line {block[at][0]}, an empty line is missing.")
    if times is not None and (text := _plain(" ".join(said), number)):
        yield SpokenCue(number, *times, text)


def _blocks(lines: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    """Numbered lines between empty ones."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _times(number: int, line: str) -> tuple[float, float]:
    found = _TIMES.match(line)
    if found is None:
        raise BadSubtitlesError(f"Line {number} has no times that can be read, such as 00:01:02,500 --> 00:01:04,000.")
    groups = found.groups(default="0")
    return _seconds(groups[:4]), _seconds(groups[4:])


def _seconds(clock: Sequence[str]) -> float:
    hours, minutes, seconds, fraction = clock
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def _plain(text: str, number: int) -> str:
    """The words of a cue, on one line.

    Raises:
        BadSubtitlesError: there is a tag in it that no subtitles have.
    """
    bare = _DRESS.sub("", text)
    if tag := _TAG.search(bare):
        raise BadSubtitlesError(f"Cue {number} holds the tag {tag[0][:30]}, which no subtitles have. Take it out.")
    return " ".join(_CONTROL.sub(" ", html.unescape(bare)).split())


def _check(cues: Iterable[SpokenCue], duration_s: float) -> None:
    cues = tuple(cues)
    for cue in cues:
        if not (math.isfinite(cue.start_s) and 0 <= cue.start_s < cue.end_s):
            raise BadSubtitlesError(f"Cue {cue.number} ends before it begins ({_clock(cue.start_s)}).")
        if cue.end_s > duration_s + LATE_S:
            raise BadSubtitlesError(
                f"Cue {cue.number} ends at {_clock(cue.end_s)}, and this video lasts {_clock(duration_s)}: "
                "the file is of another video, or of another cut of it."
            )
    for before, after in pairwise(cues):
        if after.start_s < before.start_s:
            raise BadSubtitlesError(f"Cue {after.number} begins before cue {before.number}: they are not in order.")
        if after.start_s < before.end_s - OVERLAP_S:
            raise BadSubtitlesError(f"Cues {before.number} and {after.number} overlap at {_clock(after.start_s)}.")


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(max(0.0, time_s), 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02}:{seconds:04.1f}"
