"""Which sound of a file is heard: passes over silent tracks, and finds stereo whose sum cancels itself; in the child.

A few half seconds are listened to. Only where nothing is heard in them is all of the sound decoded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from madvision_assets.tools.media.container import sounds_from

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from numpy.typing import NDArray

BLOCK_S = 0.5
SAMPLE_BLOCKS = 16
AUDIBLE_POWER = 1e-5  # -50 dBFS, as in ``audio``
CANCELS = 10**-1.5  # the sum is 15 dB below a channel: far more than uncorrelated channels or a centre lose
CANCELLED_SHARE = 0.2  # one of several speakers is enough
FAR_LESS = 0.1
MAX_TRACKS = 32
FULL_SCALE = 32768.0


@dataclass
class Loudness:
    """What is heard of a track, in blocks of half a second.

    Attributes:
        audible: blocks in which some channel is louder than near silence.
        cancelled: of those, blocks in which the sum of all channels is not.
        power: of each channel in the cancelled blocks.
    """

    audible: int = 0
    cancelled: int = 0
    power: dict[int, float] = field(default_factory=dict)

    def add(self, block: "NDArray[np.float32]", mono: "NDArray[np.float32]") -> None:
        """Counts a block: samples by channel, and their sum as ffmpeg mixes it, -1 to 1."""
        import numpy as np

        powers = np.mean(np.square(block), axis=1)
        loudest = float(powers.max(initial=0.0))
        if loudest < AUDIBLE_POWER:
            return
        self.audible += 1
        if float(np.mean(np.square(mono))) < CANCELS * loudest:
            self.cancelled += 1
            for channel, power in enumerate(powers.tolist()):
                self.power[channel] = self.power.get(channel, 0.0) + power

    @property
    def channel(self) -> int | None:
        """The one to hear where the sum cancels too often; None for the sum."""
        if not self.audible or self.cancelled < CANCELLED_SHARE * self.audible:
            return None
        return max(self.power, key=lambda channel: self.power[channel])


def choose_sound(
    container: "InputContainer", tracks: Sequence["AudioStream"], starts_s: Sequence[float]
) -> tuple["AudioStream", int | None]:
    """The track to hear, and the one channel of it where the sum of all cancels.

    The first of ``tracks`` is taken unless another one is heard ten times as long.

    Args:
        container: open.
        tracks: in order of preference, at least one.
        starts_s: where to listen, on the file's own clock.
    """
    tracks = tracks[:MAX_TRACKS]
    sampled = {track.index: _sampled(container, track, starts_s) for track in tracks}
    if _is_heard(sampled[tracks[0].index], sampled):
        return tracks[0], sampled[tracks[0].index].channel
    whole = _listen_to_all(container, tracks)
    chosen = next((track for track in tracks if _is_heard(whole[track.index], whole)), tracks[0])
    return chosen, whole[chosen.index].channel


def _is_heard(one: Loudness, every: dict[int, Loudness]) -> bool:
    return one.audible > 0 and one.audible >= FAR_LESS * max(each.audible for each in every.values())


def _sampled(container: "InputContainer", track: "AudioStream", starts_s: Sequence[float]) -> Loudness:
    found = Loudness()
    for at_s in starts_s:
        end_s = at_s + BLOCK_S
        near = takewhile(lambda frame, end_s=end_s: (frame.time or 0.0) < end_s, sounds_from(container, track, at_s))  # type: ignore[misc]
        _listen(found, (frame for frame in near if (frame.time or 0.0) >= at_s - BLOCK_S))
    return found


def _listen(loudness: Loudness, frames: Iterable["AudioFrame"]) -> None:
    blocks = _Blocks(loudness)
    for frame in frames:
        blocks.feed(frame)
    blocks.close()


def _listen_to_all(container: "InputContainer", tracks: Sequence["AudioStream"]) -> dict[int, Loudness]:
    """All of every track, in one reading of the file."""
    import av

    found = {track.index: Loudness() for track in tracks}
    blocks = {index: _Blocks(loudness) for index, loudness in found.items()}
    container.seek(container.start_time or 0, backward=True)
    for packet in container.demux(*tracks):
        try:
            frames: list[Any] = list(packet.decode())
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            blocks[packet.stream_index].feed(frame)
    for each in blocks.values():
        each.close()
    return found


class _Blocks:
    """Cuts frames of any format into blocks of half a second."""

    def __init__(self, loudness: Loudness) -> None:
        self._loudness = loudness
        self._held: list[tuple[Any, Any]] = []
        self._samples = 0
        self._shape: tuple[Any, ...] = ()
        self._mixers: tuple[Any, Any] | None = None

    def feed(self, frame: "AudioFrame") -> None:
        for block, mono in self._mixed(frame):
            self._held.append((block, mono))
            self._samples += block.shape[1]
            if self._samples >= BLOCK_S * frame.sample_rate:
                self.close()

    def close(self) -> None:
        import numpy as np

        if self._held:
            blocks, monos = zip(*self._held, strict=True)
            self._loudness.add(np.concatenate(blocks, axis=1), np.concatenate(monos))
        self._held, self._samples = [], 0

    def _mixed(self, frame: "AudioFrame") -> Iterator[tuple[Any, Any]]:
        import av
        import numpy as np

        shape = frame.format.name, frame.layout.name, frame.sample_rate
        if shape != self._shape:  # broadcasts switch in the middle
            self.close()
            self._shape = shape
            mixers = [av.AudioResampler(format="s16p", layout=layout) for layout in (frame.layout, "mono")]
            self._mixers = mixers[0], mixers[1]
        if self._mixers is None:
            return
        frame.pts = None
        for whole, mono in zip(*(mixer.resample(frame) for mixer in self._mixers), strict=True):
            planes = [np.asarray(each.to_ndarray(), np.float32) / FULL_SCALE for each in (whole, mono)]
            yield planes[0], planes[1][0]
