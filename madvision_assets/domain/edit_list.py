"""A video's clips as an edit of its source: which frames of it are taken, and what else is marked in it.

Clips stand where they are in the source, with gaps between, so that the marks of what was not taken are where it is
said. Whole frames only, at the rate that the clips were cut at, which is the source's own where that is steady.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, overload

from madvision_assets.domain.clips import Clip, ClipCandidates, Clips, RejectedMoment
from madvision_assets.domain.cutting import clip_fps
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.timecode import FrameRate
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import MediaInfo

MAX_NAME_CHARS, MAX_NOTE_CHARS = 120, 600


class EditForm(StrEnum):
    """The form in which a program for editing takes an edit; its value is the suffix of the file.

    Attributes:
        program: who reads it, for a person.
        media_type: MIME type.
    """

    program: str
    media_type: str

    @overload
    def __new__(cls, name: str) -> Self: ...
    @overload
    def __new__(cls, name: str, program: str, media_type: str) -> Self: ...
    def __new__(cls, name: str, program: str = "", media_type: str = "") -> Self:
        """A member; with its name alone, mypy takes it for a look-up."""
        member = str.__new__(cls, name)
        member._value_, member.program, member.media_type = name, program, media_type
        return member

    OTIO = "otio", "OpenTimelineIO", "application/json"
    FCPXML = "fcpxml", "Final Cut Pro (FCPXML)", "application/xml"
    PREMIERE = "xml", "Premiere Pro (XML)", "application/xml"
    EDL = "edl", "EDL (CMX 3600)", "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Cut:
    """A stretch of the source that is taken, in frames from its start.

    Attributes:
        clip_id: of the clip that is these frames.
        name: its rank and title.
        note: why it stands on its own.
        first: its first frame.
        frames: how many.
    """

    clip_id: str
    name: str
    note: str
    first: int
    frames: int

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.first + self.frames


@dataclass(frozen=True)
class Mark:
    """A stretch of the source that is marked, in frames from its start."""

    name: str
    note: str
    first: int
    frames: int
    taken: bool


@dataclass(frozen=True)
class Placed:
    """A cut in its place on the line of time, or a gap where there is none; half-open, in frames.

    Attributes:
        begin: where it begins; a cut that overlaps the one before it begins after that.
        end: where it ends.
        cut: None for a gap.
    """

    begin: int
    end: int
    cut: Cut | None


@dataclass(frozen=True)
class Edit:
    """What every form says.

    Attributes:
        name: of the timeline.
        source_name: of the source's file, as an editor would look for it; no path.
        rate: of source and timeline.
        width: of the picture, pixels.
        height: likewise.
        audio_channels: of the sound that is heard; 0 without sound.
        audio_before: channels of other sounds before it in the source.
        sounds: how many the source has.
        audio_rate_hz: 0 without sound.
        source_frames: length of the source.
        cuts: in the order of the source.
        marks: likewise.
    """

    name: str
    source_name: str
    rate: FrameRate
    width: int
    height: int
    audio_channels: int
    audio_rate_hz: int
    source_frames: int
    cuts: tuple[Cut, ...]
    marks: tuple[Mark, ...]
    audio_before: int = 0
    sounds: int = 1

    def placed(self) -> Iterator[Placed]:
        """Cuts and the gaps between them, one after the other, to the end of the source."""
        at = 0
        for cut in self.cuts:
            if cut.first > at:
                yield Placed(at, cut.first, None)
                at = cut.first
            yield Placed(at, at + cut.frames, cut)
            at += cut.frames
        if at < self.source_frames:
            yield Placed(at, self.source_frames, None)

    def shared_out(self) -> Iterator[tuple[Placed, list[Mark]]]:
        """What ``placed`` gives, each with the marks that begin in it; of a cut in its own frames of the source."""
        left = list(self.marks)
        places = list(self.placed())
        inside: dict[int, list[Mark]] = {}
        for number, place in enumerate(places):
            if place.cut:
                inside[number] = [mark for mark in left if place.cut.first <= mark.first < place.cut.end]
                left = [mark for mark in left if mark not in inside[number]]
        for mark in left:
            nearest = max((n for n, each in enumerate(places) if each.begin <= mark.first), default=0)
            inside.setdefault(nearest, []).append(mark)
        for number, place in enumerate(places):
            yield place, inside.get(number, [])


def edit_of(
    clips: Clips, info: MediaInfo, source_name: str, chosen: ClipCandidates | None, said: Transcript | None
) -> Edit:
    """The edit that a video's clips are.

    Args:
        clips: its clips.
        info: of the source.
        source_name: of its file.
        chosen: what they were chosen from; without it nothing is marked.
        said: what is said, which tells when a moment is that was not taken; without it those are not marked.
    """
    fps = clip_fps(info)
    origin_s = info.video_start_s % float(1 / fps)  # of the frame grid, as ``plan_cut`` lays it
    cuts = [
        Cut(
            clip_id=clip.clip_id,
            name=cleaned(f"{clip.rank:02d} {clip.title}", MAX_NAME_CHARS),
            note=cleaned(clip.reason, MAX_NOTE_CHARS),
            first=max(0, round((clip.start_s - origin_s) * fps)),
            frames=max(1, round((clip.end_s - clip.start_s) * fps)),
        )
        for clip in clips.clips
    ]
    tracks = info.tracks
    length = max([math.floor(info.duration_s * fps), 1, *(cut.end for cut in cuts)])
    marks = [*_taken(clips.clips, chosen, cuts), *_rejected(chosen, said, fps_s=float(fps), length=length)]
    return Edit(
        name=clips.video_id,
        source_name=source_name,
        rate=FrameRate(fps),
        width=info.width,
        height=info.height,
        audio_channels=(info.audio_channels or 0) if info.audio_codec else 0,
        audio_rate_hz=(info.audio_rate_hz or 0) if info.audio_codec else 0,
        source_frames=length,
        cuts=tuple(sorted(cuts, key=lambda cut: (cut.first, cut.frames))),
        marks=tuple(sorted(marks, key=lambda mark: (mark.first, mark.frames))),
        audio_before=tracks.audio_before if tracks else 0,
        sounds=tracks.audio_count if tracks else 1,
    )


def _taken(clips: Sequence[Clip], chosen: ClipCandidates | None, cuts: Sequence[Cut]) -> Iterator[Mark]:
    """A mark at each clip, with the title by which it was chosen: some forms keep no name of a clip."""
    by_rank = {each.rank: each for each in chosen.candidates} if chosen else {}
    for clip, cut in zip(clips, cuts, strict=True):
        if candidate := by_rank.get(clip.rank):
            name, note = cleaned(candidate.title, MAX_NAME_CHARS), cleaned(candidate.reason, MAX_NOTE_CHARS)
            yield Mark(name, note, cut.first, cut.frames, taken=True)


def _rejected(chosen: ClipCandidates | None, said: Transcript | None, *, fps_s: float, length: int) -> Iterator[Mark]:
    times = {segment.id: (segment.start_s, segment.end_s) for segment in said.segments} if said else {}
    for rejected in chosen.rejected if chosen else ():
        moment = rejected.moment
        if not {moment.first_segment, moment.last_segment} <= times.keys():
            continue
        first = min(length - 1, max(0, math.floor(times[moment.first_segment][0] * fps_s)))
        end = min(length, max(first + 1, math.ceil(times[moment.last_segment][1] * fps_s)))
        name = cleaned(moment.title, MAX_NAME_CHARS) or "A moment"
        yield Mark(name, _why_not(rejected), first, end - first, taken=False)


def _why_not(rejected: RejectedMoment) -> str:
    rule = rejected.rule.value.replace("_", " ")
    told = f"Not taken ({rule}; score {rejected.moment.score:.2f}). {rejected.details} {rejected.moment.reason}"
    return cleaned(told, MAX_NOTE_CHARS)
