"""Claims about loops: what an engine repeats is cut short, what people repeat is not."""

from collections.abc import Sequence

import pytest

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.loops import without_loops
from madvision_assets.domain.segments import clean_segments, number_segments
from madvision_assets.domain.transcript import Segment

WORD_S = 0.3


def said(*texts: str, at_s: float = 0.0, every_s: float | None = None) -> list[HeardSegment]:
    """Stretches one behind the other, or so far apart."""
    out = []
    for text in texts:
        words = tuple(
            HeardWord(f" {word}", at_s + n * WORD_S, at_s + (n + 1) * WORD_S) for n, word in enumerate(text.split())
        )
        out.append(HeardSegment(f" {text}", words[0].start_s, words[-1].end_s, words))
        at_s = at_s + every_s if every_s is not None else words[-1].end_s
    return out


def texts(heard: Sequence[HeardSegment]) -> str:
    return " ".join("".join(word.text for word in each.words).strip() for each in heard)


A, B = "We have to measure it first.", "Then we look at the result."
BEFORE, AFTER = "Good morning to all of you.", "That is all for today."


def test_a_loop_inside_a_stretch_is_cut_after_its_third_time() -> None:
    looped = said(BEFORE, " ".join([A] * 9), AFTER)

    found = without_loops(looped)

    assert texts(found) == f"{BEFORE} {A} {A} {A} {AFTER}"
    assert (found[1].start_s, found[1].end_s) == (found[1].words[0].start_s, found[1].words[-1].end_s)
    assert found[1].text.split() == " ".join([A] * 3).split()


def test_two_stretches_that_take_turns_are_a_loop() -> None:
    assert texts(without_loops(said(BEFORE, *[A, B] * 8, AFTER))) == " ".join([BEFORE, *[A, B] * 3, AFTER])


def test_three_stretches_that_take_turns_are_a_loop_and_counting_is_none() -> None:
    third = "And so it goes on."
    counted = said(*(f"This is number {n} of the list." for n in range(20)))

    assert texts(without_loops(said(BEFORE, *[A, B, third] * 6))) == " ".join([BEFORE, *[A, B, third] * 3])
    assert without_loops(counted) == counted


def test_a_loop_is_one_whatever_its_marks_and_its_capitals() -> None:
    forms = ["we have to measure it first", "We have to measure it first,", "WE have to, measure it first!"]
    pairs = (
        ("It is 5 % now.", "it is 5 % NOW"),
        ("Cafe\u0301 au lait", "café au lait."),
        ("\uff21\uff22 is here.", "AB is here"),
    )

    for one, other in pairs:
        assert len(without_loops(said(*[one, other] * 6))) == 3
    assert len(without_loops(said(*forms * 4))) == 3


def test_a_refrain_that_comes_back_minutes_later_is_kept() -> None:
    refrains = said(*[A] * 8, every_s=150.0)
    songs = [each for n in range(6) for each in said(f"Verse number {n} is like no other.", B, at_s=200.0 * n)]

    assert without_loops(refrains) == refrains
    assert without_loops(songs) == songs


@pytest.mark.parametrize("text", ["No, no, no, no, no.", "Come on, come on, come on, come on!", f"{A} {A} {A}"])
def test_what_people_say_again_and_again_is_kept(text: str) -> None:
    heard = said(BEFORE, text, AFTER)

    assert without_loops(heard) == heard


def test_loops_are_cut_on_the_way_to_a_transcript() -> None:
    found = clean_segments(said(*[A, B] * 8), 600.0, [(0.0, 60.0)])

    assert [each.text for each in found] == [A, B] * 3


def test_the_same_sentence_minutes_apart_is_no_loop_of_the_whole_audio() -> None:
    def every(step_s: float) -> list[Segment]:
        return [Segment(id=0, start_s=n * step_s, end_s=n * step_s + 2, text=A) for n in range(6)]

    assert len(number_segments(every(30.0))) == 3
    assert len(number_segments(every(150.0))) == 6
