"""Units of a transcript: times that never overlap, and quotes found letter by letter."""

from madvision_assets.domain.quotes import Found
from madvision_assets.domain.timeline import Span, Timeline
from madvision_assets.domain.transcript import Segment, Word
from madvision_assets_tests.builders import transcript_of

TALK = transcript_of([("Hello, my friends!", 0, 3), ("It's an e-mail", 4, 6), ("from 1998.", 6, 8)], duration_s=10)


def timeline_of_talk() -> Timeline:
    return Timeline(TALK, 10, 60)


def place(found: tuple[Span, Found] | None) -> Span | None:
    return found[0] if found else None


def test_a_quote_is_found_in_the_units_that_say_it() -> None:
    timeline = timeline_of_talk()

    assert place(timeline.find("my FRIENDS", Span(0, 2))) == Span(0, 0)
    assert place(timeline.find("it\u2019s an email from", Span(0, 2))) == Span(1, 2)


def test_a_quote_is_not_found_outside_of_the_units_that_are_searched() -> None:
    assert timeline_of_talk().find("my friends", Span(1, 2)) is None


def test_a_quote_in_a_script_without_spaces_is_found() -> None:
    timeline = Timeline(transcript_of([("今日は自転車の話です。", 0, 4), ("修理は安い。", 5, 8)]), 8, 60)

    assert place(timeline.find("自転車の話", Span(0, 1))) == Span(0, 0)


def test_overlapping_words_of_the_speech_engine_become_units_that_do_not_overlap() -> None:
    words = (Word(text="late", start_s=3.0, end_s=5.5), Word(text="later", start_s=5.0, end_s=6.0))
    segments = (
        Segment(id=0, start_s=0, end_s=5, text="late", words=words[:1]),
        Segment(id=1, start_s=5, end_s=6, text="later", words=words[1:]),
    )
    first, second = Timeline(TALK.model_copy(update={"segments": segments}), 10, 60).units

    assert first.end_s == second.start_s == 5.5


def test_no_unit_reaches_beyond_the_media() -> None:
    units = Timeline(TALK, 5.0, 60).units

    assert [(unit.segment_id, unit.end_s) for unit in units] == [(0, 3.0), (1, 5.0)]


def test_a_segment_longer_than_a_clip_is_split_after_its_sentences() -> None:
    text = "One two three. Four five six. Seven eight nine."
    units = Timeline(transcript_of([(text, 0, 9)]), 9, 7).units

    assert [unit.text for unit in units] == ["One two three.", "Four five six.", "Seven eight nine."]
    assert {unit.segment_id for unit in units} == {0}
