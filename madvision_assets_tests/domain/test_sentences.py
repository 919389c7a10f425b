"""Claims about sentences: the same words, one sentence to each segment, and none of them long."""

import pytest

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.sentences import LONGEST_S, sentences

STEP_S = 0.4


def spoken(text: str, start_s: float = 0.0, step_s: float = STEP_S) -> HeardSegment:
    """Words one behind the other, each of the same length."""
    words = tuple(
        HeardWord(f" {word}", start_s + n * step_s, start_s + (n + 1) * step_s) for n, word in enumerate(text.split())
    )
    return HeardSegment(f" {text}", start_s, words[-1].end_s, words)


def texts(*heard: HeardSegment) -> list[str]:
    return [segment.text.strip() for segment in sentences(heard)]


def test_three_sentences_in_one_stretch_are_three() -> None:
    assert texts(spoken("We read. Did you? Yes!")) == ["We read.", "Did you?", "Yes!"]


@pytest.mark.parametrize(
    "told",
    [
        ["यह पहला वाक्य है।", "यह दूसरा वाक्य है।", "और यह तीसरा"],
        ["یہ پہلا ہے۔", "کیا یہ دوسرا ہے؟", "ہاں"],  # noqa: RUF001 - Urdu
        ["هل هذا صحيح؟", "نعم هو كذلك.", "حسنا"],
        ["Սա է։", "Այն է։"],  # noqa: RUF001 - Armenian
        ["ይህ ነው።", "ያ ነው።"],
        ["ဒါကတစ်။", "ဒါကနှစ်။"],
        ["これは｡", "つぎ｡"],
        ["这是一句\uff0e", "那是二句\uff0e"],
        ["Er sagte \u201eSo ist es.\u201c", "»Ja.«", "«Oui.»", "Dann ging er."],
    ],
)
def test_every_script_ends_its_sentences_in_its_own_way(told: list[str]) -> None:
    assert texts(spoken(" ".join(told))) == told


def test_who_says_no_ends_a_sentence() -> None:
    assert texts(spoken("He said no. Then we all went home.")) == ["He said no.", "Then we all went home."]


def test_a_sentence_that_a_window_has_cut_is_one() -> None:
    assert texts(spoken("The first thing"), spoken("is the last.", 1.2)) == ["The first thing is the last."]


@pytest.mark.parametrize(
    "text",
    [
        "We asked Mr. Smith about it.",
        "It was J. R. Tolkien who said so.",
        "They live in the U.S. and in Canada.",
        "It costs 12.50 euros.",
        "He said e.g. this.",
        "Well... so it is.",
        "We met at No. 10 again.",
    ],
)
def test_a_stop_that_ends_no_sentence_cuts_none(text: str) -> None:
    assert texts(spoken(text)) == [text]


def test_quotes_and_other_scripts_end_sentences_too() -> None:
    assert texts(spoken("He said “no.” Then he left.")) == ["He said “no.”", "Then he left."]
    japanese = HeardSegment("", 0, 2, (HeardWord("今日は。", 0, 1), HeardWord("行きます。", 1, 2)))
    assert texts(japanese) == ["今日は。", "行きます。"]


def test_a_long_pause_ends_a_sentence_without_a_stop() -> None:
    assert texts(spoken("and so on"), spoken("the next thing", 9.0)) == ["and so on", "the next thing"]


def test_a_long_sentence_is_cut_where_a_clause_ends_and_loses_no_word() -> None:
    text = " ".join(["word"] * 20 + ["here,"] + ["word"] * 22 + ["end."])
    found = sentences([spoken(text)])

    assert [segment.text.split()[-1] for segment in found] == ["here,", "end."]
    assert "".join(segment.text for segment in found).strip() == text
    assert all(segment.end_s - segment.start_s <= LONGEST_S for segment in found)


def test_an_hour_without_a_stop_is_many_short_segments() -> None:
    found = sentences([spoken(" ".join(["word"] * 9000))])

    assert max(segment.end_s - segment.start_s for segment in found) <= LONGEST_S
    assert sum(len(segment.words) for segment in found) == 9000


def test_what_has_no_times_of_words_stays_as_it_is() -> None:
    whole = HeardSegment("One. Two.", 0.0, 4.0)

    assert sentences([spoken("Before", 0.0), whole, spoken("after.", 5.0)])[1] == whole


def test_times_are_those_of_the_words() -> None:
    (first, second) = sentences([spoken("We read. You write.", 3.0)])

    assert [first.start_s, first.end_s, second.start_s, second.end_s] == pytest.approx([3.0, 3.8, 3.8, 4.6])
