"""The picture that stands for a clip: of many looked at, a sharp and well exposed one.

Key frames are looked at first, spread over the clip: they are the cheapest to decode, the best encoded, and begin each
shot. A clip of few of them is gone through once more, without the frames that no other needs.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.tools.media import apart
from madvision_assets.tools.media.container import choose_tracks, opened, pictures_from
from madvision_assets.tools.media.frames import jpeg

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_LOOKS, FEWEST_LOOKS = 40, 3
LOOKS_BETWEEN = 12  # where there are too few key frames
# Sharpness is measured on a small picture, where noise and the codec's blocks count little.
SMALL_PX = 320
# Grey levels of standard deviation; a black, white or fading frame has less.
DULL_CONTRAST = 12.0
DULL_WORTH = 0.01
MIDDLE_GREY = 128.0
EXPOSURE_WORTH = 0.5  # of a picture that is all black or white, against one of middle grey
EDGE_SHARE, EDGE_WORTH = 0.05, 0.8  # what begins or ends is seldom what it is about
JPEG_QUALITY = 4  # of ffmpeg's scale: 2 is best, 31 worst


def thumbnail(clip_path: Path, out: Path, width: int = 640) -> None:
    """Writes a JPEG of the best picture in a clip.

    Args:
        clip_path: a video.
        out: the JPEG to write.
        width: of the picture, pixels; the height follows from the clip's shape.

    Raises:
        CorruptMediaError: no frame decodes.
        Failure: what ``container.opened`` raises.
    """
    out.write_bytes(b"".join(apart.bytes_of("thumbnail", clip_path, width=width)))


def best_picture(source: BinaryIO, width: int) -> Iterator[bytes]:
    """The JPEG that ``thumbnail`` writes; in the child."""
    with opened(source) as container:
        best = _best(container)
        height = max(2, round(width * best.height / best.width / 2) * 2)
        yield jpeg(best.reformat(width=width, height=height, format="yuvj420p"), JPEG_QUALITY)


def worth(frame: "VideoFrame") -> float:
    """How well a picture stands for others: sharp (variance of its Laplacian), and neither dark nor burnt out."""
    import numpy as np

    height = max(3, round(SMALL_PX * frame.height / frame.width))
    grey = frame.reformat(width=SMALL_PX, height=height, format="gray").to_ndarray().astype(np.float32)
    edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    exposure = 1 - EXPOSURE_WORTH * abs(float(grey.mean()) - MIDDLE_GREY) / MIDDLE_GREY
    dull = DULL_WORTH if float(grey.std()) < DULL_CONTRAST else 1.0
    return float(edges.var()) * exposure * dull


def _best(container: "InputContainer") -> "VideoFrame":
    track = choose_tracks(container).video
    begin_s, length_s = (container.start_time or 0) / 1e6, max(0.001, (container.duration or 0) / 1e6)
    best: tuple[float, VideoFrame] | None = None
    looks = 0

    def look(frames: "Iterable[VideoFrame]") -> None:
        nonlocal best, looks
        for frame in frames:
            looks += 1
            share = ((frame.time or 0.0) - begin_s) / length_s
            found = worth(frame) * (1.0 if EDGE_SHARE <= share <= 1 - EDGE_SHARE else EDGE_WORTH)
            if best is None or found > best[0]:
                best = found, frame

    track.codec_context.skip_frame = "NONKEY"
    look(_key_frames(container, track, length_s / MOST_LOOKS))
    if looks < FEWEST_LOOKS:
        track.codec_context.skip_frame = "NONREF"
        look(_spread(pictures_from(container, track, begin_s), begin_s, length_s / LOOKS_BETWEEN))
    if best is None:
        track.codec_context.skip_frame = "DEFAULT"
        look(_spread(pictures_from(container, track, begin_s), begin_s, length_s / LOOKS_BETWEEN))
    if best is None:
        raise CorruptMediaError("no picture decodes")
    return best[1]


def _key_frames(container: "InputContainer", track: "VideoStream", apart_s: float) -> "Iterator[VideoFrame]":
    """Key frames that are so far apart; those between are not even decoded."""
    import av

    due_s = float("-inf")
    for packet in container.demux(track):
        ends = packet.size == 0  # what gives out the frames that are held back
        time_s = float(packet.pts * track.time_base) if packet.pts is not None and track.time_base else due_s
        if ends or (packet.is_keyframe and time_s >= due_s):
            try:
                yield from (frame for frame in packet.decode() if isinstance(frame, av.VideoFrame))
            except av.error.InvalidDataError:
                continue
            due_s = time_s + apart_s


def _spread(frames: "Iterable[VideoFrame]", begin_s: float, apart_s: float) -> "Iterator[VideoFrame]":
    due_s = begin_s
    for frame in frames:
        time_s = frame.time or 0.0
        if time_s >= due_s:
            due_s = time_s + apart_s
            yield frame
