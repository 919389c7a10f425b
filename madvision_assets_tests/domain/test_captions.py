"""Claims about captions: readable, in time, inside the clip, and safe as SubRip."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.captions import Cue, caption_cues, joined_text, to_srt, whole_letters
from madvision_assets.domain.phrases import phrases
from madvision_assets.domain.transcript import Word

EPSILON_S = 1e-6


def spoken(text: str, start_s: float = 0.0, word_s: float = 0.3) -> list[Word]:
    return [
        Word(text=word, start_s=start_s + index * word_s, end_s=start_s + (index + 1) * word_s)
        for index, word in enumerate(text.split())
    ]


def shown(cues: list[Cue]) -> list[str]:
    return [" / ".join(cue.lines) for cue in cues]


def test_a_cue_ends_with_its_sentence() -> None:
    cues = caption_cues(spoken("This is the first one. Here comes the second one!"), 0, 10)

    assert shown(cues) == ["This is the first one.", "Here comes the second one!"]


def test_a_cue_ends_before_a_pause() -> None:
    cues = caption_cues([*spoken("before the pause"), *spoken("after it again", 1.6)], 0, 10)

    assert shown(cues) == ["before the pause", "after it again"]
    assert cues[1].start_s == pytest.approx(1.6)


def test_two_lines_are_about_as_long_as_each_other() -> None:
    cues = caption_cues(spoken("when a sentence does not fit in one line it is parted", word_s=0.2), 0, 10)

    assert shown(cues) == ["when a sentence does not / fit in one line it is parted"]


def test_times_count_from_the_start_of_the_clip() -> None:
    cues = caption_cues(spoken("a few words here", 100.5), 100.0, 110.0)

    assert cues[0].start_s == pytest.approx(0.5)
    assert cues[0].end_s == pytest.approx(1.7)


def test_a_word_mostly_outside_the_clip_is_left_out() -> None:
    words = [
        Word(text="out", start_s=9.0, end_s=10.4),
        Word(text="mostly", start_s=9.8, end_s=10.4),
        Word(text="inside", start_s=10.4, end_s=11.0),
        Word(text="early", start_s=19.7, end_s=20.2),
        Word(text="late", start_s=19.9, end_s=20.4),
        Word(text="point", start_s=20.0, end_s=20.0),
    ]

    cues = caption_cues(words, 10.0, 20.0)

    assert " ".join(shown(cues)) == "mostly inside early"
    assert cues[0].start_s == 0.0
    assert cues[-1].end_s == 10.0


def test_short_exclamations_share_a_cue_so_that_they_can_be_read() -> None:
    assert shown(caption_cues(spoken("No. No. No. Never.", word_s=0.2), 0, 10)) == ["No. No. No. Never."]


def test_a_short_cue_stays_for_its_reading_time() -> None:
    cue = caption_cues(spoken("Yes.", 2.0, 0.1), 0, 10)[0]

    assert cue.end_s - cue.start_s == pytest.approx(0.7)


def test_a_short_cue_at_the_end_begins_earlier_rather_than_outlast_the_clip() -> None:
    cue = caption_cues(spoken("Yes.", 9.8, 0.1), 0, 10)[0]

    assert (cue.start_s, cue.end_s) == pytest.approx((9.3, 10.0))


def test_a_word_longer_than_a_line_is_parted() -> None:
    cues = caption_cues(spoken("see " + "x" * 100, word_s=1.0), 0, 10)

    assert max(len(line) for cue in cues for line in cue.lines) <= 42
    assert "".join(line for cue in cues for line in cue.lines).count("x") == 100


THAI = "ผู้ที่มีความรู้ความเข้าใจเกี่ยวกับการเขียนโปรแกรมคอมพิวเตอร์มักจะเริ่มต้นด้วยการทำความเข้าใจปัญหาที่ต้องการแก้ไขก่อนเสมอ"
HINDI = "अंतरराष्ट्रीयकरणप्रौद्योगिकीसंस्थानविश्वविद्यालयअनुदानआयोगकार्यान्वयन"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
EMOJI = f"{FAMILY}\u2764\ufe0f\U0001f44b\U0001f3fd\U0001f1e9\U0001f1ea" * 9


@pytest.mark.parametrize("before", range(0, 30, 4))
@pytest.mark.parametrize("text", [THAI, HINDI, EMOJI], ids=["thai", "hindi", "emoji"])
def test_no_line_begins_within_a_letter(text: str, before: int) -> None:
    word = Word(text="ก" * before + text, start_s=0, end_s=6)
    letters = [Word(text=each, start_s=n / 10, end_s=n / 10 + 0.1) for n, each in enumerate(word.text)]

    told = [[word], letters] if text is THAI else [[word]]  # engines part Thai so
    cues = [cue for each in told for cue in caption_cues(each, 0, 30)]
    burnt = [phrase for each in told for phrase in phrases(each, 30, 9 + before % 5)]

    lines = [line for cue in cues for line in cue.lines] + [each.text for phrase in burnt for each in phrase.words]
    assert "".join(lines) == word.text * 2 * len(told)
    begun = {line[0] for line in lines}
    assert not [each for each in begun if unicodedata.category(each)[0] == "M"]
    assert not begun & {"\u200d", "\U0001f3fd", "\U0001f1ea"}
    assert not [line for line in lines if line.endswith("\u200d")]


def test_a_word_that_begins_with_a_sign_belongs_to_the_one_before_and_no_other_word_does() -> None:
    words = spoken("अर्थात् वह कि") + spoken("\u0902", 0.9)
    burmese = spoken("ကျောင်း သွားသည် စာ ဖတ်သည် နေ့တိုင်း")

    assert shown(caption_cues(words, 0, 10)) == ["अर्थात् वह किं"]
    assert whole_letters(burmese) == burmese


def test_chinese_is_written_without_spaces() -> None:
    words = [
        Word(text=text, start_s=i * 0.3, end_s=(i + 1) * 0.3) for i, text in enumerate(["今天", "我们", "聊", "AI"])
    ]

    assert shown(caption_cues(words, 0, 10)) == ["今天我们聊 AI"]


def test_no_words_give_no_cues_and_no_text() -> None:
    assert caption_cues([], 0, 10) == []
    assert to_srt([]) == ""


words_in_time = st.lists(
    st.tuples(
        st.floats(0, 1.5), st.floats(0, 9), st.text(st.sampled_from("abcdefgh.,?!->\n 今天"), max_size=60)
    ),
    max_size=60,
)  # fmt: skip


@given(words_in_time, st.floats(0, 20), st.floats(1, 60))
def test_any_words_give_cues_that_are_short_apart_and_inside_the_clip(
    steps: list[tuple[float, float, str]], start_s: float, length_s: float
) -> None:
    words, clock_s = [], 0.0
    for gap_s, spoken_s, text in steps:
        words.append(Word(text=text, start_s=clock_s + gap_s, end_s=clock_s + gap_s + spoken_s))
        clock_s = words[-1].end_s

    cues = caption_cues(words, start_s, start_s + length_s)

    for cue in cues:
        assert 0 <= cue.start_s < cue.end_s <= length_s + EPSILON_S
        assert cue.end_s - cue.start_s <= 6 + EPSILON_S
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= 42 for line in cue.lines)
    assert all(one.end_s <= other.start_s + EPSILON_S for one, other in pairwise(cues))


@given(st.lists(st.floats(0.05, 0.5), min_size=1, max_size=80))
def test_ordinary_speech_is_never_shown_too_briefly(lengths_s: list[float]) -> None:
    words, clock_s = [], 0.0
    for index, length_s in enumerate(lengths_s):
        words.append(Word(text="word." if index % 9 == 8 else "word", start_s=clock_s, end_s=clock_s + length_s))
        clock_s += length_s
    clip_s = clock_s + 2.0

    cues = caption_cues(words, 0.0, clip_s)

    assert all(cue.end_s - cue.start_s >= 0.7 - EPSILON_S for cue in cues)
    assert " ".join(line for cue in cues for line in cue.lines) == " ".join(word.text for word in words)


def test_subrip_has_numbers_times_and_lines() -> None:
    cues = [Cue(0.0, 1.5, ("One",)), Cue(3661.0426, 3662.0, ("Two", "lines"))]

    assert to_srt(cues) == ("1\n00:00:00,000 --> 00:00:01,500\nOne\n\n2\n01:01:01,043 --> 01:01:02,000\nTwo\nlines\n\n")


def test_times_after_99_hours_have_three_digits() -> None:
    """Peers that parse or write two digits lose what comes later."""
    assert "100:39:59,999 --> 100:40:00,000" in to_srt([Cue(362399.9991, 362400.0, ("Late",))])


def test_text_cannot_break_the_format() -> None:
    evil = "first\r\n\r\n2\n00:00:00,000 --> 00:00:09,000\nfake"
    text = to_srt([Cue(0.0, 1.0, (evil,))])

    assert len(re.findall("-->", text)) == 1
    assert text.count("\n\n") == 1
    assert len(text.splitlines()) == 4


def test_khmer_has_no_spaces_between_its_words() -> None:
    assert joined_text("កម្ពុជា") == "កម្ពុជា"
