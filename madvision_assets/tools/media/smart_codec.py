"""What smart cutting knows of each codec: parameter sets, clean key frames, and an encoder that matches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, cast

from madvision_assets.tools.media import kept_units, mp4, nal
from madvision_assets.tools.media.smart_plan import Doubt, Looked

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

# One thread, no look-ahead, no reordering; psychovisual tricks look well and measure badly at the seam.
X264 = {"preset": "ultrafast", "tune": "psnr"}
X265 = {"preset": "ultrafast", "tune": "psnr"}
X265_PARAMETERS = (
    "log-level=none:info=0:repeat-headers=1:bframes=0:keyint=-1:open-gop=0:scenecut=0:pools=none:frame-threads=1:"
    "wpp=0:rc-lookahead=0:hrd=0"
)
AVC_PROFILES = {66: "baseline", 77: "main", 88: "main", 100: "high"}
FINE, FINEST = "21", "12"  # constant quantisers: the second where the first is not near enough to the source


class Codec(Protocol):
    """A codec that clips are cut in without coding all of it anew."""

    def look(self, data: bytes) -> Looked:
        """Whether copying may begin with this key frame, and what of it is copied; looks through its units.

        Raises:
            Doubt: it has parameter sets of its own, or is damaged.
            ValueError: it is damaged.
        """

    def encoded(self, frames: "Iterable[VideoFrame]", quantiser: str) -> Iterator[bytes]:
        """Samples of these frames, the first of which is a clean key frame, without reordering."""

    def entries(self) -> Sequence[bytes]:
        """Sample descriptions; after all is encoded."""

    @property
    def encoded_entry(self) -> int:
        """Number of the sample description of what is encoded."""

    @property
    def prefix(self) -> bytes:
        """What goes before the first copied frame."""

    @property
    def suffix(self) -> bytes:
        """What goes after the last frame of the head."""


def codec_of(context: "VideoCodecContext", fps: Fraction) -> Codec:
    """The codec of a track.

    Raises:
        Doubt: it is none that is copied.
    """
    record = context.extradata
    if not record:
        raise Doubt("its parameter sets are not in the index")
    try:
        if context.name == "h264":
            return Avc(context, fps, nal.avc_parameters(record))
        if context.name == "hevc":
            return Hevc(context, fps, nal.hevc_parameters(record))
    except ValueError as error:
        raise Doubt(f"its parameter sets cannot be read ({error})") from error
    raise Doubt(f"{context.name} is coded anew")


def _encoder(context: "VideoCodecContext", fps: Fraction, name: str, options: dict[str, str]) -> "VideoCodecContext":
    import av

    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = context.width, context.height, context.pix_fmt
    encoder.framerate, encoder.time_base = fps, 1 / fps
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.color_primaries, encoder.color_trc = context.color_primaries, context.color_trc
    encoder.colorspace, encoder.color_range = context.colorspace, context.color_range
    encoder.thread_count, encoder.gop_size, encoder.max_b_frames = 1, 1 << 20, 0
    encoder.options = options
    return cast("VideoCodecContext", encoder)


def _packets(encoder: "VideoCodecContext", frames: "Iterable[VideoFrame]") -> Iterator[bytes]:
    from av.video.frame import PictureType

    for number, frame in enumerate(frames):
        frame.pts, frame.time_base, frame.pict_type = number, encoder.time_base, PictureType.NONE
        for packet in encoder.encode(frame):
            yield bytes(packet)
    for packet in encoder.encode(None):
        yield bytes(packet)


def _colour(context: "VideoCodecContext") -> tuple[int, int, int]:
    return int(context.color_primaries), int(context.color_trc), int(context.colorspace)


@dataclass
class Avc:
    """H.264: what is encoded has parameter sets under a number of its own, beside the source's, so that both hold."""

    context: "VideoCodecContext"
    fps: Fraction
    parameters: nal.Parameters

    def __post_init__(self) -> None:  # noqa: D105 - as in dataclasses
        context, header = self.context, self.parameters.header
        if (
            context.pix_fmt != "yuv420p"
            or header[0] not in AVC_PROFILES
            or self.parameters.length_bytes != nal.LENGTH_BYTES
        ):
            raise Doubt(f"H.264 of profile {header[0]}, {context.pix_fmt}, is coded anew")
        used = nal.avc_ids(self.parameters.sets)
        free = [number for number in range(1, nal.MAX_ID + 1) if number not in used]
        if not free or -1 in used:
            raise Doubt("no number is left for parameter sets")
        self._number = free[0]
        self._own: list[bytes] = []

    def look(self, data: bytes) -> Looked:
        """Only an instantaneous refresh may change the parameter sets."""
        kinds, units = set(), list(nal.units(data))
        for unit in units:
            kind = nal.avc_type(unit)
            if kind in (nal.AVC_SPS, nal.AVC_PPS) and unit.rstrip(b"\0") not in self.parameters.sets:
                raise Doubt("its parameter sets change")
            kinds.add(kind)
        if not kinds.intersection(nal.AVC_PICTURES):
            raise Doubt("a frame without a picture")
        return Looked(nal.AVC_IDR in kinds, kept_units.pieces(units, kept_units.AVC))

    def encoded(self, frames: "Iterable[VideoFrame]", quantiser: str) -> Iterator[bytes]:
        """By x264."""
        profile = AVC_PROFILES[self.parameters.header[0]]
        level = f"{self.parameters.header[2] / 10:.1f}"
        options = X264 | {
            "profile": profile, "level": level, "qp": quantiser, "x264-params": f"sps-id={self._number}",
        }  # fmt: skip
        for data in _packets(_encoder(self.context, self.fps, "libx264", options), frames):
            units = nal.from_start_codes(data)
            found = [unit for unit in units if nal.avc_type(unit) not in (nal.AVC_SEI, nal.AVC_AUD)]
            sets = [unit for unit in found if nal.avc_type(unit) in (nal.AVC_SPS, nal.AVC_PPS)]
            self._own += [each for each in sets if each not in self._own]
            yield nal.with_lengths(found)

    def entries(self) -> Sequence[bytes]:
        """One for both."""
        record = nal.avc_box(self.parameters.header, (*self.parameters.sets, *self._own), self.parameters.extension)
        return [mp4.video_entry(b"avc1", (self.context.width, self.context.height), record, _colour(self.context))]

    encoded_entry = 1
    prefix = b""
    suffix = b""


@dataclass
class Hevc:
    """HEVC: x265 knows one number for parameter sets only; they stand in two descriptions, and where they change."""

    context: "VideoCodecContext"
    fps: Fraction
    parameters: nal.Parameters

    def __post_init__(self) -> None:  # noqa: D105 - as in dataclasses
        if self.context.pix_fmt not in ("yuv420p", "yuv420p10le") or self.parameters.length_bytes != nal.LENGTH_BYTES:
            raise Doubt(f"HEVC, {self.context.pix_fmt}, is coded anew")
        self._own: list[bytes] = []

    def look(self, data: bytes) -> Looked:
        """After an end of sequence a clean random access begins anew, once what is shown before it is left out."""
        kinds, units = set(), list(nal.units(data))
        for unit in units:
            kind = nal.hevc_type(unit)
            if kind in (nal.HEVC_VPS, nal.HEVC_SPS, nal.HEVC_PPS) and unit not in self.parameters.sets:
                raise Doubt("its parameter sets change")
            kinds.add(kind)
        if not any(kind < nal.HEVC_PICTURES for kind in kinds):
            raise Doubt("a frame without a picture")
        is_clean = bool(kinds.intersection((*nal.HEVC_IDR, nal.HEVC_CRA)))
        return Looked(is_clean, kept_units.pieces(units, kept_units.HEVC))

    def encoded(self, frames: "Iterable[VideoFrame]", quantiser: str) -> Iterator[bytes]:
        """By x265."""
        is_deep = self.context.pix_fmt != "yuv420p"
        options = X265 | {
            "profile": "main10" if is_deep else "main", "x265-params": f"{X265_PARAMETERS}:qp={quantiser}",
        }  # fmt: skip
        for data in _packets(_encoder(self.context, self.fps, "libx265", options), frames):
            found = [
                unit for unit in nal.from_start_codes(data) if nal.hevc_type(unit) not in (*nal.HEVC_SEI, nal.HEVC_AUD)
            ]
            sets = [u for u in found if nal.hevc_type(u) in (nal.HEVC_VPS, nal.HEVC_SPS, nal.HEVC_PPS)]
            self._own += [each for each in sets if each not in self._own]
            yield nal.with_lengths(found)

    def entries(self) -> Sequence[bytes]:
        """The source's, and that of what is encoded."""
        depth = 8 if self.context.pix_fmt == "yuv420p" else 10
        size = self.context.width, self.context.height
        records = [nal.hevc_box(sets, depth) for sets in (self.parameters.sets, self._own) if sets]
        return [mp4.video_entry(b"hvc1", size, record, _colour(self.context)) for record in records]

    encoded_entry = 2

    @property
    def prefix(self) -> bytes:
        """The source's parameter sets, which those of the head have replaced."""
        return nal.with_lengths(self.parameters.sets)

    @property
    def suffix(self) -> bytes:
        """An end of sequence."""
        return nal.with_lengths([bytes((nal.HEVC_EOS << 1, 1))])
