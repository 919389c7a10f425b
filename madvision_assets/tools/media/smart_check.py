"""The self-check of a smart clip: packets against the source's, seams and edges decoded and compared with its frames.

Runs in the sandboxed child, on the file as it was written. Every difference is a doubt.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.tools.media import mp4
from madvision_assets.tools.media.container import READ_GUARD, only
from madvision_assets.tools.media.smart_plan import Doubt, Parts

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

MIN_PSNR_DB = 40.0
SAME_DB = 100.0  # of equal pictures, in place of infinity
MAX_GAP_FRAMES = 1.5
MAX_OFFSET_S = 0.021
# Its index tells all that is needed; frames are decoded below.
LITTLE = {"probesize": "32", "analyzeduration": "0"}
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}


def checked(
    out: BinaryIO,
    frames: int,
    fps: Fraction,
    parts: Parts,
    written: Sequence[mp4.Track],
    kept: "Mapping[int, VideoFrame]",
) -> dict[str, Any]:
    """What was found, in the fields of ``cut.Smart``.

    Args:
        out: the clip.
        frames: how many it shall have.
        fps: its rate.
        parts: what was copied.
        written: picture and sound.
        kept: frames of the source, by their index in the clip, near seams and edges.

    Raises:
        Doubt: it differs from its plan.
    """
    import av

    try:
        with _opened(out, {"ignore_editlist": "1"}) as container:
            _starts(container)
        with _opened(out, {}) as container:
            found = _packets(container, frames, fps, parts, written)
            with only(container, container.streams.video[0].index):
                worst_db = min(_compared(container, fps, parts, kept), default=0.0)
    except av.error.FFmpegError as error:
        raise Doubt(f"it does not decode ({type(error).__name__})") from error
    return found | {"psnr_db": round(worst_db, 2), "copied": len(parts.copied)}


def _opened(out: BinaryIO, options: dict[str, str]) -> "InputContainer":
    import av

    out.seek(0)
    return av.open(out, mode="r", options=dict(READ_GUARD) | LITTLE | options)


def _packets(
    container: "InputContainer", frames: int, fps: Fraction, parts: Parts, written: Sequence[mp4.Track]
) -> dict[str, Any]:
    """Starts, gaps and number of the frames, and the bytes of all."""
    video, sound = container.streams.video[0], container.streams.audio[0]
    times: list[float] = []
    scale, sounds = float(video.time_base or 1), 0
    for packet in container.demux(video, sound):
        if not packet.size or packet.pts is None:
            continue
        if packet.stream_index == sound.index:
            _same(bytes(packet), sounds, written[1])
            sounds += 1
            continue
        if not times and not (packet.is_keyframe and packet.pts == 0):
            raise Doubt("it does not begin with a key frame at 0")
        _same(bytes(packet), len(times), written[0], parts)
        times.append(packet.pts * scale)
    shown = sorted(times)
    if len(times) != frames or sounds != len(written[1].samples):
        raise Doubt(f"it has {len(times)} frames instead of {frames}, and {sounds} packets of sound")
    gap_s = max((b - a for a, b in pairwise(shown)), default=0.0)
    if gap_s * fps > MAX_GAP_FRAMES:
        raise Doubt(f"a frame lasts {gap_s:.3f} s")
    # The demuxer knows what the edit list leaves out.
    offset_s = float((sound.start_time or 0) * (sound.time_base or 0)) - shown[0]
    if abs(offset_s) > MAX_OFFSET_S:
        raise Doubt(f"its sound starts {offset_s:+.3f} s beside its picture")
    return {
        "frames": len(times), "audio_video_offset_s": round(offset_s, 6), "duration_s": round(float(frames / fps), 6),
        "width": video.codec_context.width, "height": video.codec_context.height,
    }  # fmt: skip


def _same(data: bytes, number: int, written: mp4.Track, parts: Parts | None = None) -> None:
    """A frame has the bytes that were written, or those that it has in the source."""
    sample = written.samples[number] if number < len(written.samples) else mp4.Sample(0, b"")
    if sample.data is not None or parts is None:
        is_same = data == sample.data
    else:
        taken = parts.copied[number - parts.head]
        own = data[sample.size - taken.size :]  # after parameter sets that were put before it
        is_same = hashlib.sha256(own).digest() == taken.sha256
    if not is_same:
        raise Doubt(f"frame {number} is not as it was written, or not as in the source")


def _starts(container: "InputContainer") -> None:
    """Where players that ignore edit lists begin."""
    video, sound = container.streams.video[0], container.streams.audio[0]
    starts_s = [float((each.start_time or 0) * (each.time_base or 0)) for each in (video, sound)]
    if max(map(abs, starts_s)) > MAX_OFFSET_S:
        raise Doubt("without its edit list it begins elsewhere")


def _compared(
    container: "InputContainer", fps: Fraction, parts: Parts, kept: "Mapping[int, VideoFrame]"
) -> Iterator[float]:
    """How near each kept frame is, dB."""
    video = container.streams.video[0]
    video.codec_context.thread_count = 1
    video.codec_context.options = STRICT
    front = {index for index in kept if index < parts.head + MAX_HEAD_KEPT}
    for wanted in (front, set(kept) - front):
        if not wanted:
            continue
        container.seek(round(min(wanted) / fps / (video.time_base or 1)), stream=video, backward=True)
        missing = set(wanted)
        for index, frame in _frames(container, fps, min(wanted)):
            if frame.is_corrupt:
                raise Doubt(f"frame {index} decodes with an error")
            if index in missing:
                missing.discard(index)
                yield psnr_db(frame, kept[index])
            if not missing:
                break
        if missing:
            raise Doubt(f"frame {min(missing)} does not decode")


MAX_HEAD_KEPT = 8


def _frames(container: "InputContainer", fps: Fraction, first: int) -> "Iterator[tuple[int, VideoFrame]]":
    """Frames from an index on, one after the other."""
    video = container.streams.video[0]
    context, expected, rate = video.codec_context, first, float(fps)
    scale = float(video.time_base or 1) * rate
    for packet in container.demux(video):
        if packet.pts is not None:
            at = round(packet.pts * scale)
            context.skip_frame = "NONREF" if at < first else "DEFAULT"
        for frame in packet.decode():
            index = round((frame.pts or 0) * scale)
            if index < first:
                continue
            if index != expected:
                raise Doubt(f"frame {index} comes where {expected} should")
            expected += 1
            yield index, frame


def psnr_db(one: "VideoFrame", other: "VideoFrame") -> float:
    """Peak signal to noise of the luma of two pictures of one form."""
    import numpy as np

    first, second = _luma(one), _luma(other)
    if first.shape != second.shape:
        return 0.0
    error = np.subtract(first, second, dtype=np.float32).ravel()
    mean = float(np.dot(error, error)) / error.size
    peak = 255.0 if first.dtype == np.uint8 else 1023.0
    return min(SAME_DB, 10 * math.log10(peak * peak / mean)) if mean else SAME_DB


def _luma(frame: "VideoFrame") -> "NDArray[Any]":
    import numpy as np

    plane = frame.planes[0]
    kind = np.uint8 if frame.format.components[0].bits == 8 else np.dtype("<u2")  # noqa: PLR2004
    rows: NDArray[Any] = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)
    return rows[:, : plane.width]
