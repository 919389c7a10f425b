"""Pictures: a thumbnail that shows something, and a sheet of many that is small enough for metadata."""

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.tools.media import apart
from madvision_assets.tools.media.container import choose_tracks, classify_av, opened, pictures_from

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

LOOK_S = 1.0
LOOK_STEP_S = 0.2
ELSEWHERE = (0.25, 0.5, 0.75)
# Grey levels of standard deviation; a black, white or fading frame has less.
DULL_CONTRAST = 12.0
SMALL_PX = 64
JPEG_QUALITY = 4  # of ffmpeg's scale: 2 is best, 31 worst

SHEET_MAX_BYTES = 60_000
SHEET_QUALITIES = (4, 7, 11, 16, 24, 31)
SHEET_SHRINK = 0.75
MIN_CELL_PX = 32
CELL_ASPECT = 16 / 9
GAP_PX = 4
GAP_GREY = 32


def thumbnail(clip_path: Path, out: Path, at_s: float, width: int = 640) -> None:
    """Writes a JPEG of the frame with the most contrast within a second from ``at_s``.

    Where that second is black, white or plain, frames at a quarter, half and three quarters of the clip compete too.

    Args:
        clip_path: a video.
        out: the JPEG to write.
        at_s: seconds from the clip's start; clamped into it.
        width: of the picture, pixels; the height follows from the clip's shape.

    Raises:
        CorruptMediaError: no frame decodes.
        Failure: what ``container.opened`` raises.
    """
    out.write_bytes(b"".join(apart.bytes_of("thumbnail", clip_path, at_s=at_s, width=width)))


def best_picture(source: BinaryIO, at_s: float, width: int) -> Iterator[bytes]:
    """The JPEG that ``thumbnail`` writes; in the child."""
    with opened(source) as container:
        duration_s = (container.duration or 0) / 1e6
        at_s = min(max(0.0, at_s), max(0.0, duration_s - LOOK_S))
        best = _most_contrast(_look(container, at_s))
        if best is None or _contrast(best) < DULL_CONTRAST:
            others = (frame for share in ELSEWHERE for frame in _look(container, share * duration_s, look_s=0.0))
            best = _most_contrast([*([best] if best else []), *others])
        if best is None:
            raise CorruptMediaError("no picture decodes")
        height = max(2, round(width * best.height / best.width / 2) * 2)
        picture = best.reformat(width=width, height=height, format="yuvj420p")
        yield _jpeg(picture, JPEG_QUALITY)


def contact_sheet(jpegs: Sequence[bytes], columns: int = 4, cell_width: int = 320) -> bytes:
    """One JPEG of many, row by row, each fitted into a 16:9 cell; at most about 60 kB, coarser or smaller if need be.

    Args:
        jpegs: at least one.
        columns: cells in a row; fewer where there are fewer pictures.
        cell_width: of a cell, pixels.

    Raises:
        ValueError: there are no pictures.
        CorruptMediaError: one of them is no JPEG.
    """
    if not jpegs:
        raise ValueError("a contact sheet needs at least one picture")
    pictures = [_decode_jpeg(jpeg) for jpeg in jpegs]
    sheet = b""
    while True:
        grid = _grid(pictures, min(columns, len(pictures)), cell_width)
        for quality in SHEET_QUALITIES:
            sheet = _jpeg(grid, quality)
            if len(sheet) <= SHEET_MAX_BYTES:
                return sheet
        if cell_width <= MIN_CELL_PX:
            return sheet
        cell_width = max(MIN_CELL_PX, int(cell_width * SHEET_SHRINK))


def _look(container: "InputContainer", at_s: float, *, look_s: float = LOOK_S) -> "Iterator[VideoFrame]":
    """Frames from a time on, some steps apart; the last before it where there is none."""
    begin_s = (container.start_time or 0) / 1e6 + at_s
    due_s, before, found = begin_s, None, False
    for frame in pictures_from(container, choose_tracks(container).video, begin_s):
        time_s = frame.time or 0.0
        if time_s > begin_s + look_s and (found or before is not None):
            break
        if time_s >= due_s:
            due_s, found = time_s + LOOK_STEP_S, True
            yield frame
        elif not found:
            before = frame
    if before is not None and not found:
        yield before


def _most_contrast(frames: "Iterable[VideoFrame]") -> "VideoFrame | None":
    return max(frames, key=_contrast, default=None)


def _contrast(frame: "VideoFrame") -> float:
    return float(frame.reformat(width=SMALL_PX, height=SMALL_PX, format="gray").to_ndarray().std())


def _decode_jpeg(jpeg: bytes) -> "VideoFrame":
    import av

    decoder = av.CodecContext.create("mjpeg", "r")
    try:
        frames = [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise classify_av(error) from error
    if not frames or not isinstance(frames[0], av.VideoFrame):
        raise CorruptMediaError("it is no JPEG")
    return frames[0]


def _grid(pictures: "Sequence[VideoFrame]", columns: int, cell_width: int) -> "VideoFrame":
    import av
    import numpy as np

    cell_height = round(cell_width / CELL_ASPECT)
    rows = math.ceil(len(pictures) / columns)
    shape = (rows * (cell_height + GAP_PX) + GAP_PX, columns * (cell_width + GAP_PX) + GAP_PX, 3)
    canvas = np.full([side + side % 2 for side in shape[:2]] + [3], GAP_GREY, np.uint8)
    for index, picture in enumerate(pictures):
        fitted = _fitted(picture, cell_width, cell_height)
        top = GAP_PX + index // columns * (cell_height + GAP_PX) + (cell_height - fitted.shape[0]) // 2
        left = GAP_PX + index % columns * (cell_width + GAP_PX) + (cell_width - fitted.shape[1]) // 2
        canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return av.VideoFrame.from_ndarray(canvas, format="rgb24").reformat(format="yuvj420p")


def _fitted(picture: "VideoFrame", width: int, height: int) -> "NDArray[Any]":
    scale = min(width / picture.width, height / picture.height)
    size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
    return picture.reformat(width=size[0], height=size[1], format="rgb24").to_ndarray()


def _jpeg(picture: "VideoFrame", quality: int) -> bytes:
    import av
    from av.video.codeccontext import VideoCodecContext

    encoder = av.CodecContext.create("mjpeg", "w")
    if not isinstance(encoder, VideoCodecContext):
        raise TypeError("mjpeg is a video codec")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuvj420p"
    encoder.options = {"qmin": str(quality), "qmax": str(quality)}
    encoder.framerate = Fraction(1)
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
