"""Captions of a clip: which words stand on the screen together, in which lines, from when to when."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from madvision_assets.domain.graphemes import belongs, graphemes, pieces_of
from madvision_assets.domain.sentences import SENTENCE_END
from madvision_assets.domain.transcript import Word

# Line length, lines and times as broadcasters' guidelines have them (Netflix Timed Text, BBC Subtitle Guidelines).
MAX_LINE_CHARS = 42
MIN_CUE_S = 0.7
MAX_CUE_S = 6.0
PAUSE_S = 0.6

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_SRT_TIMES = re.compile(r"^(\d{2,}:\d{2}:\d{2}),(\d{3}) --> (\d{2,}:\d{2}:\d{2}),(\d{3})$")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+|\s+")


@dataclass(frozen=True)
class Cue:
    """What stands on the screen from one time to another, seconds from the clip's start; its words as they are said."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]
    words: tuple["TimedText", ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class TimedText:
    """A word, or a piece of a long one, as it stands in a line; seconds from the clip's start."""

    text: str
    start_s: float
    end_s: float


def caption_cues(words: Iterable[Word], start_s: float, end_s: float) -> list[Cue]:
    """Cues for the stretch from ``start_s`` to ``end_s`` of the video, in order, not overlapping, inside the clip.

    A cue has at most 2 lines of 42 characters and lasts 0.7 to 6 s, less only where the speech leaves no room. It
    ends with a sentence and before a pause of 0.6 s. A word cut by the clip's bounds is left out when most of it lies
    outside.

    Args:
        words: in time order, seconds from the start of the video.
        start_s: of the clip in the video.
        end_s: likewise.
    """
    inside = whole_letters(words_inside(words, start_s, end_s))
    tokens = [token for word in inside for token in _tokens(word, start_s, end_s)]
    groups = _joined(list(_groups(tokens)))
    cues = [Cue(group[0].start_s, group[-1].end_s, _lines(group) or (), tuple(group)) for group in groups]
    return _timed(cues, end_s - start_s)


def words_inside(words: Iterable[Word], start_s: float, end_s: float) -> list[Word]:
    """The words of which most lies between these times."""
    return [word for word in words if _inside(word, start_s, end_s)]


def whole_letters(words: Iterable[Word]) -> list[Word]:
    """The words, each that begins within a letter joined to the one before it: engines part scripts without spaces."""
    whole: list[Word] = []
    for word in words:
        if whole and _begins_within(whole[-1], word):
            joined = {"text": whole[-1].text + word.text, "end_s": max(whole[-1].end_s, word.end_s)}
            whole[-1] = whole[-1].model_copy(update=joined)
        else:
            whole.append(word)
    return whole


def _begins_within(before: Word, word: Word) -> bool:
    if not (before.text and word.text) or len(before.text) > MAX_LINE_CHARS:
        return False
    # Where words are written apart, one may end as half a letter would: only what it begins with tells.
    last = "" if are_spaced(before.text, word.text) else [*graphemes(before.text)][-1]
    return word.start_s - before.end_s < PAUSE_S and belongs(last or " ", word.text[0])


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip text; empty without cues. Hours have two digits or more."""
    blocks = (
        (str(number), f"{_clock(cue.start_s)} --> {_clock(cue.end_s)}", *map(_safe, cue.lines), "", "")
        for number, cue in enumerate(cues, 1)
    )
    return "".join("\n".join(block) for block in blocks)


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT; https://www.w3.org/TR/webvtt1/."""
    return vtt_of(to_srt(cues))


def vtt_of(srt: str) -> str:
    """WebVTT that says what SubRip text says."""
    return "WEBVTT\n\n" + "\n".join(_vtt_lines(srt))


def joined_text(texts: Iterable[str]) -> str:
    """Words or sentences as one text, with a space between where their script has one."""
    text = ""
    for each in texts:
        text += (" " if text and are_spaced(text, each) else "") + each
    return text


def are_spaced(one: str, other: str) -> bool:
    """Whether a space stands between two words: not between two of a script that has none."""
    return not (_UNSPACED.match(one[-1:]) and _UNSPACED.match(other))


def words_of_clip(words: Iterable[Word], start_s: float, end_s: float) -> list[Word]:
    """The words of a stretch of the video, in seconds from its start and inside it, on one line each.

    A word cut by the bounds is left out when most of it lies outside.
    """
    inside = (word for word in words if _inside(word, start_s, end_s) and _safe(word.text))
    return [
        Word(
            text=_safe(word.text),
            start_s=max(word.start_s, start_s) - start_s,
            end_s=min(max(word.end_s, word.start_s), end_s) - start_s,
            probability=word.probability,
        )
        for word in inside
    ]


def _vtt_lines(srt: str) -> Iterator[str]:
    for line in srt.splitlines():
        times = _SRT_TIMES.match(line)
        if times:
            yield "{}.{} --> {}.{}".format(*times.groups())
        else:
            yield line.replace("&", "&amp;").replace("<", "&lt;")


def _inside(word: Word, start_s: float, end_s: float) -> bool:
    length_s = word.end_s - word.start_s
    if length_s <= 0:
        return start_s <= word.start_s < end_s
    return (min(word.end_s, end_s) - max(word.start_s, start_s)) * 2 >= length_s


def _tokens(word: Word, start_s: float, end_s: float) -> Iterator[TimedText]:
    """The word, clamped into the clip; in pieces where it is longer than a line."""
    begin_s, stop_s = max(word.start_s, start_s) - start_s, min(max(word.end_s, word.start_s), end_s) - start_s
    text = _safe(word.text)
    pieces = list(pieces_of(text, len, MAX_LINE_CHARS))
    step_s = (stop_s - begin_s) / max(1, len(pieces))
    for index, piece in enumerate(pieces):
        yield TimedText(piece, begin_s + index * step_s, begin_s + (index + 1) * step_s)


def _groups(tokens: Iterable[TimedText]) -> Iterator[list[TimedText]]:
    group: list[TimedText] = []
    for token in tokens:
        if group and not (_continues(group[-1], token) and _fits([*group, token])):
            yield group
            group = []
        group.append(token)
    if group:
        yield group


def _continues(previous: TimedText, token: TimedText) -> bool:
    return token.start_s - previous.end_s < PAUSE_S and not SENTENCE_END.search(previous.text)


def _fits(group: Sequence[TimedText]) -> bool:
    return group[-1].end_s - group[0].start_s <= MAX_CUE_S and _lines(group) is not None


def _joined(groups: list[list[TimedText]]) -> list[list[TimedText]]:
    """Puts a group that is too short to read beside its neighbour, where no pause parts them and both fit."""
    joined: list[list[TimedText]] = []
    for group in groups:
        if joined and (_length_s(joined[-1]) < MIN_CUE_S or _length_s(group) < MIN_CUE_S):
            both = [*joined[-1], *group]
            if group[0].start_s - joined[-1][-1].end_s < PAUSE_S and _fits(both):
                joined[-1] = both
                continue
        joined.append(group)
    return joined


def _length_s(group: Sequence[TimedText]) -> float:
    return group[-1].end_s - group[0].start_s


def _lines(group: Sequence[TimedText]) -> tuple[str, ...] | None:
    """One line where it fits, else the two most alike in length; None where two do not do."""
    whole = _text(group)
    if len(whole) <= MAX_LINE_CHARS:
        return (whole,)
    halves = [(_text(group[:at]), _text(group[at:])) for at in range(1, len(group))]
    fitting = [pair for pair in halves if max(map(len, pair)) <= MAX_LINE_CHARS]
    return min(fitting, key=lambda pair: abs(len(pair[0]) - len(pair[1])), default=None)


def _text(group: Sequence[TimedText]) -> str:
    return joined_text(token.text for token in group)


def _timed(cues: list[Cue], clip_s: float) -> list[Cue]:
    """Gives each cue its reading time without overlaps: ends move back, then what does not fit moves forward."""
    timed: list[Cue] = []
    free_s = 0.0
    for cue in cues:
        start_s = max(cue.start_s, free_s)
        end_s = min(max(cue.end_s, start_s + MIN_CUE_S), start_s + MAX_CUE_S)
        timed.append(replace(cue, start_s=start_s, end_s=end_s))
        free_s = end_s
    limit_s = clip_s
    for index in reversed(range(len(timed))):
        cue = timed[index]
        end_s = max(0.0, min(cue.end_s, limit_s))
        start_s = max(0.0, min(cue.start_s, end_s - MIN_CUE_S))
        timed[index] = replace(cue, start_s=start_s, end_s=end_s)
        limit_s = start_s
    return [cue for cue in timed if cue.end_s > cue.start_s]


def _clock(time_s: float) -> str:
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{milliseconds:03d}"


def _safe(text: str) -> str:
    """Text that cannot end a cue or begin another."""
    return _UNSAFE.sub(" ", text).strip().replace("-->", "→")
