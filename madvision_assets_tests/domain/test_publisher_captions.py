"""Claims about a publisher's captions: what they say becomes sentences on the sound, and is compared word by word."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from madvision_assets.domain.publisher_captions import compared, edits, transcript_of
from madvision_assets.domain.sentences import LONGEST_S
from madvision_assets.domain.subtitles import SpokenCue, Subtitles
from madvision_assets.domain.transcript_forms import Form
from madvision_assets.domain.video import Options
from madvision_assets.work.captions import Captions

SAID = Subtitles(
    (
        SpokenCue(1, 1.0, 5.0, ">> We measure first, [applause] and then"),
        SpokenCue(2, 5.0, 9.0, "we change one thing."),
        SpokenCue(3, 9.0, 12.0, "[MUSIC]"),
        SpokenCue(4, 20.0, 50.0, "word " * 40),
    )
)
SOUND = [(1.5, 4.0), (5.5, 12.0), (20.0, 50.0)]


def test_captions_become_sentences_whose_words_lie_on_the_sound() -> None:
    found = transcript_of("web-a", SAID, "en", 60.0, SOUND)

    assert found.segments[0].text == "We measure first, and then we change one thing."
    assert (found.segments[0].start_s, found.segments[0].end_s) == (1.5, 9.0)
    assert "music" not in found.text.lower()
    assert [segment.id for segment in found.segments] == list(range(len(found.segments)))
    assert max(segment.end_s - segment.start_s for segment in found.segments) <= LONGEST_S
    assert all(segment.estimated for segment in found.segments)
    times = [time_s for word in found.words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 0 < found.covered_s <= found.audible_s


def test_what_was_heard_is_compared_with_captions_of_its_language_alone() -> None:
    heard = transcript_of("web-a", SAID, "en", 60.0, SOUND)
    other = Subtitles((SpokenCue(1, 1.0, 9.0, "We measured first and then changed one thing"), *SAID.cues[3:]))

    same = compared(heard, SAID, "en-GB")
    found = compared(heard, other, "")

    assert same is not None
    assert (same.words, same.word_error_rate) == (49, 0)
    assert found is not None
    assert found.word_error_rate == pytest.approx(3 / 48, abs=0.001)
    assert compared(heard, SAID, "fr") is None
    assert compared(heard, SAID, "ga") is None  # which no Whisper hears


@pytest.mark.parametrize(
    ("tag", "code", "answers"),
    [
        *(("", "en", True), ("en-GB", "en", True), ("fr", "en", False)),
        *((tag, "en", False) for tag in ("ga", "eo", "ku", "nb", "iw", "cmn-Hans", "und")),
        *(("nb-NO", "no", True), ("iw", "he", True), ("in", "id", True), ("jv", "jw", True)),
        *(("cmn-Hans", "zh", True), ("fil", "tl", True)),
    ],
)
def test_captions_answer_in_the_language_that_they_are_told_to_be_in(tag: str, code: str, answers: bool) -> None:
    assert Captions(SAID, tag, "", Form.VTT).answer(Options(language=code)) is answers
    assert Captions(SAID, tag, "", Form.VTT).answer(Options())


def plainly(one: list[str], other: list[str]) -> int:
    row = list(range(len(other) + 1))
    for n, word in enumerate(one, 1):
        before, row = row, [n]
        for m, each in enumerate(other, 1):
            row.append(min(before[m] + 1, row[-1] + 1, before[m - 1] + (word != each)))
    return row[-1]


TEXTS = st.lists(st.sampled_from("abcd"), max_size=60)


@given(TEXTS, TEXTS)
def test_edits_are_those_of_the_plain_algorithm(one: list[str], other: list[str]) -> None:
    assert edits(one, other) == plainly(one, other)
