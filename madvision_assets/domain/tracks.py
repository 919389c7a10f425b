"""Which tracks of a file are used, and how their colours are to be read; chosen once, when the file is probed."""

from madvision_assets.domain.provenance import Value

# ISO/IEC 23091-2, as decoders tell them.
BT709, UNSPECIFIED, BT470BG, SMPTE170M, SMPTE240M, BT2020, BT2020_CL = 1, 2, 5, 6, 7, 9, 10
RGB_MATRIX, FCC, YCGCO, RESERVED = 0, 4, 8, 3
PQ, HLG = 16, 18
HDR_TRANSFERS = (PQ, HLG)
RGB_FORMATS = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8", "xyz", "bayer", "mono")
SD_WIDTH, SD_HEIGHT = 1024, 576  # larger pictures without a tag are BT.709 to every player


class Colour(Value):
    """How the colours of a picture are coded; the numbers are those of ISO/IEC 23091-2, 2 where nothing is said.

    Attributes:
        pixel_format: ffmpeg's name, such as ``yuv420p``.
        matrix: from RGB to luma and chroma.
        primaries: of red, green and blue.
        transfer: the curve.
        full_range: luma from 0 to 255 rather than 16 to 235.
    """

    pixel_format: str
    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = False

    @property
    def is_rgb(self) -> bool:
        """Whether it is coded without luma and chroma."""
        return self.pixel_format.startswith(RGB_FORMATS)

    @property
    def is_hdr(self) -> bool:
        """Whether it is brighter than SDR can show."""
        return self.transfer in HDR_TRANSFERS


class Tracks(Value):
    """The tracks of a file that are used, for words, clips and checks alike.

    Attributes:
        video: number of the picture's stream.
        audio: number of the sound's stream; None without sound.
        video_count: pictures in the file as it came, but for covers and previews.
        audio_count: sounds in the file as it came.
        audio_before: channels of the sounds before the one that is used, in the file as it came.
        channel: the one channel to hear, from 0, where the sum of all cancels itself; None for the sum.
        zero_s: what the file's own clock says where players put time zero, seconds.
        interlaced: whether frames are made of two fields.
        colour: of the picture.
    """

    video: int | None
    audio: int | None
    video_count: int = 1
    audio_count: int = 1
    audio_before: int = 0
    channel: int | None = None
    zero_s: float = 0.0
    interlaced: bool = False
    colour: Colour | None = None


def matrix_by_size(width: int, height: int) -> int:
    """The matrix of a picture without a tag, as players take it: BT.601 up to 1024x576, else BT.709."""
    return SMPTE170M if width <= SD_WIDTH and height <= SD_HEIGHT else BT709
