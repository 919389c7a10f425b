"""Smart cutting: only the ends of a clip are coded anew, what lies between is copied; runs in the sandboxed child.

``smart_plan`` decides which frames, ``smart_codec`` encodes them, ``mp4`` writes the file, ``smart_check`` looks at it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.tools.media import mp4, smart_check, smart_sound
from madvision_assets.tools.media.container import choose_tracks, only, opened, pictures_from
from madvision_assets.tools.media.smart_codec import FINE, FINEST, Codec, codec_of
from madvision_assets.tools.media.smart_plan import Coded, Doubt, parts

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SEEK_MARGIN_S = 1.0
OFF_GRID_FRAMES = 0.25
AFTER_FRAMES = 32  # more than any codec's reordering depth
MIN_TIMESCALE = 10_000
KEPT_AROUND = 3  # frames at each side of a seam that are compared


@dataclass(frozen=True)
class Order:
    """What to cut, as JSON can hold it; see ``cut.CutPlan``.

    Attributes:
        tracks: numbers of picture and sound.
        start_s: where the clip begins, seconds of the file's own clock.
        frames: how many the clip has.
        fps: its rate, numerator and denominator.
        size_px: width and height.
    """

    tracks: tuple[int, int]
    start_s: float
    frames: int
    fps: tuple[int, int]
    size_px: tuple[int, int]

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(*self.fps)

    def index(self, time_s: float) -> float:
        """Which of the clip's frames is shown at a time of the file's own clock."""
        return (time_s - self.start_s) * self.fps[0] / self.fps[1]


def cut(source: BinaryIO, beside: BinaryIO, **order: Any) -> dict[str, Any]:
    """Writes a clip into the file ``beside``, and checks it; ``doubt`` says why there is none.

    Raises:
        Failure: what ``container.opened`` raises.
    """
    try:
        return _cut(source, beside, Order(**order))
    except Doubt as doubt:
        return {"doubt": str(doubt)}


def _cut(source: BinaryIO, out: BinaryIO, order: Order) -> dict[str, Any]:
    with opened(source) as container:
        tracks = choose_tracks(container, *order.tracks)
        video, sound = tracks.video, tracks.audio
        if sound is None:
            raise Doubt("it has no sound track")
        context = video.codec_context
        if (context.width, context.height) != tuple(order.size_px):
            raise Doubt(f"it is coded in {context.width}x{context.height}")
        context.thread_count = 1
        if context.pix_fmt is None:  # it begins so late that opening the file did not reach it
            next(pictures_from(container, video, order.start_s), None)
        samples = round(Fraction(order.frames * smart_sound.RATE_HZ) / order.rate)
        sounds: mp4.Track | None = None
        found: dict[str, Any] = {}
        for quantiser in (FINE, FINEST):
            picture = _Picture(container, video, order, codec_of(context, order.rate), quantiser)
            made = picture.made()
            if sounds is None:
                with only(container, sound.index):
                    sounds = smart_sound.track(container, sound, order.start_s, samples)
            out.seek(0)
            out.truncate()
            mp4.write(out, [made, sounds], source)
            out.flush()
            found = smart_check.checked(out, order.frames, order.rate, picture.parts, (made, sounds), picture.kept)
            if found["psnr_db"] >= smart_check.MIN_PSNR_DB:
                return found
        raise Doubt(f"what is coded anew is {found['psnr_db']:.1f} dB from the source")


class _Picture:
    """The picture of a clip."""

    def __init__(
        self, container: "InputContainer", video: "VideoStream", order: Order, codec: Codec, quantiser: str
    ) -> None:
        self._container, self._video, self._order = container, video, order
        self._codec, self._quantiser = codec, quantiser
        self._tick_s = float(video.time_base or 1)
        self.kept: dict[int, VideoFrame] = {}

    def made(self) -> mp4.Track:
        """All samples; frames to compare with are in ``kept`` then."""
        order, codec = self._order, self._codec
        with only(self._container, self._video.index):
            coded = self._coded()
            self.parts = cut_parts = parts(coded, order.frames)
            head = self._anew(coded, cut_parts.head_from, 0, cut_parts.head)
            tail = self._anew(coded, cut_parts.tail_from, cut_parts.tail, order.frames)
        if head and codec.suffix:
            head[-1] += codec.suffix
        copied = [
            mp4.Sample(each.size, pieces=each.pieces, key=each.is_key, shift=each.index - cut_parts.head - n)
            for n, each in enumerate(cut_parts.copied)
        ]
        if head and codec.prefix:
            first = copied[0]
            size = first.size + len(codec.prefix)
            copied[0] = mp4.Sample(size, pieces=(codec.prefix, *first.pieces), shift=first.shift)
        rate = order.rate
        scale = -(-MIN_TIMESCALE // rate.numerator)
        return mp4.Track(
            b"vide", rate.numerator * scale, rate.denominator * scale, codec.entries(),
            [*self._samples(head), *copied, *self._samples(tail)], size_px=order.size_px,
        )  # fmt: skip

    def _samples(self, anew: Sequence[bytes]) -> list[mp4.Sample]:
        entry = self._codec.encoded_entry
        return [mp4.Sample(len(data), data, key=n == 0, entry=entry) for n, data in enumerate(anew)]

    def _coded(self) -> list[Coded]:
        """The source's frames around the clip, in decoding order."""
        coded = list(self._read())
        begin = [n for n, each in enumerate(coded) if each.is_key and each.index <= 0]
        if not begin or not coded[0].is_key:
            raise Doubt("no key frame lies before the start")
        return coded[begin[-1] :]

    def _read(self) -> Iterator[Coded]:
        for packet in self._packets_from(round((self._order.start_s - SEEK_MARGIN_S) / self._tick_s)):
            index = self._index(packet)
            if packet.is_discard or packet.is_corrupt or packet.pos is None or packet.dts is None:
                raise Doubt("an edit list or damage leaves frames out")
            if packet.has_sidedata("new_extradata"):  # one description of many, and a clip would have the first alone
                raise Doubt("its parameter sets change")
            yield self._looked_at(packet, index)
            if self._index_of(packet.dts) > self._order.frames + AFTER_FRAMES:
                return

    def _looked_at(self, packet: "Packet[VideoStream]", index: int) -> Coded:
        data, begin = bytes(packet), packet.pos or 0
        try:
            seen = self._codec.look(data)
        except ValueError as error:
            raise Doubt(str(error)) from error
        kept = [each if isinstance(each, bytes) else data[slice(*each)] for each in seen.pieces]
        placed = tuple(e if isinstance(e, bytes) else (begin + e[0], begin + e[1]) for e in seen.pieces)
        return Coded(
            index, begin, placed, sum(map(len, kept)), packet.is_keyframe, seen.is_clean and packet.is_keyframe,
            packet.dts or 0, hashlib.sha256(b"".join(kept)).digest(),
        )  # fmt: skip

    def _packets_from(self, ticks: int) -> "Iterator[Packet[VideoStream]]":
        self._container.seek(ticks, stream=self._video, backward=True)
        yield from (packet for packet in self._container.demux(self._video) if packet.size)

    def _index_of(self, ticks: int) -> float:
        return self._order.index(ticks * self._tick_s)

    def _index(self, packet: "Packet[VideoStream]") -> int:
        if packet.pts is None:
            raise Doubt("a frame has no time")
        place = self._index_of(packet.pts)
        if abs(place - round(place)) > OFF_GRID_FRAMES:
            raise Doubt("its frames do not lie on the clip's grid")
        return round(place)

    def _anew(self, coded: Sequence[Coded], begin: int, first: int, end: int) -> list[bytes]:
        """Samples of the frames from ``first`` to before ``end``, coded anew; keeps some around to compare with."""
        frames = self._wanted(coded, begin, first, end)
        if first == end:
            for _ in frames:
                pass
            return []
        made = list(self._codec.encoded(frames, self._quantiser))
        if len(made) != end - first:
            raise Doubt(f"{len(made)} of {end - first} frames were coded anew")
        return made

    def _wanted(self, coded: Sequence[Coded], begin: int, first: int, end: int) -> "Iterator[VideoFrame]":
        """The source's frames from ``first`` to before ``end``; the last one again where its picture ends before."""
        until = min(self._order.frames, end + KEPT_AROUND)
        keep = {first, first + 1, end - 2, end - 1, *range(first - KEPT_AROUND, first), *range(end, until)}
        previous, count = None, 0
        since = max(0, first - KEPT_AROUND, min(first, coded[begin].index))
        for index, frame in self._decoded(coded, begin, since, until):
            if index in keep:
                self.kept.setdefault(index, frame)
            if index < end:
                previous = frame
            if first <= index < end:
                count += 1
                yield frame
        if previous is not None:
            yield from [previous] * (end - first - count)

    def _decoded(self, coded: Sequence[Coded], begin: int, first: int, end: int) -> "Iterator[tuple[int, VideoFrame]]":
        """Frames with their index from ``first`` to before ``end``, decoded from a key frame on."""
        context = self._video.codec_context
        context.flush_buffers()
        expected = first
        for frame in self._frames(coded[begin], first):
            index = round(self._index_of(frame.pts or 0))
            if index < first:
                continue
            if index != expected or frame.is_corrupt or frame.interlaced_frame:
                raise Doubt(f"frame {index} does not decode as it should")
            expected += 1
            yield index, frame
            if expected >= end:
                return

    def _frames(self, key: Coded, first: int) -> "Iterator[VideoFrame]":
        """All that decodes from a key frame on; before ``first`` only what others refer to."""
        context, started = self._video.codec_context, False
        for packet in self._packets_from(key.ticks):
            started = started or packet.pos == key.position
            if started:
                context.skip_frame = "NONREF" if self._index(packet) < first else "DEFAULT"
                yield from packet.decode()
        yield from context.decode(None)
