"""Claims about cleaning what a speech engine heard."""

from collections.abc import Sequence

import pytest

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.segments import (
    clean_segments,
    covered_s,
    excerpt_starts,
    number_segments,
)
from madvision_assets.domain.transcript import Segment, Word
from madvision_assets.domain.word_alignment import is_unspaced, whole_words
from madvision_assets.domain.word_times import overlap_s


def heard(start_s: float, end_s: float, text: str, words: Sequence[tuple[str, float, float]] = ()) -> HeardSegment:
    return HeardSegment(text, start_s, end_s, tuple(HeardWord(f" {word}", a, b) for word, a, b in words))


def segment(start_s: float, end_s: float, text: str) -> Segment:
    return Segment(id=0, start_s=start_s, end_s=end_s, text=text)


def test_times_are_those_of_the_words_moved_to_the_window() -> None:
    (found,) = clean_segments([heard(0, 5, " we read ", [("we", 1.0, 1.2), ("read", 1.2, 1.9)])], 600.0, [(0, 5)])

    assert (found.start_s, found.end_s, found.text) == (601.0, 601.9, "we read")
    assert [(w.text, w.start_s, w.end_s) for w in found.words] == [("we", 601.0, 601.2), ("read", 601.2, 601.9)]


def test_text_in_silence_is_an_invention_and_left_out() -> None:
    spoken, invented = heard(0, 2, "hello"), heard(10, 14, "thank you for watching")

    assert [s.text for s in clean_segments([spoken, invented], 0.0, [(0.0, 2.5)])] == ["hello"]


def test_a_sentence_begins_and_ends_on_sound_not_in_the_pause_beside_it() -> None:
    words = [("we", 0.4, 1.2), ("read", 1.2, 2.6)]

    (found,) = clean_segments([heard(0, 3, "we read", words)], 0.0, [(0.0, 0.2), (0.8, 2.1), (2.9, 4.0)])

    assert (found.start_s, found.end_s) == (0.8, 2.1)


@pytest.mark.parametrize(
    "words",
    [
        [("so", 0.0, 0.5), ("we", 1.8, 2.0), ("read", 2.0, 2.4)],
        [("so", 0.0, 0.4), ("then", 0.4, 1.0), ("we", 1.0, 2.0), ("read", 2.0, 2.4)],
        [("so", 0.0, 1.9), ("we", 1.9, 2.0), ("read", 2.0, 2.4)],
        [("so", 0.0, 1.71), ("we", 1.71, 2.0), ("read", 2.0, 2.4)],
        [],
    ],
)
def test_a_sentence_opens_on_sound_though_its_first_words_were_laid_into_silence(
    words: list[tuple[str, float, float]],
) -> None:
    (found,) = clean_segments([heard(0.0, 2.4, "so we read", words)], 100.0, [(1.7, 9.0)])

    assert found.start_s == pytest.approx(101.7, abs=0.001)
    assert found.end_s == 102.4
    assert [word.text for word in found.words] == ([word for word, *_ in words] or ["so", "we", "read"])
    assert found.estimated == (not words)
    times = [time_s for word in found.words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(word.end_s > word.start_s for word in found.words)


def test_a_sentence_closes_on_sound_though_its_last_word_was_laid_into_silence() -> None:
    words = [("we", 1.0, 1.4), ("read", 1.4, 1.8), ("it", 4.0, 4.4)]

    (found,) = clean_segments([heard(1.0, 4.4, "we read it", words)], 0.0, [(0.0, 2.1), (9.0, 12.0)])

    assert found.end_s == pytest.approx(2.1)
    assert [word.text for word in found.words] == ["we", "read", "it"]


def test_an_invention_that_touches_sound_at_its_end_is_left_out_all_the_same() -> None:
    words = [("thank", 10.0, 11.0), ("you", 11.0, 12.0), ("for", 12.0, 13.0), ("watching", 13.0, 14.0)]

    assert clean_segments([heard(10, 14, "thank you for watching", words)], 0.0, [(13.9, 20.0)]) == []


def test_numbers_hyphens_and_initials_that_an_engine_tears_apart_are_whole() -> None:
    said = (
        " It| costs| $5|,000| and| twenty|-five| percent|,| 50|%| of| the| U|.S.| Army| at| 10|:30| or| 3|.5| hours|."
    )
    torn = [*said.split("|"), " We", " don", "'t", " e", "-mail."]
    words = tuple(HeardWord(text, n * 0.3, (n + 1) * 0.3, 0.9) for n, text in enumerate(torn))

    found = clean_segments([HeardSegment("".join(torn), 0.0, words[-1].end_s, words)], 0.0, [(0.0, 60.0)])

    told = ["It costs $5,000 and twenty-five percent, 50% of the U.S. Army at 10:30 or 3.5 hours.", "We don't e-mail."]
    assert [each.text for each in found] == told
    assert [word.text for each in found for word in each.words] == " ".join(told).split()
    price = found[0].words[2]
    assert (price.text, price.start_s, price.end_s) == ("$5,000", 0.6, 1.2)


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["We", "read", "on"], ["We", "read", "on"]),  # of an engine that gives words without their space
        (["We ", "read ", "on"], ["We", "read", "on"]),
        ([" We", " ", "read", " on"], ["We", "read", "on"]),
        (["10", ":30"], ["10", ":30"]),
        (list("我们读。"), ["我", "们", "读", "。"]),
        ([" i", "Phone", "を", "買", "う"], ["iPhone", "を", "買", "う"]),
        ([" i", "Phone", "ក", "ខ"], ["iPhone", "ក", "ខ"]),
    ],
)
def test_words_without_a_space_are_joined_where_their_engine_and_their_script_have_one(
    texts: list[str], whole: list[str]
) -> None:
    words = [HeardWord(text, float(n), n + 1.0) for n, text in enumerate(texts)]

    joined = whole_words(words)

    assert [word.text.strip() for word in joined] == whole
    spaces = 0 if any(map(is_unspaced, "".join(whole))) else len(whole) - 1
    assert sum(word.text[0].isspace() for word in joined[1:]) == spaces
    assert joined[0].text[0] == " " or is_unspaced(joined[0].text[0])


def test_a_word_of_two_parts_is_as_sure_as_its_letters() -> None:
    (one,) = whole_words([HeardWord(" twenty", 0.0, 1.0, 0.8), HeardWord("-five", 1.0, 2.0, 0.5)])

    assert one.probability == pytest.approx((6 * 0.8 + 4 * 0.5) / 10)


def test_stretches_without_a_space_before_them_are_not_glued_to_those_before() -> None:
    timed = tuple(HeardWord(text, n + 4.0, n + 5.0) for n, text in enumerate(["the", "first", "part"]))
    stretches = [HeardSegment("This is the end of", 0.0, 4.0), HeardSegment("the first part", 4.0, 7.0, timed)]

    (found,) = clean_segments(stretches, 0.0, [(0.0, 60.0)])

    assert found.text == "This is the end of the first part"
    assert [word.text for word in found.words] == found.text.split()


def test_words_of_no_length_get_some_and_never_run_backwards() -> None:
    (found,) = clean_segments([heard(0, 2, "a b", [("a", 1.0, 1.0), ("b", 0.9, 0.95)])], 0.0, [(0, 2)])

    first, second = found.words
    assert first.start_s < first.end_s <= second.start_s < second.end_s


@pytest.mark.parametrize(
    "wrong", [(5000.0, 5001.0), (-90.0, -80.0), (2.0, 400.0), (float("nan"), 3.0), (2.0, float("inf"))]
)
def test_one_time_that_is_far_off_moves_no_other_word(wrong: tuple[float, float]) -> None:
    words = [("we", 1.0, 2.0), ("all", *wrong), ("read", 3.0, 4.0), ("books", 4.0, 5.0)]

    (found,) = clean_segments([heard(1.0, 5.0, "we all read books", words)], 0.0, [(0.0, 500.0)])

    times = [(word.text, word.start_s, word.end_s) for word in found.words]
    assert [times[0], *times[2:]] == [("we", 1.0, 2.0), ("read", 3.0, 4.0), ("books", 4.0, 5.0)]
    assert times[1][:2] == ("all", 2.0)
    assert times[1][2] <= 3.0


def test_a_segment_without_text_or_length_is_left_out() -> None:
    assert clean_segments([heard(0, 1, "  "), heard(1, 1, "x")], 0.0, [(0, 2)]) == []


def test_a_loop_is_cut_after_three() -> None:
    looped = [segment(i, i + 0.5, "same") for i in range(20)] + [segment(30, 31, "other")]

    assert [s.text for s in number_segments(looped)] == ["same"] * 3 + ["other"]


@pytest.mark.parametrize(("text", "probability", "kept"), [("You", 0.03, 0), (" .", 0.95, 0), ("Yes", 0.3, 1)])
def test_what_an_engine_makes_of_noise_it_does_not_believe_itself_and_is_left_out(
    text: str, probability: float, kept: int
) -> None:
    made_up = HeardSegment(text, 1.0, 2.0, (HeardWord(text, 1.0, 2.0, probability),))

    assert len(clean_segments([made_up], 0.0, [(0.0, 9.0)])) == kept


def test_segments_are_numbered_and_do_not_overlap() -> None:
    numbered = number_segments([segment(0, 2.5, "a"), segment(2, 4, "b")])

    assert [(s.id, s.start_s, s.end_s) for s in numbered] == [(0, 0, 2.5), (1, 2.5, 4)]


def test_words_of_no_length_make_no_overlap() -> None:
    um, hello = heard(5, 5, "Um.", [("um.", 5.0, 5.0)]), heard(5, 6, "Hello", [("Hello", 5.0, 6.0)])

    numbered = number_segments(clean_segments([um, hello], 0.0, [(0, 10)]))

    assert [s.text for s in numbered] == ["um.", "Hello"]
    assert numbered[0].end_s <= numbered[1].start_s <= numbered[1].words[0].start_s


def test_a_segment_that_begins_in_the_last_loses_no_word() -> None:
    words = tuple(
        Word(text=text, start_s=8 + n * 0.4, end_s=8.4 + n * 0.4) for n, text in enumerate(["Then", "let", "us", "go."])
    )
    late = segment(8, 9.6, "Then let us go.").model_copy(update={"words": words})

    _, found = number_segments([segment(0, 9, "a"), late])

    assert " ".join(word.text for word in found.words) == found.text == "Then let us go."
    times = [time_s for word in found.words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(word.end_s > word.start_s for word in found.words)
    assert (times[0], times[-1], found.end_s) == (9, 9.6, 9.6)

    many = tuple(Word(text="so", start_s=75 + n * 0.3, end_s=75.3 + n * 0.3) for n in range(80))
    late = segment(75, 100.1, "so " * 80).model_copy(update={"words": many})
    assert number_segments([segment(0, 100, "a"), late])[1].end_s == 100.1


@pytest.mark.parametrize(
    "said",
    [["Yes."] * 6, ["Sold."] * 4, ["का।", "की।", "के।", "को।", "कु।"] * 2, ["मा", "मि", "मु", "मे"]],
)
def test_short_answers_are_no_loop_and_vowel_signs_are_letters(said: list[str]) -> None:
    spoken = [segment(n * 20, n * 20 + 1, text) for n, text in enumerate(said)]

    assert [s.text for s in number_segments(spoken)] == said


def test_a_segment_that_lies_wholly_in_the_last_is_left_out() -> None:
    assert [s.text for s in number_segments([segment(0, 5, "a"), segment(1, 4, "b"), segment(5, 6, "c")])] == ["a", "c"]


def test_overlap_counts_only_what_is_shared() -> None:
    assert overlap_s((1, 4), [(0, 2), (3, 10)]) == 2


def test_what_is_covered_is_the_sound_inside_segments() -> None:
    segments = [segment(0, 2, "a"), segment(5, 9, "b")]

    assert covered_s(segments, [(1, 3), (4, 6), (8, 20)]) == 1 + 1 + 1


def test_excerpts_lie_in_sound_all_over_it() -> None:
    assert excerpt_starts([(0, 100), (500, 700)], 30, 3) == [50, 550, 650]
    assert excerpt_starts([(10, 40)], 30, 4) == [25]
    assert excerpt_starts([], 30, 4) == []


def test_a_sentence_that_is_added_in_the_silence_behind_a_real_one_is_left_out() -> None:
    words = [("We", 0.0, 0.5), ("read.", 0.5, 1.0), ("Thanks", 2.0, 3.0), ("for", 3.0, 4.0), ("watching.", 4.0, 5.0)]

    found = clean_segments([heard(0, 5, "We read. Thanks for watching.", words)], 0.0, [(0.0, 1.1)])

    assert [s.text for s in found] == ["We read."]


@pytest.mark.parametrize(
    ("probability", "onset_s", "faint", "kept"),
    [(0.8, 14.0, True, 1), (0.8, 12.6, True, 1), (0.4, 14.0, True, 0), (0.8, 14.0, False, 0)],
)
def test_who_is_heard_well_far_below_loud_speech_is_kept(
    probability: float, onset_s: float, faint: bool, kept: int
) -> None:
    words = tuple(HeardWord(f" word{n}", 10 + n * 0.5, 10.5 + n * 0.5, probability) for n in range(6))
    quiet = HeardSegment("".join(word.text for word in words), 10.0, 13.0, words)
    sound = [(9.5, min(13.5, onset_s))] if faint else []

    found = clean_segments([quiet], 0.0, [(0.0, 9.0), (onset_s, 30.0)], (), sound)

    assert len(found) == kept
    assert all([(w.start_s, w.end_s) for w in s.words] == [(w.start_s, w.end_s) for w in words] for s in found)
