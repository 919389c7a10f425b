"""OpenTimelineIO, by its own library: https://opentimelineio.readthedocs.io."""

from urllib.parse import quote

from madvision_assets.domain.edit_list import Edit

CHOSEN, REJECTED = "GREEN", "RED"
OURS = "madvision"  # the key below which metadata of ours stand


def written(edit: Edit) -> str:
    """A timeline with a picture and a sound track; chosen moments are green marks on it, the others red ones."""
    from opentimelineio import opentime, schema

    fps = float(edit.rate.fps)

    def span(first: int, frames: int) -> opentime.TimeRange:
        return opentime.TimeRange(opentime.RationalTime(first, fps), opentime.RationalTime(frames, fps))

    def track(kind: str, name: str) -> schema.Track:
        made = schema.Track(name=name, kind=kind)
        for place in edit.placed():
            if place.cut is None:
                made.append(schema.Gap(source_range=span(0, place.end - place.begin)))
                continue
            media = schema.ExternalReference(quote(edit.source_name), span(0, edit.source_frames))
            about = {OURS: {"clip_id": place.cut.clip_id, "reason": place.cut.note}}
            made.append(schema.Clip(place.cut.name, media, span(place.cut.first, place.cut.frames), metadata=about))
        return made

    timeline = schema.Timeline(edit.name, global_start_time=opentime.RationalTime(0, fps))
    timeline.tracks.append(track(schema.TrackKind.Video, "V1"))
    if edit.audio_channels:
        timeline.tracks.append(track(schema.TrackKind.Audio, "A1"))
    for mark in edit.marks:
        about = {OURS: {"taken": mark.taken}}
        colour = CHOSEN if mark.taken else REJECTED
        timeline.tracks.markers.append(
            schema.Marker(mark.name, span(mark.first, mark.frames), colour, about, comment=mark.note)
        )
    return str(timeline.to_json_string(indent=1)) + "\n"
