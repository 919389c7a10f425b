"""FCPXML 1.10, which Final Cut Pro 10.6 and DaVinci Resolve read: https://developer.apple.com/documentation/professional-video-applications/fcpxml-reference.

Times are exact fractions of a second. A mark stands in the clip or gap that it begins in, in that one's own time.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.etree import ElementTree as ET

from madvision_assets.domain.edit_list import Edit, Mark, Placed

VERSION = "1.10"
AUDIO_RATES = {32_000: "32k", 44_100: "44.1k", 48_000: "48k", 88_200: "88.2k", 96_000: "96k"}
LAYOUTS = {1: "mono", 2: "stereo"}
FORMAT, SOURCE = "r1", "r2"


def written(edit: Edit) -> str:
    """A project in an event of its own, both called like the edit."""
    root = ET.Element("fcpxml", version=VERSION)
    resources = ET.SubElement(root, "resources")
    ET.SubElement(
        resources, "format", id=FORMAT, frameDuration=_time(edit, 1), width=str(edit.width), height=str(edit.height)
    )
    resources.append(_asset(edit))
    project = ET.SubElement(ET.SubElement(root, "event", name=edit.name), "project", name=edit.name)
    length = max(place.end for place in edit.placed())
    sequence = ET.SubElement(
        project, "sequence", format=FORMAT, duration=_time(edit, length), tcStart="0s", tcFormat=_count(edit)
    )
    if edit.audio_channels:
        sequence.set("audioLayout", LAYOUTS.get(edit.audio_channels, "surround"))
        sequence.set("audioRate", AUDIO_RATES.get(edit.audio_rate_hz, "48k"))
    spine = ET.SubElement(sequence, "spine")
    for place, marks in edit.shared_out():
        spine.append(_item(edit, place, marks))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{ET.tostring(root, encoding="unicode")}\n'


def _asset(edit: Edit) -> ET.Element:
    asset = ET.Element(
        "asset", id=SOURCE, name=edit.source_name, start="0s", duration=_time(edit, edit.source_frames),
        hasVideo="1", videoSources="1", format=FORMAT,
    )  # fmt: skip
    if edit.audio_channels:
        sound = {"hasAudio": "1", "audioSources": str(edit.sounds), "audioChannels": str(edit.audio_channels)}
        for name, value in {**sound, "audioRate": str(edit.audio_rate_hz)}.items():
            asset.set(name, value)
    ET.SubElement(asset, "media-rep", kind="original-media", src=f"./{quote(edit.source_name)}")
    return asset


def _item(edit: Edit, place: Placed, marks: Sequence[Mark]) -> ET.Element:
    begins, lasts = _time(edit, place.begin), _time(edit, place.end - place.begin)
    if place.cut is None:
        item = ET.Element("gap", name="Gap", offset=begins, start=begins, duration=lasts)
    else:
        item = ET.Element(
            "asset-clip", ref=SOURCE, offset=begins, name=place.cut.name, start=_time(edit, place.cut.first),
            duration=lasts, format=FORMAT, tcFormat=_count(edit),
        )  # fmt: skip
        if place.cut.note:
            ET.SubElement(item, "note").text = place.cut.note
    for mark in marks:
        length = _time(edit, mark.frames)
        ET.SubElement(item, "marker", start=_time(edit, mark.first), duration=length, value=mark.name, note=mark.note)
    if place.cut is not None and edit.audio_channels and edit.sounds > 1:
        item.extend(_heard(edit))
    return item


def _heard(edit: Edit) -> Iterator[ET.Element]:
    """The channels that are heard, and those before them, which are not."""
    end = edit.audio_before + edit.audio_channels
    if edit.audio_before:
        yield ET.Element("audio-channel-source", srcCh=_channels(1, edit.audio_before), enabled="0")
    yield ET.Element("audio-channel-source", srcCh=_channels(edit.audio_before + 1, end))


def _channels(first: int, last: int) -> str:
    return ", ".join(str(number) for number in range(first, last + 1))


def _time(edit: Edit, frames: int) -> str:
    time = edit.rate.seconds(frames)
    return f"{time.numerator}s" if time.denominator == 1 else f"{time.numerator}/{time.denominator}s"


def _count(edit: Edit) -> str:
    return "DF" if edit.rate.drops_frames else "NDF"
