"""Claims about reading what a person has corrected."""

import json

import pytest

from madvision_assets.domain.subtitles import BadSubtitlesError, SpokenCue, read_subtitles
from madvision_assets.domain.transcript_forms import Form

SRT = """1
00:00:01,000 --> 00:00:02,500
Measure <i>first</i>,
then change.

2
00:00:03,000 --> 00:00:04,000 X1:40 X2:600
- Why? Because a < b & c.
"""
VTT = """WEBVTT - of a talk
Kind: captions

NOTE made
by hand

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Ada>Measure <c.loud>first</c>,
then change.

00:03.000 --> 00:00:04.000
- Why? Because a &lt; b &amp; c.
"""
SAID = (SpokenCue(1, 1.0, 2.5, "Measure first, then change."), SpokenCue(2, 3.0, 4.0, "- Why? Because a < b & c."))


def exported(**changes: object) -> str:
    segments = [{"id": n, "start_s": c.start_s, "end_s": c.end_s, "text": c.text} for n, c in enumerate(SAID)]
    return json.dumps({"video_id": "web-a", "language": "en", "duration_s": 9.0, "segments": segments, **changes})


@pytest.mark.parametrize(
    ("text", "form"), [(SRT, Form.SRT), (VTT, Form.VTT), (exported(), Form.JSON), (SRT.replace("\n", "\r\n"), Form.SRT)]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_each_form_says_the_same(text: str, form: Form, encoding: str) -> None:
    found = read_subtitles(text.encode(encoding), form, 9.0).cues

    assert tuple(SpokenCue(each.number, each.start_s, each.end_s, each.text) for each in found) == SAID


def test_a_language_is_told_by_its_code_tag_or_name() -> None:
    for told, code in {"pt-BR": "pt", "English": "en", "ga": "ga"}.items():
        assert read_subtitles(exported(language=told).encode(), Form.JSON, 9.0).language == code
    for untold in (None, ""):
        assert read_subtitles(exported(language=untold).encode(), Form.JSON, 9.0).language is None


def test_a_cue_that_shows_nothing_is_left_out_and_an_empty_line_in_one_is_none_of_its_ends() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:03,000 --> 00:00:04,000\nOne.\n\nTwo.\n"

    assert [(cue.number, cue.text) for cue in read_subtitles(text.encode(), Form.SRT, 9.0).cues] == [(2, "One. Two.")]


def srt(*cues: tuple[str, str]) -> str:
    return "\n".join(f"{n}\n{times}\n{text}\n" for n, (times, text) in enumerate(cues, 1))


A, B = "00:00:01,000 --> 00:00:03,000", "00:00:02,000 --> 00:00:04,000"


@pytest.mark.parametrize(
    ("data", "form", "said"),
    [
        (b"", Form.SRT, "The file is empty."),
        (b" \n\n", Form.VTT, "The file is empty."),
        (b"WEBVTT\n\nNOTE nothing\n", Form.VTT, "no cue with text"),
        (srt((A, "<i></i>")).encode(), Form.SRT, "no cue with text"),
        (SRT.encode(), Form.VTT, "does not begin with WEBVTT"),
        (b"Just a text.\n", Form.SRT, "Line 1 is text without a time"),
        (exported(language="日本語").encode(), Form.JSON, "language: This is no language: give its code"),
        (exported(language="Klingon").encode(), Form.JSON, "This is no language"),
        (b"a\nb\n" + SRT.encode(), Form.SRT, "Line 1 is text without a time"),
        (srt(("00:00:01 -> 00:00:02", "x")).encode(), Form.SRT, "Line 1 is text without a time"),
        (srt(("00:00:01.5 --> soon", "x")).encode(), Form.SRT, "Line 2 has no times that can be read"),
        (srt((A, "a"), (B, "b")).encode(), Form.SRT, r"Cues 1 and 2 overlap at 0:00:02\.0"),
        (srt((B, "a"), (A, "b")).encode(), Form.SRT, "Cue 2 begins before cue 1"),
        (srt(("00:00:03,000 --> 00:00:01,000", "a")).encode(), Form.SRT, "Cue 1 ends before it begins"),
        (
            srt((A, "a"), ("00:20:01,000 --> 00:20:02,000", "b")).encode(),
            Form.SRT,
            "Cue 2 ends at 0:20:02.0.*another video",
        ),
        (srt((A, "a <div>b</div>")).encode(), Form.SRT, "Cue 1 holds the tag <div>"),
        (srt((A, "a <script src=x>")).encode(), Form.SRT, "Cue 1 holds the tag <script"),
        (f"1\n{A}\nx\n{B}\ny\n".encode(), Form.SRT, "Behind cue 1, at line 2, an empty line is missing"),
        ("1\n00:00:01,000 --> 00:00:02,000\nGrün\n".encode("latin-1"), Form.SRT, "not text in UTF-8"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n\x00\n", Form.SRT, "zero bytes"),
        (b"{", Form.JSON, "no JSON"),
        (b"[]", Form.JSON, "no transcript as it is exported"),
        (exported(segments=[{"start_s": "x", "end_s": 2, "text": ""}]).encode(), Form.JSON, r"segments\.0\.start_s"),
        (exported(duration_s=700.0).encode(), Form.JSON, "of a video of 0:11:40.0, and this one lasts 0:00:09.0"),
        (b"[" * 100_000, Form.JSON, "no JSON"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_refused_in_a_sentence(data: bytes, form: Form, said: str) -> None:
    with pytest.raises(BadSubtitlesError, match=said) as told:
        read_subtitles(data, form, 9.0)

    assert str(told.value).endswith(".")


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(BadSubtitlesError, match="more than 20 MiB"):
        read_subtitles(b" " * (20 * 1024**2 + 1), Form.SRT, 9.0)
