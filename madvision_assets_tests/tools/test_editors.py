"""Claims about what programs for editing read: the cuts are the clips', to the frame, at every rate and in every form.

What we write ourselves is read back by others: the adapters of OpenTimelineIO, and lxml with a document type.
"""

from collections.abc import Callable
from fractions import Fraction
from io import StringIO
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import opentimelineio as otio
import pytest
from lxml import etree

from madvision_assets.domain.edit_list import Edit, EditForm, edit_of
from madvision_assets.domain.tracks import Tracks
from madvision_assets.tools.editors import written
from madvision_assets_tests import editing

RATES = {
    "23.976": Fraction(24000, 1001),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "59.94": Fraction(60000, 1001),
    "60": Fraction(60),
}
Spans = list[tuple[int, int]]
SECOND = Tracks(video=0, audio=2, audio_count=2, audio_before=2)  # as a recorder makes it, whose first sound is silent


@pytest.fixture(params=RATES)
def fps(request: pytest.FixtureRequest) -> Fraction:
    return RATES[request.param]


def edit(fps: Fraction, **other: object) -> Edit:
    source = editing.info(fps, **other)
    return edit_of(editing.clips(source), source, "talk & more.mp4", editing.candidates(), editing.said())


def planned(fps: Fraction) -> Spans:
    """First frame and number of frames of each clip as it was cut, in the order of the source."""
    plans = editing.plans(editing.info(fps))
    return sorted((round(Fraction(plan.start_s).limit_denominator(10**9) * fps), plan.frames) for plan in plans)


def of_clips(timeline: otio.schema.Timeline, fps: Fraction) -> Spans:
    """What another program finds in the picture track."""
    (track,) = timeline.video_tracks()
    ranges = [each.trimmed_range() for each in track.find_clips()]
    assert all(abs(each.start_time.rate - float(fps)) < 1e-6 for each in ranges)
    return [(round(each.start_time.value), round(each.duration.value)) for each in ranges]


def in_otio(edit: Edit) -> Spans:
    timeline = otio.adapters.read_from_string(written(edit, EditForm.OTIO), "otio_json")
    return of_clips(timeline, edit.rate.fps)


def in_edl(edit: Edit) -> Spans:
    lines = written(edit, EditForm.EDL)
    # The reader takes one track alone for what it is.
    read = otio.adapters.read_from_string(lines.replace("AA/V ", "V    "), "cmx_3600", rate=float(edit.rate.fps))
    return of_clips(read, edit.rate.fps)


def in_premiere(edit: Edit) -> Spans:
    return of_clips(otio.adapters.read_from_string(written(edit, EditForm.PREMIERE), "fcp_xml"), edit.rate.fps)


def in_fcpxml(edit: Edit) -> Spans:
    root = ET.fromstring(written(edit, EditForm.FCPXML))  # noqa: S314 - our own
    times = [[Fraction(c.attrib[n][:-1]) for n in ("start", "duration")] for c in root.iter("asset-clip")]
    whole = [[time * edit.rate.fps for time in each] for each in times]
    assert all(value.denominator == 1 for values in whole for value in values)
    return [(int(first), int(length)) for first, length in whole]


@pytest.mark.parametrize("read", [in_otio, in_edl, in_premiere, in_fcpxml])
def test_the_cuts_are_the_clips_to_the_frame(read: Callable[[Edit], Spans], fps: Fraction) -> None:
    assert read(edit(fps)) == planned(fps)


def test_clips_stand_where_they_are_in_the_source_and_never_overlap(fps: Fraction) -> None:
    placed = list(edit(fps).placed())

    assert [place.begin for place in placed] == [0, *(place.end for place in placed[:-1])]
    assert all(
        0 <= place.begin - place.cut.first <= 1 for place in placed if place.cut
    )  # of two that touch, the second
    assert sum(place.cut is not None for place in placed) == len(editing.MOMENTS)


def test_what_was_not_taken_is_marked_where_it_is_said(fps: Fraction) -> None:
    timeline = otio.adapters.read_from_string(written(edit(fps), EditForm.OTIO), "otio_json")

    red = [mark for mark in timeline.tracks.markers if mark.color == "RED"]
    (mark,) = red  # of the other nobody knows where it would be
    assert (mark.name, "weak" in mark.comment) == ("Weak one", True)
    assert mark.marked_range.start_time.to_seconds() == pytest.approx(editing.REJECTED[0], abs=float(1 / fps))
    assert mark.marked_range.end_time_exclusive().to_seconds() == pytest.approx(editing.REJECTED[1], abs=float(1 / fps))
    assert {mark.name for mark in timeline.tracks.markers if mark.color == "GREEN"} == set(editing.TITLES)


@pytest.mark.parametrize("form", list(EditForm))
def test_every_form_says_the_titles_and_the_marks(form: EditForm) -> None:
    text = written(edit(Fraction(25)), form)

    assert "Weak one" in text
    assert "Nowhere" not in text
    assert all(title in text for title in ("The first one", "What touches it", "結論 — the end"))


def test_drop_frame_is_said_where_numbers_are_dropped(fps: Fraction) -> None:
    drops = fps in {RATES["29.97"], RATES["59.94"]}
    made = edit(fps)

    assert ("FCM: DROP FRAME" in written(made, EditForm.EDL)) is drops
    if drops:  # after two hours time code still tells the time of day
        assert "02:00:00;0" in written(made, EditForm.EDL)
    assert ("<displayformat>DF</displayformat>" in written(made, EditForm.PREMIERE)) is drops
    assert ('tcFormat="DF"' in written(made, EditForm.FCPXML)) is drops


@pytest.mark.parametrize(
    "sound", [{}, {"audio_channels": 1, "audio_rate_hz": 44_100}, {"audio_codec": None}, {"tracks": SECOND}]
)
def test_fcpxml_fits_its_document_type(fps: Fraction, sound: dict[str, object]) -> None:
    with Path(__file__).with_name("fcpxml.dtd").open() as file:
        dtd = etree.DTD(file)
    document = etree.parse(StringIO(written(edit(fps, **sound), EditForm.FCPXML).partition("\n")[2]))

    assert dtd.validate(document), dtd.error_log.filter_from_errors()
    assert document.docinfo.doctype == "<!DOCTYPE fcpxml>"


def test_marks_in_fcpxml_lie_in_what_they_mark(fps: Fraction) -> None:
    root = ET.fromstring(written(edit(fps), EditForm.FCPXML))  # noqa: S314 - our own

    for item in root.iter():
        for mark in item.findall("marker"):
            begin = Fraction(item.attrib["start"][:-1])
            assert begin <= Fraction(mark.attrib["start"][:-1]) < begin + Fraction(item.attrib["duration"][:-1])
    assert len(list(root.iter("marker"))) == len(editing.MOMENTS) + 1


def test_premiere_gets_picture_and_sound_that_move_together() -> None:
    root = ET.fromstring(written(edit(Fraction(25)), EditForm.PREMIERE))  # noqa: S314 - our own
    items = {item.attrib["id"]: item for item in root.iter("clipitem")}

    assert len(root.findall(".//sequence/media/audio/track")) == 2
    assert len(items) == 3 * len(editing.MOMENTS)
    assert all(link.findtext("linkclipref") in items for link in root.iter("link"))
    assert len([file for file in root.iter("file") if file.findtext("name")]) == 1


def test_the_sound_that_was_heard_is_the_one_that_is_played() -> None:
    source = editing.info(Fraction(25), tracks=SECOND)
    made = edit_of(editing.clips(source), source, "obs #1.mkv", None, None)

    premiere = ET.fromstring(written(made, EditForm.PREMIERE))  # noqa: S314 - our own
    assert {track.findtext("trackindex") for track in premiere.iter("sourcetrack")} == {"3", "4"}
    assert premiere.findtext(".//channelcount") == "4"
    final_cut = ET.fromstring(written(made, EditForm.FCPXML))  # noqa: S314 - our own
    (asset,) = final_cut.iter("asset")
    assert asset.attrib["audioSources"] == "2"
    heard = [dict(each.attrib) for each in final_cut.iter("audio-channel-source")][:2]
    assert heard == [{"srcCh": "1, 2", "enabled": "0"}, {"srcCh": "3, 4"}]
    timeline = otio.adapters.read_from_string(written(made, EditForm.OTIO), "otio_json")
    urls = {clip.media_reference.target_url for clip in timeline.find_clips()}
    assert {unquote(urlsplit(url).path) for url in urls} == {"obs #1.mkv"}


def test_titles_cannot_break_a_form_open() -> None:
    source = editing.info(Fraction(25))
    made = editing.clips(source)
    evil = made.clips[0].model_copy(update={"title": 'x\n002  AX V C ]]></name> <!ENTITY "%\x00\x1b[31m &amp; {'})
    edit = edit_of(made.model_copy(update={"clips": (evil,)}), source, "talk.mp4", None, None)

    assert written(edit, EditForm.EDL).count("\n002") == 0
    for form in (EditForm.FCPXML, EditForm.PREMIERE):
        text = written(edit, form)
        ET.fromstring(text)  # noqa: S314 - our own
        assert "\x1b" not in text
    assert in_otio(edit) == in_edl(edit) == in_premiere(edit) == in_fcpxml(edit)
