"""Says what a media file is, and refuses what is none, by reading it to its end without decoding it."""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from madvision_assets.domain.failures import (
    CorruptMediaError,
    NoAudioTrackError,
    NoVideoTrackError,
    TooCostlyError,
)
from madvision_assets.tools.media import apart, structure
from madvision_assets.tools.media.container import (
    Tracks,
    choose_tracks,
    colour_of,
    opened,
    pictures_from,
    real_pictures,
    sounds_by_preference,
    sounds_from,
    zero_s,
)
from madvision_assets.tools.media.ffmpeg import within
from madvision_assets.tools.media.heard import SAMPLE_BLOCKS, choose_sound

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from madvision_assets.domain.tracks import Tracks as ChosenTracks
    from madvision_assets.domain.video import MediaInfo

    _Frame = TypeVar("_Frame", VideoFrame, AudioFrame)

MISSING_SHARE = 0.02
MISSING_S = 1.0
SAMPLE_POINTS = 6
VERIFY_LIMIT_S = 40.0
SAMPLE_FRAMES = 5
ABOUT_AS_LONG = 0.95
STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp", "gif"})
REORDER_FRAMES = 32  # more than any codec's reordering depth
MAX_ASPECT = 10  # of one pixel; beyond, the header is nonsense
QUARTER_TURN_DEG = 90
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Decoded:
    """What ``verify_decodes`` saw.

    Attributes:
        points: how many places of the file were decoded.
        video_frames: frames decoded, all places together.
        audio_s: seconds of sound decoded, all places together.
    """

    points: int
    video_frames: int
    audio_s: float


@dataclass
class _Measure:
    """What the packets of one track tell; times in seconds of the file's own clock. Its memory is constant."""

    first_s: float = math.inf
    last_s: float = -math.inf
    end_s: float = -math.inf
    count: int = 0
    max_gap_s: float = 0.0
    _pending: list[float] = field(default_factory=list)
    _previous_s: float | None = None

    def add(self, start_s: float, duration_s: float) -> None:
        self.count += 1
        self.first_s = min(self.first_s, start_s)
        self.last_s = max(self.last_s, start_s)
        self.end_s = max(self.end_s, start_s + duration_s)
        heapq.heappush(self._pending, start_s)  # packets come in decoding order, gaps are between shown frames
        if len(self._pending) > REORDER_FRAMES:
            self._shift()

    def close(self) -> None:
        while self._pending:
            self._shift()

    def _shift(self) -> None:
        start_s = heapq.heappop(self._pending)
        if self._previous_s is not None:
            self.max_gap_s = max(self.max_gap_s, start_s - self._previous_s)
        self._previous_s = start_s

    @property
    def per_second(self) -> float:
        """Packets a second; 0 with fewer than two."""
        return (self.count - 1) / (self.last_s - self.first_s) if self.last_s > self.first_s else 0.0


def probe(source: Path | BinaryIO) -> "MediaInfo":
    """What a media file is, found by reading all its packets; memory does not grow with the file.

    Args:
        source: a file, or a seekable binary stream positioned at its start.

    Raises:
        EmptyFileError: zero bytes.
        NotMediaError: no media file, or a picture, a playlist, subtitles.
        NoVideoTrackError: sound only; a cover picture is no video.
        NoAudioTrackError: picture only.
        CorruptMediaError: cut short, or its frames do not decode.
        MediaToolError: it cannot be read.
    """
    from madvision_assets.domain.video import MediaInfo  # which the child need not load

    return MediaInfo(**apart.result_of("probe", source))


def tracks_of(path: Path, known: "ChosenTracks | None") -> "ChosenTracks":
    """The tracks that were chosen; the first of each kind in a file whose document is too old to say.

    Raises:
        Failure: what ``container.layout`` raises.
    """
    from madvision_assets.domain.tracks import Tracks as ChosenTracks

    return known or ChosenTracks.model_validate(apart.result_of("layout", path))


def measured(source: BinaryIO) -> dict[str, Any]:
    """The fields of ``MediaInfo``; in the child."""
    with opened(source) as container:
        if choose_tracks(container).audio is None:
            raise NoAudioTrackError
        measures = _measure(container)
        pictures = _longest_first(container, measures)
        sounds = [track for track in sounds_by_preference(container) if measures[track.index].count]
        if not pictures or not sounds:
            raise CorruptMediaError("a track has no data")
        start_s = zero_s(container)
        video = measures[pictures[0].index]
        if video.per_second > structure.MAX_FPS:
            raise TooCostlyError(f"{video.per_second:.0f} frames a second; the limit is {structure.MAX_FPS}")
        sound, channel = choose_sound(container, sounds, _points(start_s, _end_s(measures), SAMPLE_BLOCKS))
        tracks, heard = Tracks(pictures[0], sound), measures[sound.index]
        _refuse_truncated(container, tracks, measures, start_s)
        end_s = max(video.end_s + _missing_duration_s(video), heard.end_s)
        frames = _sample(container, tracks, start_s, end_s)
        width, height, rotation_deg = _shown(tracks.video, frames[0])
        return {
            "container": _short_name(container),
            "duration_s": round(end_s - start_s, 6),
            "advertised_duration_s": None if container.duration is None else container.duration / MICROSECONDS,
            "width": width,
            "height": height,
            "rotation_deg": rotation_deg,
            "fps": round(video.per_second or float(tracks.video.average_rate or 0), 6),
            "max_frame_gap_s": round(video.max_gap_s, 6),
            "video_codec": tracks.video.codec_context.name,
            "audio_codec": sound.codec_context.name,
            "audio_rate_hz": sound.codec_context.sample_rate,
            "audio_channels": sound.codec_context.channels,
            "video_start_s": round(_start_s(tracks.video, video) - start_s, 6) + 0.0,
            "audio_start_s": round(_start_s(sound, heard) - start_s, 6) + 0.0,
            "tracks": {
                "video": tracks.video.index,
                "audio": sound.index,
                "video_count": len(pictures),
                "audio_count": len(sounds),
                "audio_before": sum(each.codec_context.channels for each in sounds if each.index < sound.index),
                "channel": channel,
                "zero_s": start_s,
                "interlaced": any(frame.interlaced_frame for frame in frames),
                "colour": colour_of(tracks.video, frames[0]),
            },
        }


def _longest_first(container: "InputContainer", measures: dict[int, _Measure]) -> "list[VideoStream]":
    """The real pictures, the one to use first: of those about as long as the longest, the largest.

    Raises:
        NoVideoTrackError: there is nothing but a still picture beside the sound.
    """
    shown = [track for track in real_pictures(container) if measures[track.index].count]
    moving = [track for track in shown if measures[track.index].count > 1]
    if shown and not moving and all(track.codec_context.name in STILL_CODECS for track in shown):
        raise NoVideoTrackError("its only picture is a still one")
    lengths_s = {track.index: measures[track.index].end_s - measures[track.index].first_s for track in shown}
    enough_s = ABOUT_AS_LONG * max((lengths_s[track.index] for track in moving or shown), default=0.0)

    def rank(track: "VideoStream") -> tuple[bool, int]:
        context = track.codec_context
        return lengths_s[track.index] < enough_s, -context.width * context.height

    return sorted(moving or shown, key=rank)


def verify_decodes(
    source: Path | BinaryIO,
    tracks: "ChosenTracks | None" = None,
    points: int = 5,
    seconds: float = 1.0,
    limit_s: float = VERIFY_LIMIT_S,
) -> Decoded:
    """Decodes some seconds at several points, evenly spread from begin to end.

    Args:
        source: a file, or a seekable binary stream positioned at its start.
        tracks: those to decode, as ``probe`` chose them; None for the first of each kind.
        points: at how many points.
        seconds: at each.
        limit_s: it may take so long, seconds; a second may hold a thousand pictures.

    Raises:
        TooCostlyError: it takes longer.
        CorruptMediaError: a point gives no picture, or the file gives no sound.
        Failure: what ``probe`` raises for a file that is no video.
    """
    chosen = (None, None) if tracks is None else (tracks.video, tracks.audio)
    with within(limit_s):
        return Decoded(**apart.result_of("verify", source, points=points, seconds=seconds, chosen=chosen))


def verified(source: BinaryIO, points: int, seconds: float, chosen: Sequence[int | None]) -> dict[str, Any]:
    """The fields of ``Decoded``; in the child."""
    with opened(source) as container:
        tracks = choose_tracks(container, *chosen)
        if tracks.audio is None:
            raise NoAudioTrackError
        start_s = zero_s(container)
        pictures, audio_s = 0, 0.0
        for at_s in _points(start_s, start_s + (container.duration or 0) / MICROSECONDS - seconds, points):
            end_s = at_s + seconds
            shown = sum(1 for _ in _within(pictures_from(container, tracks.video, at_s), at_s, end_s))
            sounds = _within(sounds_from(container, tracks.audio, at_s), at_s, end_s)
            heard = sum(sound.samples / sound.sample_rate for sound in sounds)
            if not shown and not heard:
                raise CorruptMediaError(f"nothing decodes at {at_s - start_s:.1f} s")
            pictures += shown
            audio_s += heard
        if not pictures or not audio_s:
            raise CorruptMediaError(f"no {'sound' if pictures else 'picture'} decodes")
        return {"points": points, "video_frames": pictures, "audio_s": audio_s}


def _within(frames: "Iterator[_Frame]", at_s: float, end_s: float) -> "Iterator[_Frame]":
    """The frames that begin in a stretch of the file's own clock."""
    early_enough = takewhile(lambda frame: (frame.time or 0.0) < end_s, frames)
    return (frame for frame in early_enough if (frame.time or 0.0) >= at_s)


def _measure(container: "InputContainer") -> dict[int, _Measure]:
    measures = {stream.index: _Measure() for stream in container.streams}
    for packet in container.demux():
        start = packet.pts if packet.pts is not None else packet.dts
        if start is not None and not packet.is_discard and packet.time_base:  # flushing packets have no time
            scale = float(packet.time_base)
            measures[packet.stream_index].add(start * scale, (packet.duration or 0) * scale)
    for measure in measures.values():
        measure.close()
    return measures


def _missing_duration_s(video: _Measure) -> float:
    """How long the last frame is shown where its packet does not say."""
    return 1 / video.per_second if video.end_s == video.last_s and video.per_second else 0.0


def _end_s(measures: dict[int, _Measure]) -> float:
    return max(measure.end_s for measure in measures.values() if measure.count)


def _start_s(track: "Stream", measure: _Measure) -> float:
    # The demuxer's start time knows edit lists and encoder delay; packets alone do not.
    if track.start_time is None or track.time_base is None:
        return measure.first_s
    return float(track.start_time * track.time_base)


def _refuse_truncated(
    container: "InputContainer", tracks: Tracks, measures: dict[int, _Measure], start_s: float
) -> None:
    """A file with its index at the front opens well however much of its end is missing."""
    whole_s = _end_s(measures) - start_s
    advertised_s = (container.duration or 0) / MICROSECONDS
    if advertised_s > start_s > 0:  # Matroska of a recorder whose clock was running: it says where the last frame ends
        advertised_s -= start_s
    _refuse_short("it", whole_s, advertised_s)
    for stream in (tracks.video, tracks.audio):
        if stream is not None and stream.duration and stream.time_base and measures[stream.index].count > 1:
            measure = measures[stream.index]
            present_s = max(measure.end_s - start_s, measure.end_s - measure.first_s)
            _refuse_short(f"its {stream.type} track", present_s, float(stream.duration * stream.time_base))


def _refuse_short(what: str, present_s: float, advertised_s: float) -> None:
    if advertised_s - present_s > max(MISSING_S, MISSING_SHARE * advertised_s):
        raise CorruptMediaError(f"{what} says that it lasts {advertised_s:.1f} s, but ends after {present_s:.1f} s")


def _sample(container: "InputContainer", tracks: Tracks, start_s: float, end_s: float) -> "list[VideoFrame]":
    """Decodes a few frames near begin, middle and end; a picture of each place, an interlaced one where there is."""
    pictures: list[VideoFrame] = []
    for at_s in _points(start_s, end_s - MISSING_S, SAMPLE_POINTS):
        here = list(islice(pictures_from(container, tracks.video, at_s), SAMPLE_FRAMES))
        if not here:
            raise CorruptMediaError(f"no picture decodes near {at_s - start_s:.1f} s")
        pictures.append(next((frame for frame in here if frame.interlaced_frame), here[0]))
    if tracks.audio is None or not any(
        list(islice(sounds_from(container, tracks.audio, at_s), SAMPLE_FRAMES))
        for at_s in _points(start_s, end_s - MISSING_S, SAMPLE_POINTS)
    ):
        raise CorruptMediaError("no sound decodes")
    return pictures


def _points(first_s: float, last_s: float, count: int) -> Sequence[float]:
    step_s = max(0.0, last_s - first_s) / max(1, count - 1)
    return [first_s + step_s * index for index in range(count)]


def _shown(track: "VideoStream", frame: "VideoFrame") -> tuple[int, int, int]:
    """Width and height in square pixels after rotation, and the clockwise rotation in degrees."""
    rotation_deg = -round(frame.rotation / QUARTER_TURN_DEG) * QUARTER_TURN_DEG % 360
    aspect = float(track.sample_aspect_ratio or 1)
    if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        aspect = 1.0
    width, height = round(frame.width * aspect), frame.height
    return (width, height, rotation_deg) if rotation_deg % 180 == 0 else (height, width, rotation_deg)


def _short_name(container: "InputContainer") -> str:
    names = container.format.name.split(",")
    return "mp4" if "mp4" in names else names[0]
