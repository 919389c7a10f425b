"""Pictures as JPEG, and a sheet of many that is small enough for metadata."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.tools.media.container import classify_av

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

SHEET_MAX_BYTES = 60_000
SHEET_QUALITIES = (4, 7, 11, 16, 24, 31)
SHEET_SHRINK = 0.75
MIN_CELL_PX = 32
CELL_ASPECT = 16 / 9
GAP_PX = 4
GAP_GREY = 32


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
            sheet = jpeg(grid, quality)
            if len(sheet) <= SHEET_MAX_BYTES:
                return sheet
        if cell_width <= MIN_CELL_PX:
            return sheet
        cell_width = max(MIN_CELL_PX, int(cell_width * SHEET_SHRINK))


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


def jpeg(picture: "VideoFrame", quality: int) -> bytes:
    """A picture in the format ``yuvj420p`` as a JPEG; quality on ffmpeg's scale, 2 is best, 31 worst."""
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
