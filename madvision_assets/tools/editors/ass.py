r"""Advanced SubStation Alpha, by pysubs2: each word lights up (``\k``) when it is said."""

from collections.abc import Iterable, Iterator

from madvision_assets.domain.captions import Cue, TimedText, joined_text

STYLE = "Spoken"
SIZE_OF_HEIGHT, EDGE_OF_HEIGHT, MARGIN_OF_HEIGHT, MARGIN_OF_WIDTH = 0.055, 0.003, 0.08, 0.08
SAID, TO_COME, BLACK = (255, 221, 64), (255, 255, 255), (0, 0, 0)  # red, green, blue
# What steers a renderer, and cannot be escaped in all of them.
_PLAIN = str.maketrans({"{": "\uff5b", "}": "\uff5d", "\\": "\uff3c", "\n": " ", "\r": " "})


def written(cues: Iterable[Cue], width: int, height: int) -> str:
    """The captions of a picture of this size, pixels; what was said is yellow, what comes is white."""
    import pysubs2

    file = pysubs2.SSAFile()
    file.info.update({"PlayResX": str(width), "PlayResY": str(height), "ScaledBorderAndShadow": "yes"})
    short = min(width, height)
    file.styles = {
        STYLE: pysubs2.SSAStyle(
            fontname="Arial", fontsize=round(short * SIZE_OF_HEIGHT, 1), bold=True,
            primarycolor=pysubs2.Color(*SAID), secondarycolor=pysubs2.Color(*TO_COME),
            outlinecolor=pysubs2.Color(*BLACK), outline=round(max(1.0, short * EDGE_OF_HEIGHT), 1), shadow=0,
            alignment=pysubs2.Alignment.BOTTOM_CENTER, marginl=round(width * MARGIN_OF_WIDTH),
            marginr=round(width * MARGIN_OF_WIDTH), marginv=round(height * MARGIN_OF_HEIGHT),
        )
    }  # fmt: skip
    file.events = [
        pysubs2.SSAEvent(_ms(cue.start_s), _ms(cue.end_s), style=STYLE, text="".join(_syllables(cue))) for cue in cues
    ]
    return file.to_string("ass")


def _syllables(cue: Cue) -> Iterator[str]:
    """The words in their lines, each with the hundredths of a second that it takes, and the pauses between."""
    at, last = _hundredths(cue.start_s), _hundredths(cue.end_s)
    breaks = _first_of_lines(cue)
    for number, word in enumerate(cue.words):
        if number:
            yield r"\N" if number in breaks else _space(cue.words[number - 1], word)
        begin = min(last, max(at, _hundredths(word.start_s)))
        end = min(last, max(begin, _hundredths(word.end_s)))
        if begin > at:
            yield rf"{{\k{begin - at}}}"
        yield rf"{{\k{end - begin}}}{word.text.translate(_PLAIN)}"
        at = end


def _first_of_lines(cue: Cue) -> set[int]:
    """The places of the words with which a line begins, but for the first."""
    first = cue.lines[0] if cue.lines else ""
    texts = [word.text for word in cue.words]
    return {n for n in range(1, len(texts)) if len(cue.lines) > 1 and joined_text(texts[:n]) == first}


def _space(before: TimedText, word: TimedText) -> str:
    return joined_text((before.text, word.text))[len(before.text) : -len(word.text) or None]


def _ms(time_s: float) -> int:
    return _hundredths(time_s) * 10


def _hundredths(time_s: float) -> int:
    return round(time_s * 100)
