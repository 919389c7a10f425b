"""From any picture to progressive 8-bit SDR, by conversions whose source and target are both named.

Left to themselves, ffmpeg's filters take RGB for BT.601 whatever its size and leave the result without a tag, so that
players show other colours. What a file does not say is taken as players take it, by size, and said in the output.
"""

from typing import Any

from madvision_assets.domain.tracks import (
    BT709,
    BT2020,
    BT2020_CL,
    FCC,
    RESERVED,
    RGB_MATRIX,
    SMPTE240M,
    UNSPECIFIED,
    YCGCO,
    Colour,
    Tracks,
    matrix_by_size,
)

UNKNOWN = (UNSPECIFIED, RESERVED)
# Players do not agree on these, or know them not at all.
CONVERTED = (YCGCO, BT2020, BT2020_CL)
SCALE_MATRIX = {BT709: "bt709", FCC: "fcc", SMPTE240M: "smpte240m"}  # all others are BT.601
TO_LINEAR = {"transfer": "linear", "npl": 100}
TO_BT709 = {"transfer": "bt709", "matrix": "bt709", "primaries": "bt709", "range": "tv"}
# Fields are woven into frames in pairs, so the rate and the times of the frames stay; frames without fields pass.
DEINTERLACE = {"mode": "send_frame", "parity": "auto", "deint": "interlaced"}


def deinterlaced(stream: Any, tracks: Tracks) -> Any:
    """The picture with whole frames; to be done before it is scaled and before its rate is changed."""
    return stream.filter("bwdif", **DEINTERLACE) if tracks.interlaced else stream


def to_sdr(stream: Any, colour: Colour | None, width: int | str, height: int | str, size: tuple[int, int]) -> Any:
    """The picture scaled, as progressive yuv420p of limited range, with every tag set.

    Args:
        stream: of ffmpeg-python.
        colour: of the source; None where nothing is known of it.
        width: of the output, pixels or an expression of ``scale``.
        height: likewise.
        size: the source's width and height, by which what is not tagged is taken.
    """
    source = named(colour or Colour(pixel_format="yuv420p"), *size)
    target = {"color_primaries": BT709, "color_trc": BT709, "colorspace": BT709}
    stream = stream.filter("setparams", **_tags(source))
    if source.is_hdr or source.matrix in CONVERTED:
        stream = stream.filter("scale", width, height, flags="bicubic")
        if source.is_hdr:
            stream = stream.filter("zscale", **TO_LINEAR).filter("format", "gbrpf32le")
            stream = stream.filter("zscale", primaries="bt709").filter("tonemap", tonemap="hable", desat=0)
        stream = stream.filter("zscale", **TO_BT709)
    else:
        matrix = matrix_by_size(*size) if source.is_rgb else source.matrix
        into: dict[str, Any] = {"out_color_matrix": SCALE_MATRIX.get(matrix, "bt601"), "out_range": "tv"}
        if not source.is_rgb:
            into |= {"in_color_matrix": into["out_color_matrix"], "in_range": "pc" if source.full_range else "tv"}
        stream = stream.filter("scale", width, height, flags="bicubic+accurate_rnd+full_chroma_int", **into)
        target = {"color_primaries": source.primaries, "color_trc": source.transfer, "colorspace": matrix}
    return stream.filter("format", "yuv420p").filter("setparams", range="tv", field_mode="prog", **target)


def named(colour: Colour, width: int, height: int) -> Colour:
    """The colours with nothing left open, as players take what is not said."""
    sdr = BT709 if colour.is_rgb else matrix_by_size(width, height)
    default = BT2020 if colour.is_hdr else sdr
    matrix = RGB_MATRIX if colour.is_rgb else _or(colour.matrix, default)
    if not colour.is_rgb and matrix == RGB_MATRIX:  # said of luma and chroma, it cannot be meant
        matrix = default
    curve = BT709 if default == BT2020 else default
    return colour.model_copy(
        update={
            "matrix": matrix,
            "primaries": _or(colour.primaries, default),
            "transfer": _or(colour.transfer, curve),
            "full_range": colour.full_range or colour.is_rgb,
        }
    )


def _or(value: int, default: int) -> int:
    return default if value in (*UNKNOWN, 0) else value


def _tags(colour: Colour) -> dict[str, int | str]:
    matrix, range_ = colour.matrix, "pc" if colour.full_range else "tv"
    return {
        "colorspace": matrix, "color_primaries": colour.primaries, "color_trc": colour.transfer, "range": range_,
    }  # fmt: skip
