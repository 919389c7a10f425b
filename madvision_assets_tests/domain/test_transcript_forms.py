"""Claims about a transcript in other forms: the same words, readable by those who read such files."""

import json

import pytest

from madvision_assets.domain.subtitles import read_subtitles
from madvision_assets.domain.transcript import Doubtful, Segment, Stretch, Transcript, Word
from madvision_assets.domain.transcript_forms import Form, paragraphs, rendered


def sentence(number: int, text: str, start_s: float, *, timed: bool = True) -> Segment:
    words = text.split()
    step_s = 0.4
    spans = tuple(
        Word(text=word, start_s=start_s + n * step_s, end_s=start_s + (n + 1) * step_s) for n, word in enumerate(words)
    )
    end_s = start_s + step_s * len(words)
    return Segment(id=number, start_s=start_s, end_s=end_s, text=text, words=spans if timed else ())


def transcript(*segments: Segment, language: str = "en") -> Transcript:
    return Transcript(
        video_id="web-a", language=language, duration_s=3700.0, audible_s=9.0, covered_s=9.0, segments=segments
    )


SAID = transcript(
    sentence(0, "We measure first.", 1.0),
    sentence(1, "Bread & <butter> comes later.", 2.5),
    sentence(2, "An hour later nobody has left.", 3605.0, timed=False),
)


def test_subtitles_have_every_word_in_order_and_the_times_of_the_whole_video() -> None:
    srt = rendered(SAID, Form.SRT)
    shown = " ".join(line for line in srt.splitlines() if line and "-->" not in line and not line.isdigit())

    assert shown == " ".join(segment.text for segment in SAID.segments)
    assert srt.startswith("1\n00:00:01,000 --> 00:00:02,")
    assert "\n01:00:05,000 --> 01:00:0" in srt


def test_webvtt_says_the_same_and_no_text_of_it_is_a_mark() -> None:
    vtt = rendered(SAID, Form.VTT)

    assert vtt.startswith("WEBVTT\n\n")
    assert "Bread &amp; &lt;butter>" in vtt
    assert "01:00:05.000 --> " in vtt


def test_text_has_a_paragraph_where_the_speaker_pauses_and_where_one_grows_long() -> None:
    assert rendered(SAID, Form.TEXT) == (
        "We measure first. Bread & <butter> comes later.\n\nAn hour later nobody has left.\n"
    )
    at_once = [sentence(n, "This is one more sentence of many.", n * 3.0) for n in range(60)]
    long = list(paragraphs(at_once))
    assert 1 < len(long) < 10
    assert all(len(each) < 700 for each in long)
    assert " ".join(long) == " ".join(each.text for each in at_once)


def test_scripts_without_spaces_get_none() -> None:
    words = (Word(text="今日は", start_s=0, end_s=1), Word(text="行きます。", start_s=1, end_s=2))
    said = transcript(Segment(id=0, start_s=0, end_s=2, text="今日は行きます。", words=words), language="ja")

    assert "今日は行きます。" in rendered(said, Form.SRT)
    assert list(paragraphs([*said.segments, *said.segments])) == ["今日は行きます。今日は行きます。"]


def test_json_has_every_time_and_the_model() -> None:
    told = json.loads(rendered(SAID, Form.JSON))

    assert told["language"] == "en"
    assert told["segments"] == SAID.model_dump(mode="json")["segments"]
    assert told.keys() == {"video_id", "language", "duration_s", "segments", "model"}


def test_json_tells_what_is_in_doubt_and_what_was_skipped_and_is_taken_back() -> None:
    more = {
        "skipped": (Stretch(start_s=10.0, end_s=3600.0),),
        "doubtful": (Doubtful(start_s=1.0, end_s=2.0, probability=0.3),),
        "segments": (SAID.segments[0], SAID.segments[2].model_copy(update={"language": "nl"})),
    }

    told = rendered(SAID.model_copy(update=more), Form.JSON)

    assert json.loads(told)["skipped"] == [{"start_s": 10.0, "end_s": 3600.0}]
    assert json.loads(told)["doubtful"] == [{"start_s": 1.0, "end_s": 2.0, "probability": 0.3}]
    assert [each.get("language") for each in json.loads(told)["segments"]] == [None, "nl"]
    assert len(read_subtitles(told.encode(), Form.JSON, 3700.0).cues) == 2


@pytest.mark.parametrize("form", list(Form))
def test_where_nobody_speaks_there_is_nothing_but_the_form(form: Form) -> None:
    empty = rendered(transcript(), form)

    assert empty.strip() in {"", "WEBVTT"} or json.loads(empty)["segments"] == []
