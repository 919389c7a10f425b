"""Claims about when words are said: beside a pause, where the sound begins and ends."""

import hypothesis.strategies as st
from hypothesis import given

from madvision_assets.domain.heard import HeardWord
from madvision_assets.domain.word_times import between_pauses, into_sound


def words(*spans: tuple[float, float]) -> tuple[HeardWord, ...]:
    return tuple(HeardWord(f" w{n}", *span) for n, span in enumerate(spans))


def spans(placed: tuple[HeardWord, ...]) -> list[tuple[float, float]]:
    return [(round(word.start_s, 3), round(word.end_s, 3)) for word in placed]


def test_a_word_that_reaches_into_a_pause_ends_with_the_sound_and_a_late_one_begins_with_it() -> None:
    heard = words((1.0, 1.9), (2.6, 3.0))

    assert spans(between_pauses(heard, [(1.5, 2.4)])) == [(1.0, 1.5), (2.4, 3.0)]


def test_the_first_and_the_last_word_are_laid_on_the_sound_too() -> None:
    heard = words((1.2, 1.5), (1.5, 2.3))

    assert spans(between_pauses(heard, [(0.0, 1.0), (2.0, 9.0)])) == [(1.0, 1.5), (1.5, 2.0)]


def test_a_pause_on_the_other_side_of_a_word_takes_nothing_from_it() -> None:
    heard = words((1.0, 1.3), (1.3, 2.2), (2.8, 3.0))

    assert spans(between_pauses(heard, [(1.7, 2.6)])) == [(1.0, 1.3), (1.3, 1.7), (2.6, 3.0)]


def test_a_pause_that_no_edge_is_near_moves_none() -> None:
    heard = words((1.0, 5.0), (5.0, 6.0))

    assert between_pauses(heard, [(2.0, 4.0)]) == heard


def test_the_longest_pause_near_a_border_counts_and_a_short_one_does_not() -> None:
    heard = words((1.0, 2.0), (2.0, 3.0))

    assert spans(between_pauses(heard, [(1.7, 1.85), (2.1, 2.4)])) == [(1.0, 2.1), (2.4, 3.0)]
    assert spans(between_pauses(heard, [(1.95, 2.0)])) == spans(heard)


def test_without_pauses_or_words_nothing_changes() -> None:
    assert between_pauses((), [(0.0, 1.0)]) == ()
    assert between_pauses(words((1.0, 2.0)), []) == words((1.0, 2.0))


@given(
    lengths=st.lists(st.tuples(st.floats(0, 1), st.floats(0.02, 2)), min_size=1, max_size=30),
    quiet=st.lists(st.tuples(st.floats(0.01, 2), st.floats(0.01, 3)), max_size=30),
)
def test_words_keep_their_order_and_some_length(
    lengths: list[tuple[float, float]], quiet: list[tuple[float, float]]
) -> None:
    at, heard, pauses = 0.0, [], []
    for gap_s, length_s in lengths:
        heard.append((at + gap_s, at + gap_s + length_s))
        at = heard[-1][1]
    at = 0.0
    for gap_s, length_s in quiet:
        pauses.append((at + gap_s, at + gap_s + length_s))
        at = pauses[-1][1]

    placed = between_pauses(words(*heard), pauses)

    edges = [edge for word in placed for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert all(word.end_s > word.start_s for word in placed)


def test_a_word_that_was_laid_into_silence_is_moved_to_the_nearer_sound() -> None:
    heard = words((0.2, 0.6), (1.4, 1.7), (3.0, 3.4))
    sound = [(0.0, 1.0), (3.0, 5.0)]

    assert spans(into_sound(heard, sound)) == [(0.2, 0.6), (0.7, 1.0), (3.0, 3.4)]
    late = words((0.2, 0.6), (2.4, 2.7), (3.0, 3.4))
    assert spans(into_sound(late, sound)) == [(0.2, 0.6), (3.0, 3.04), (3.04, 3.4)]


def test_a_word_that_is_partly_in_sound_stays() -> None:
    heard = words((0.2, 0.6), (0.9, 1.7), (3.0, 3.4))

    assert into_sound(heard, [(0.0, 1.0), (3.0, 5.0)]) == heard


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0.02, 2)), min_size=1, max_size=12),
    st.lists(st.tuples(st.floats(0.5, 4), st.floats(0.03, 3)), max_size=8),
)
def test_wherever_sound_is_words_stay_in_order_and_have_some_length(
    steps: list[tuple[float, float]], sounds: list[tuple[float, float]]
) -> None:
    at_s, heard, audible = 0.0, [], []
    for gap_s, length_s in steps:
        heard.append((at_s + gap_s, at_s + gap_s + length_s))
        at_s = heard[-1][1]
    at_s = 0.0
    for gap_s, length_s in sounds:
        audible.append((at_s + gap_s, at_s + gap_s + length_s))
        at_s = audible[-1][1]

    placed = into_sound(words(*heard), audible)

    times = [time_s for word in placed for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert [word.text for word in placed] == [word.text for word in words(*heard)]
    assert all(word.end_s > word.start_s for word in placed)
