"""XML Interchange Format (``xmeml`` 4), which Final Cut Pro 7 wrote first, and Premiere Pro and Resolve read.

https://developer.apple.com/library/archive/documentation/AppleApplications/Reference/FinalCutPro_XML
"""

from urllib.parse import quote
from xml.etree import ElementTree as ET

from madvision_assets.domain.edit_list import Cut, Edit

VERSION = "4"
MASTER, SOURCE = "masterclip-1", "file-1"
DEPTH_BITS = 16


def written(edit: Edit) -> str:
    """A sequence: a picture track, and a sound track for each channel."""
    root = ET.Element("xmeml", version=VERSION)
    sequence = ET.SubElement(root, "sequence", id="sequence-1")
    _texts(sequence, name=edit.name, duration=max(place.end for place in edit.placed()))
    _rate(sequence, edit)
    _timecode(sequence, edit)
    media = ET.SubElement(sequence, "media")
    video = ET.SubElement(media, "video")
    _picture(ET.SubElement(video, "format"), edit)
    _track(video, edit, channel=0)
    if edit.audio_channels:
        audio = ET.SubElement(media, "audio")
        _texts(audio, numOutputChannels=edit.audio_channels)
        sound = ET.SubElement(ET.SubElement(audio, "format"), "samplecharacteristics")
        _texts(sound, depth=DEPTH_BITS, samplerate=edit.audio_rate_hz)
        for channel in range(1, edit.audio_channels + 1):
            _track(audio, edit, channel)
    for mark in edit.marks:
        marker = ET.SubElement(sequence, "marker")
        _texts(marker, name=mark.name, comment=mark.note)
        _texts(marker, **{"in": mark.first, "out": mark.first + mark.frames})
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n{ET.tostring(root, encoding="unicode")}\n'


def _track(parent: ET.Element, edit: Edit, channel: int) -> None:
    """A track of picture (channel 0) or sound."""
    track = ET.SubElement(parent, "track")
    number = 0
    for place in edit.placed():
        if place.cut is not None:
            number += 1
            item = ET.SubElement(track, "clipitem", id=_item_id(channel, number))
            whole = number == 1 and not channel  # told once, referred to later
            _item(item, edit, place.cut, place.begin, whole=whole)
            if channel:
                _texts(ET.SubElement(item, "sourcetrack"), mediatype="audio", trackindex=edit.audio_before + channel)
            _links(item, edit, number)


def _item(item: ET.Element, edit: Edit, cut: Cut, begin: int, *, whole: bool) -> None:
    _texts(item, masterclipid=MASTER, name=cut.name, enabled="TRUE", duration=edit.source_frames)
    _rate(item, edit)
    _texts(item, start=begin, end=begin + cut.frames, **{"in": cut.first, "out": cut.end})
    source = ET.SubElement(item, "file", id=SOURCE)
    if not whole:
        return
    _texts(source, name=edit.source_name, pathurl=quote(edit.source_name), duration=edit.source_frames)
    _rate(source, edit)
    _timecode(source, edit)
    media = ET.SubElement(source, "media")
    _picture(ET.SubElement(media, "video"), edit)
    if edit.audio_channels:
        audio = ET.SubElement(media, "audio")
        sound = ET.SubElement(audio, "samplecharacteristics")
        _texts(sound, depth=DEPTH_BITS, samplerate=edit.audio_rate_hz)
        _texts(audio, channelcount=edit.audio_before + edit.audio_channels)


def _links(item: ET.Element, edit: Edit, number: int) -> None:
    """Picture and sound of a cut move together."""
    if not edit.audio_channels:
        return
    for channel in range(edit.audio_channels + 1):
        link = ET.SubElement(item, "link")
        _texts(link, linkclipref=_item_id(channel, number), mediatype="audio" if channel else "video")
        _texts(link, trackindex=channel or 1, clipindex=number)


def _item_id(channel: int, number: int) -> str:
    return f"clipitem-{number}-{channel}"


def _picture(parent: ET.Element, edit: Edit) -> None:
    shown = ET.SubElement(parent, "samplecharacteristics")
    _texts(shown, width=edit.width, height=edit.height, pixelaspectratio="square", fielddominance="none")
    _rate(shown, edit)


def _rate(parent: ET.Element, edit: Edit) -> None:
    rate = ET.SubElement(parent, "rate")
    _texts(rate, timebase=edit.rate.nominal, ntsc="TRUE" if edit.rate.is_ntsc else "FALSE")


def _timecode(parent: ET.Element, edit: Edit) -> None:
    code = ET.SubElement(parent, "timecode")
    _rate(code, edit)
    form = "DF" if edit.rate.drops_frames else "NDF"
    _texts(code, string=edit.rate.timecode(0), frame=0, displayformat=form)


def _texts(parent: ET.Element, **values: str | int) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = str(value)
