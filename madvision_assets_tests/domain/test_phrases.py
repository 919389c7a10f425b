"""Claims about burnt-in captions: each word is marked when it is said, lines fit, and faces stay free."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.captions import words_of_clip
from madvision_assets.domain.phrases import LETTERING, MAX_LINES, MAX_PHRASE_S, Box, Phrase, phrases, place, width_em
from madvision_assets.domain.renditions import Shape
from madvision_assets.domain.transcript import Word

LINE_EM = 10.0
TEXTS = st.text("abcdefg .,!?ملك世界ですน้ำ😀", min_size=1, max_size=14).filter(lambda text: text.strip())
GAPS = st.tuples(TEXTS, st.floats(0, 1.5), st.floats(0.02, 1.5))


def said(text: str, step_s: float = 0.4) -> list[Word]:
    """Words that follow each other without a pause."""
    return [Word(text=t, start_s=i * step_s, end_s=(i + 1) * step_s) for i, t in enumerate(text.split())]


def texts(found: list[Phrase]) -> list[list[str]]:
    return [[word.text for word in phrase.words] for phrase in found]


@given(st.lists(GAPS, max_size=25))
def test_each_word_is_marked_within_80_ms_of_when_it_is_said(told: list[tuple[str, float, float]]) -> None:
    words, at = [], 0.0
    for text, gap_s, length_s in told:
        words.append(Word(text=" ".join(text.split()), start_s=at + gap_s, end_s=at + gap_s + length_s))
        at = words[-1].end_s
    found = phrases(words_of_clip(words, 0.0, at + 1), at + 1, LINE_EM)
    marked = [(phrase.words[index], start_s) for phrase in found for index, start_s, _ in phrase.states()]
    assert all(abs(start_s - word.start_s) < 0.001 for word, start_s in marked)
    assert "".join(word.text for word, _ in marked) == "".join(word.text for word in words)


@given(st.lists(GAPS, max_size=25))
def test_phrases_follow_each_other_and_their_lines_fit(told: list[tuple[str, float, float]]) -> None:
    words, at = [], 0.0
    for text, gap_s, length_s in told:
        words.append(Word(text=" ".join(text.split()), start_s=at + gap_s, end_s=at + gap_s + length_s))
        at = words[-1].end_s
    before_s = 0.0
    for phrase in phrases(words, at + 1, LINE_EM):
        assert before_s <= phrase.start_s < phrase.end_s <= at + 1
        before_s = phrase.end_s
        assert len(phrase.breaks) < MAX_LINES
        bounds = [0, *phrase.breaks, len(phrase.words)]
        for begin, end in itertools.pairwise(bounds):
            assert width_em("".join(word.text for word in phrase.words[begin:end])) <= LINE_EM


def test_a_phrase_ends_with_a_sentence_and_before_a_pause() -> None:
    words = [*said("Measure it. Then go on"), Word(text="later", start_s=9.0, end_s=9.4)]
    assert texts(phrases(words, 12.0, 40.0)) == [["Measure", "it."], ["Then", "go", "on"], ["later"]]


def test_a_phrase_ends_with_a_clause_where_it_is_half_full_already() -> None:
    found = phrases(said("because it is wrong, we measure"), 6.0, 7.0)
    assert texts(found)[0] == ["because", "it", "is", "wrong,"]


def test_two_lines_are_as_alike_as_they_can_be() -> None:
    [phrase] = phrases(said("one two three four", 0.3), 3.0, 7.0)
    assert phrase.breaks == (2,)


def test_nothing_stands_for_longer_than_its_bound() -> None:
    found = phrases(said("a b c d e f g h i j k l", 0.9), 12.0, 40.0)
    assert all(phrase.words[-1].end_s - phrase.words[0].start_s <= MAX_PHRASE_S for phrase in found)


@pytest.mark.parametrize("shape", Shape)
def test_captions_give_way_to_a_face_and_come_back(shape: Shape) -> None:
    lettering, size = LETTERING[shape], (1080, 1920)
    usual = place(lettering, size, [], None)
    assert usual == lettering.places[0]
    face = Box(300, (usual - 0.1) * 1920, 400, 0.2 * 1920)
    away = place(lettering, size, [face], usual)
    assert not face.top < away * 1920 < face.top + face.height
    assert place(lettering, size, [], None) == usual


def test_captions_do_not_jump_where_they_are_in_nobody_s_way() -> None:
    lettering = LETTERING[Shape.VERTICAL]
    assert place(lettering, (1080, 1920), [Box(300, 200, 300, 300)], lettering.places[1]) == lettering.places[1]


def test_words_of_a_clip_lie_inside_it_and_on_one_line() -> None:
    words = [Word(text="out", start_s=1.0, end_s=2.1), Word(text="in\nside", start_s=1.9, end_s=2.6)]
    [word] = words_of_clip(words, 2.0, 3.0)
    assert (word.text, word.start_s) == ("in side", 0.0)
    assert word.end_s == pytest.approx(0.6)
