"""Claims about captions in ASS: each word lights up when it is said, in the lines and pauses that the captions have."""

import re

import pysubs2
import pytest

from madvision_assets.domain.captions import caption_cues
from madvision_assets.domain.transcript import Word
from madvision_assets.tools.editors import ass


def spoken(text: str, *, word_s: float = 0.3, pause_s: float = 0.1, start_s: float = 100.2) -> list[Word]:
    """The words one after the other, with a pause between."""
    step_s = word_s + pause_s
    return [
        Word(text=word, start_s=start_s + n * step_s, end_s=start_s + n * step_s + word_s)
        for n, word in enumerate(text.split())
    ]


def lit(text: str) -> list[tuple[float, float, str]]:
    """When each word of a file lights up, until when, and how it is written."""
    found = []
    for event in pysubs2.SSAFile.from_string(text).events:
        at_s = event.start / 1000
        for hundredths, said in re.findall(r"\{\\k(\d+)\}([^{]*)", event.text):
            if said.strip():
                found.append((at_s, at_s + int(hundredths) / 100, said.replace(r"\N", " ").strip()))
            at_s += int(hundredths) / 100
    return found


@pytest.mark.parametrize(
    "text",
    [
        "A sentence with pauses between its words that is long enough for two lines on the screen.",
        "One. Two follows! And three of them?",
        "A {\\b1}brace and a \\N backslash stay what they are",
    ],
)
def test_each_word_is_lit_while_it_is_said(text: str) -> None:
    words = spoken(text)
    cues = caption_cues(words, 100.0, 130.0)

    found = lit(ass.written(cues, 1920, 1080))

    assert len(found) == len(words)
    for (begin_s, end_s, _), word in zip(found, words, strict=True):
        assert begin_s == pytest.approx(word.start_s - 100.0, abs=0.011)
        assert end_s == pytest.approx(word.end_s - 100.0, abs=0.011)


def test_lines_are_those_of_the_captions() -> None:
    cues = caption_cues(spoken("when a sentence does not fit in one line it is parted", word_s=0.2), 100.0, 110.0)
    (event,) = pysubs2.SSAFile.from_string(ass.written(cues, 640, 360)).events

    plain = re.sub(r"\{[^}]*\}", "", event.text)
    assert tuple(plain.split(r"\N")) == cues[0].lines
    assert len(cues[0].lines) == 2


def test_a_script_without_spaces_has_none() -> None:
    words = spoken("今天 我们 聊 AI", word_s=0.5)
    (event,) = pysubs2.SSAFile.from_string(ass.written(caption_cues(words, 100.0, 110.0), 1080, 1920)).events

    assert re.sub(r"\{[^}]*\}", "", event.text) == "今天我们聊 AI"


def test_what_is_said_steers_no_renderer() -> None:
    text = ass.written(caption_cues(spoken(r"{\pos(0,0)} \N {\fs900}"), 100.0, 110.0), 640, 360)

    (event,) = pysubs2.SSAFile.from_string(text).events
    assert re.findall(r"\{([^}]*)\}", event.text) == re.findall(r"\{(\\k\d+)\}", event.text)
    assert r"\N" not in event.text


def test_letters_have_the_size_and_place_that_the_picture_asks_for() -> None:
    cues = caption_cues(spoken("small"), 100.0, 110.0)
    wide, tall = (pysubs2.SSAFile.from_string(ass.written(cues, *size)) for size in ((1920, 1080), (1080, 1920)))

    assert (wide.info["PlayResX"], wide.info["PlayResY"]) == ("1920", "1080")
    assert wide.styles["Spoken"].fontsize == tall.styles["Spoken"].fontsize == pytest.approx(59.4)
    assert tall.styles["Spoken"].marginv > wide.styles["Spoken"].marginv
