"""Claims about a transcript that a person has corrected."""

import pytest

from madvision_assets.domain.correction import corrected
from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.sentences import LONGEST_S
from madvision_assets.domain.subtitles import BadSubtitlesError, SpokenCue, Subtitles, read_subtitles
from madvision_assets.domain.transcript import Segment, Transcript, Word
from madvision_assets.domain.transcript_forms import Form, rendered
from madvision_assets.domain.word_alignment import with_times

HEARD = "We measure the thing first. Then we change one sing, and measure it again."


def transcript(text: str = HEARD, *, step_s: float = 0.5) -> Transcript:
    """Each word half a second behind the other, in sentences."""
    segments: list[Segment] = []
    words: list[Word] = []
    for n, spoken in enumerate(text.split()):
        words.append(Word(text=spoken, start_s=n * step_s, end_s=(n + 0.8) * step_s, probability=0.5))
        if spoken.endswith(".") or n == len(text.split()) - 1:
            bounds = {"start_s": words[0].start_s, "end_s": words[-1].end_s}
            said = " ".join(word.text for word in words)
            segments.append(Segment(id=len(segments), text=said, words=tuple(words), **bounds))
            words = []
    end_s = segments[-1].end_s
    return Transcript(
        video_id="web-a",
        language="en",
        duration_s=end_s + 1,
        audible_s=end_s,
        covered_s=end_s,
        segments=tuple(segments),
    )


def as_heard(old: Transcript, text: str) -> Transcript:
    """What comes of a file with this text in one cue over all of it."""
    return corrected(old, Subtitles((SpokenCue(1, 0.0, old.segments[-1].end_s, text),)))


@pytest.mark.parametrize("form", [Form.SRT, Form.VTT, Form.JSON])
def test_what_was_exported_comes_back_as_it_was(form: Form) -> None:
    old = transcript()

    new = corrected(old, read_subtitles(rendered(old, form).encode(), form, old.duration_s))

    assert new.text == old.text
    assert [(s.start_s, s.end_s) for s in new.segments] == [(s.start_s, s.end_s) for s in old.segments]
    assert [(w.text, w.start_s, w.end_s) for w in new.words] == [(w.text, w.start_s, w.end_s) for w in old.words]
    assert not any(segment.estimated for segment in new.segments)
    assert (new.language, new.duration_s, new.audible_s) == (old.language, old.duration_s, old.audible_s)


@pytest.mark.parametrize("form", [Form.SRT, Form.VTT, Form.JSON])
def test_languages_and_speakers_come_back_as_they_were_exported(form: Form) -> None:
    plain = transcript("We measure. Nous mesurons. Then we change it.")
    told = (("", "Ann"), ("fr", "Bob"), ("", "Bob"))
    segments = tuple(
        segment.model_copy(update={"language": language, "speaker": speaker})
        for segment, (language, speaker) in zip(plain.segments, told, strict=True)
    )
    old = plain.model_copy(update={"segments": segments})

    new = corrected(old, read_subtitles(rendered(old, form).encode(), form, old.duration_s))

    assert new.languages == old.languages
    assert [(s.text, s.language, s.speaker) for s in new.segments] == [
        (s.text, s.language, s.speaker) for s in old.segments
    ]


def test_a_speaker_and_a_language_that_a_person_tells_count() -> None:
    old = transcript("We measure and then we change it.")
    cues = (
        SpokenCue(1, 0.0, 1.0, "We measure", speaker="Ann"),
        SpokenCue(2, 1.0, 3.5, "et puis on le change.", "fr", "Bob"),
    )

    new = corrected(old, Subtitles(cues))

    assert [(s.text, s.language, s.speaker) for s in new.segments] == [
        ("We measure", "", "Ann"),
        ("et puis on le change.", "fr", "Bob"),
    ]


def test_a_word_that_was_misheard_has_the_place_between_its_neighbours_and_the_others_keep_theirs() -> None:
    old = transcript()

    new = as_heard(old, HEARD.replace("sing", "thing"))

    assert [word.text for word in new.words] == HEARD.replace("sing", "thing").split()
    for before, after in zip(old.words, new.words, strict=True):
        if before.text == after.text:
            assert (after.start_s, after.end_s) == (before.start_s, before.end_s)
    wrong = [word.text for word in old.words].index("sing,")
    assert old.words[wrong - 1].end_s <= new.words[wrong].start_s < new.words[wrong].end_s
    assert new.words[wrong].end_s <= old.words[wrong + 1].start_s
    assert {word.probability for word in new.words} == {1.0}


@pytest.mark.parametrize(
    ("plain", "pointed"),
    [
        ("שלום לכלם ברוכים הבאים", "שָׁלוֹם לְכֻלָּם בְּרוּכִים הַבָּאִים"),
        ("السلام عليكم ورحمة", "السَّلَامُ عَلَيْكُمْ وَرَحْمَةُ"),
        ("I ❤ it", "I ❤️ it"),
    ],
    ids=["Hebrew", "Arabic", "form of a sign"],
)
def test_points_that_come_in_move_no_word(plain: str, pointed: str) -> None:
    old = transcript(plain)

    new = as_heard(old, pointed)

    assert [word.text for word in new.words] == pointed.split()
    assert [(word.start_s, word.end_s) for word in new.words] == [(word.start_s, word.end_s) for word in old.words]
    assert not any(segment.estimated for segment in new.segments)


def test_words_that_come_in_and_go_out_move_no_others() -> None:
    old = transcript()

    new = as_heard(old, "We measure first. Then as I said we change one song.")

    at = {word.text: word.start_s for word in reversed(old.words)}
    assert {w.text: w.start_s for w in new.words if w.text in at} == {
        text: at[text] for text in ("We", "measure", "first.", "Then", "we", "change", "one")
    }
    times = [time_s for word in new.words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)


def test_a_text_that_says_something_else_is_laid_over_its_cues_and_says_so() -> None:
    old = transcript()
    cues = (SpokenCue(1, 0.0, 3.0, "Wir messen zuerst."), SpokenCue(2, 4.0, 7.0, "Dann ändern wir etwas."))

    new = corrected(old, Subtitles(cues, language="de"))

    assert new.language == "de"
    assert all(segment.estimated for segment in new.segments)
    assert [(s.text, s.start_s) for s in new.segments] == [("Wir messen zuerst.", 0.0), ("Dann ändern wir etwas.", 4.0)]
    assert new.segments[0].end_s <= 3.0
    assert new.segments[1].end_s <= 7.0


def test_segments_are_sentences_that_are_not_long_whatever_the_cues_are() -> None:
    old = transcript(" ".join(f"word{n}" for n in range(80)))

    new = as_heard(old, " ".join(f"word{n}" for n in range(80)))

    assert len(new.segments) > 2
    assert max(s.end_s - s.start_s for s in new.segments) <= LONGEST_S
    assert [s.id for s in new.segments] == list(range(len(new.segments)))


def test_the_same_words_said_again_later_do_not_lend_their_times() -> None:
    old = transcript("Thank you all. " + "Nobody said that. " * 20 + "Thank you all.")
    last_s = old.segments[-1].start_s
    cues = (SpokenCue(1, 0.0, 1.4, "Hello."), SpokenCue(2, last_s, old.segments[-1].end_s, "Thank you all."))

    new = corrected(old, Subtitles(cues))

    assert [word.start_s for word in new.words[1:]] == [word.start_s for word in old.segments[-1].words]


def test_a_word_that_was_heard_once_lends_its_time_once() -> None:
    known = [HeardWord("so", 0.1, 0.3), HeardWord("again", 0.8, 0.95), HeardWord("now", 1.5, 1.8)]
    stretches = [HeardSegment("So again", 0.0, 1.0), HeardSegment(" again now", 1.0, 2.0)]

    first, second = with_times(stretches, known)

    assert [word.estimated for word in first.words + second.words] == [False, False, True, False]


def test_scripts_without_spaces_are_joined_without_any() -> None:
    old = transcript()

    new = corrected(old, Subtitles((SpokenCue(1, 0, 3, "まず測る。"), SpokenCue(2, 3, 7, "それから変える。"))))

    assert [segment.text for segment in new.segments] == ["まず測る。", "それから変える。"]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Subtitles((SpokenCue(1, 0, 7, "x"),), video_id="web-b"), "of the video web-b, and this one is web-a"),
        (Subtitles((SpokenCue(1, 0, 2, "x"),)), "ends after 2 s, and somebody speaks until 7 s"),
    ],
)
def test_what_is_of_another_video_is_refused(told: Subtitles, said: str) -> None:
    with pytest.raises(BadSubtitlesError, match=said):
        corrected(transcript(), told)
