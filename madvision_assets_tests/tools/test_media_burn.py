"""Claims about captions as ASS: words are marked when they are said, and every letter has a font that is at hand."""

import re
import struct
from pathlib import Path

import pysubs2
import pytest

from madvision_assets.domain.phrases import Box
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.transcript import Word
from madvision_assets.tools.media import burn, fonts

SIZE = 1080, 1920
SAID = {
    "latin": "Measure first, because a wrong answer never improved a result. Did it?",
    "arabic": "أهم درس تعلمته هو أن تقيس أولاً، لأن الإجابة الخاطئة لم تحسن نتيجة قط.",
    "japanese": "最も 大切 な こと は 、 まず 測る こと です 。",
}


def said(text: str) -> list[Word]:
    return [Word(text=t, start_s=0.31 * at + 0.123, end_s=0.31 * at + 0.4) for at, t in enumerate(text.split())]


def events(burnt: burn.Burnt) -> list[pysubs2.SSAEvent]:
    return list(pysubs2.SSAFile.from_string(burnt.ass).events)


@pytest.mark.parametrize("script", SAID)
@pytest.mark.parametrize("style", [CaptionStyle.BOLD, CaptionStyle.PLAIN, CaptionStyle.KARAOKE])
def test_each_word_is_marked_within_80_ms(script: str, style: CaptionStyle) -> None:
    words = said(SAID[script])
    marked = events(burn.captions(words, 10.0, style, Shape.VERTICAL, SIZE))
    off_ms = sorted(abs(event.start - word.start_s * 1000) for event, word in zip(marked, words, strict=True))
    assert off_ms[int(0.9 * len(off_ms))] <= 80
    assert off_ms[-1] <= 80


def test_in_bold_one_word_stands_out_and_in_karaoke_all_that_were_said() -> None:
    words = said("one two three")
    for style, counts in ((CaptionStyle.BOLD, [1, 1, 1]), (CaptionStyle.KARAOKE, [1, 2, 3])):
        lit = []
        for event in events(burn.captions(words, 3.0, style, Shape.VERTICAL, SIZE)):
            runs = re.findall(r"\\1c(&H\w+&)\}([^{]*)", event.text)
            lit.append(sum(len(text.split()) for colour, text in runs if colour != burn.WHITE))
        assert lit == counts


def test_what_is_said_gives_no_orders_to_the_renderer() -> None:
    words = said(r"{\b1} a\Nb {x}")
    [event, *_] = events(burn.captions(words, 3.0, CaptionStyle.PLAIN, Shape.VERTICAL, SIZE))
    assert r"\{\{" not in event.text
    plain = re.sub(r"(?<!\\)\{[^}]*\}", "", event.text)
    assert "\\N" not in plain.replace(f"\\{burn.WORD_JOINER}N", "")
    assert "\\{" in plain


@pytest.mark.parametrize("script", SAID)
def test_each_letter_has_a_font_of_ours_that_holds_it(script: str) -> None:
    for font, text in fonts.runs(SAID[script] + " 😀 é ß ж λ"):
        [path] = fonts.files([font])
        held = codes(path)
        assert [char for char in text if ord(char) not in held and not char.isspace()] == [], font.family


def test_each_symbol_has_a_font_that_holds_it_and_a_selector_that_of_what_it_changes() -> None:
    held = {
        font: codes(path) for font in dict.fromkeys(font for _, font in fonts.BLOCKS) for path in fonts.files([font])
    }
    symbols = "♪♫★☆✓≤≥≠≈√∞●■▶◆→—…€№™½♥☺⚡⭐①㎡"

    chosen = {char: font for char in symbols for font, text in fonts.runs("a" + char) if char in text}

    assert [char for char, font in chosen.items() if ord(char) not in held[font]] == []
    assert [text for _, text in fonts.runs("ok \u2764\ufe0f \U0001f468\u200d\U0001f469")] == [
        "ok ",
        "\u2764\ufe0f \U0001f468\u200d\U0001f469",
    ]


@pytest.mark.parametrize("font", dict.fromkeys(font for _, font in fonts.BLOCKS))
def test_fonts_are_as_high_as_they_are_said_to_be(font: fonts.Font) -> None:
    [path] = fonts.files([font])
    data = path.read_bytes()
    at = tables(data)
    (units,) = struct.unpack_from(">H", data, at["head"] + 18)
    above, below = struct.unpack_from(">HH", data, at["OS/2"] + 74)
    assert font.line_em == pytest.approx((above + below) / units, abs=0.001)


def test_only_the_fonts_that_are_named_are_laid_out(tmp_path: Path) -> None:
    burnt = burn.captions(said("Ünü مرحبا"), 3.0, CaptionStyle.BOLD, Shape.VERTICAL, SIZE)
    files = burn.font_folder(burnt, tmp_path / "fonts")
    assert sorted(path.name for path in (tmp_path / "fonts").iterdir()) == sorted(path.name for path in files)
    assert {font.family for font in burnt.fonts} == {"Noto Sans", "Noto Sans Arabic"}


def test_captions_do_not_stand_on_a_face() -> None:
    face = Box(300, 1200, 400, 400)
    burnt = burn.captions(said("one two"), 3.0, CaptionStyle.BOLD, Shape.VERTICAL, SIZE, lambda *_: [face])
    [height] = {int(y) for event in events(burnt) for y in re.findall(r"\\pos\(\d+,(\d+)\)", event.text)}
    assert not face.top - 60 < height < face.top + face.height + 60


def tables(data: bytes) -> dict[str, int]:
    """Where the tables of an OpenType font begin."""
    (count,) = struct.unpack_from(">H", data, 4)
    entries = (struct.unpack_from(">4s4xI4x", data, 12 + 16 * index) for index in range(count))
    return {name.decode(): offset for name, offset in entries}


def codes(path: Path) -> set[int]:
    """The characters that a font has (cmap, formats 4 and 12)."""
    data = path.read_bytes()
    cmap = tables(data)["cmap"]
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    found: set[int] = set()
    for index in range(count):
        (offset,) = struct.unpack_from(">I", data, cmap + 8 + 8 * index)
        at = cmap + offset
        (form,) = struct.unpack_from(">H", data, at)
        if form == 12:
            (groups,) = struct.unpack_from(">I", data, at + 12)
            for group in range(groups):
                first, last, _ = struct.unpack_from(">III", data, at + 16 + 12 * group)
                found.update(range(first, last + 1))
        elif form == 4:
            (twice,) = struct.unpack_from(">H", data, at + 6)
            ends = struct.unpack_from(f">{twice // 2}H", data, at + 14)
            starts = struct.unpack_from(f">{twice // 2}H", data, at + 16 + twice)
            for first, last in zip(starts, ends, strict=True):
                found.update(range(first, last + 1))
    return found
