"""Claims about how what is said is taken apart and found again."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.spoken import (
    MAX_QUESTION_CHARS,
    PASSAGE_S,
    SHARED,
    STEP_S,
    BadQuestionError,
    Question,
    Sentence,
    moment_in,
    passages_of,
    words_in,
)
from madvision_assets.domain.transcript import Segment, Transcript

BASE_S = 4.0


def sentences(*texts: str) -> list[Sentence]:
    return [Sentence(start_s=n * BASE_S, end_s=(n + 1) * BASE_S, text=text) for n, text in enumerate(texts)]


def spoken(*texts: str) -> Transcript:
    segments = tuple(
        Segment(id=n, start_s=n * BASE_S, end_s=(n + 1) * BASE_S, text=text) for n, text in enumerate(texts)
    )
    return Transcript(video_id="web-1", language="en", duration_s=900, audible_s=900, covered_s=900, segments=segments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The CAFÉ's  menu -- déjà vu!", ["the", "cafe", "s", "menu", "deja", "vu"]),
        ("Größe STRASSE straße", ["grosse", "strasse", "strasse"]),
        ("機械学習 is fun", ["機", "械", "学", "習", "is", "fun"]),
        ("снег, Й", ["снег", "и"]),
        ("snake_case 3.5", ["snake", "case", "3", "5"]),
        ("한국어", ["한국어"]),
        ("दिन दान दीन", ["दिन", "दान", "दीन"]),
        ("தமிழ் বাংলা", ["தமிழ்", "বাংলা"]),
        ("क्\u200cष क्\u200dष क्ष", ["क्ष", "क्ष", "क्ष"]),
        ("مَدْرَسَة مدرسة مـدرسة", ["مدرسة", "مدرسة", "مدرسة"]),
        ("שָׁלוֹם, בית־ספר", ["שלום", "בית", "ספר"]),
        ("กิน", ["ก", "ิ", "น"]),
        ("\u0301 e\u0301 \u093f \u2764\ufe0f", ["e"]),
        ("'; DROP TABLE videos; --", ["drop", "table", "videos"]),
        ("\0\ud800\u202e", []),
    ],
)
def test_words_are_compared_without_case_accents_and_marks(text: str, words: list[str]) -> None:
    assert words_in(text) == words


@given(st.text())
def test_a_word_holds_nothing_that_a_database_could_take_for_an_order(text: str) -> None:
    assert all(word.isalnum() or not set(word) & set("'\"\\\0*&|!():<> \n") for word in words_in(text))


def test_a_question_is_its_words_and_what_stands_in_quotes_is_one_phrase() -> None:
    asked = Question.read('budget "To be, or not" „zu Hause“ OR well-known budget')

    assert asked.phrases == (
        ("budget",),
        ("to", "be", "or", "not"),
        ("zu", "hause"),
        ("or",),
        ("well", "known"),
    )


@pytest.mark.parametrize(
    "text", ["", "  ", '""', "-- !!", "\0", "a" * (MAX_QUESTION_CHARS + 1), "a b " * 60 + "c d " * 60]
)
def test_a_question_of_nothing_or_of_too_much_is_refused_with_what_to_do(text: str) -> None:
    if len(set(text.split())) > 1 and len(text) <= MAX_QUESTION_CHARS:
        text = " ".join(f"w{n}" for n in range(70))
    with pytest.raises(BadQuestionError, match="Look for"):
        Question.read(text)


def test_a_moment_is_the_shortest_run_of_sentences_in_which_all_is_said() -> None:
    said = sentences("A budget.", "Nothing else.", "The deficit grew.", "A budget with", "a deficit.")

    both = moment_in(said, Question.read("budget deficit"))
    phrase = moment_in(said, Question.read('"with a deficit"'))

    assert both is not None
    assert phrase is not None
    assert (both.start_s, both.end_s, both.text) == (8.0, 16.0, "The deficit grew. A budget with")
    assert (phrase.start_s, phrase.end_s, phrase.text) == (12.0, 20.0, "A budget with a deficit.")
    assert moment_in(said, Question.read("budget surplus")) is None
    assert moment_in(said, Question.read('"deficit budget"')) is None


@pytest.mark.parametrize(
    "lengths_s", [(4.0,), (14.0, 1.0), (40.0,), (29.0, 3.0), (0.5,), (14.0, 15.0, 0.5, 1.4, 2.0, 16.0)]
)
def test_what_is_said_within_a_quarter_of_a_minute_is_in_one_passage(lengths_s: tuple[float, ...]) -> None:
    ends = list(itertools.accumulate(itertools.islice(itertools.cycle(lengths_s), 60)))
    segments = tuple(
        Segment(id=n, start_s=begin, end_s=end, text=f"sentence{n}")
        for n, (begin, end) in enumerate(itertools.pairwise([0.0, *ends]))
    )
    talk = Transcript(
        video_id="web-1", language="en", duration_s=3600, audible_s=3600, covered_s=3600, segments=segments
    )

    passages = passages_of(talk)

    held = [{each.text for each in passage.sentences} for passage in passages]
    assert [passage.number for passage in passages] == list(range(len(passages)))
    for one, other in itertools.combinations(segments, 2):
        if other.start_s - one.end_s < STEP_S:
            assert any({one.text, other.text} <= each for each in held), (one, other)
    for passage in passages:
        first, before, last = (passage.sentences[n] for n in (0, -2, -1))
        assert before.end_s - first.start_s <= PASSAGE_S or last.start_s - first.end_s < STEP_S
    assert max(sum(each.text in texts for texts in held) for each in segments) <= SHARED


@pytest.mark.parametrize("texts", [[], ["one"], ["one", "two"], ["", "\0"]])
def test_a_video_has_a_passage_also_where_hardly_anything_is_said(texts: list[str]) -> None:
    passages = passages_of(spoken(*texts))

    assert [[each.text for each in passage.sentences] for passage in passages] == [
        [text for text in texts if text.strip("\0")]
    ]
