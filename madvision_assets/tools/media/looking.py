"""Looks at a clip: where shots begin, faces a few times a second, and how mouths move; runs in the sandboxed child."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.domain.faces import MIN_DIFFERENCE, cuts
from madvision_assets.tools.media import detector
from madvision_assets.tools.media.container import choose_tracks, colour_of, opened, pictures_from

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

LOOKS_PER_S = 4.0
I_FRAME = 1  # av.video.frame.PictureType.I
DETECTOR_PX = 320  # the longer side of the picture that the detector gets
SMALL_PX = 144  # likewise, of the picture by which shots and movement are told
CELLS = 3  # a side: a cut changes all of the picture's grey levels, and not those of one corner
LEVELS = 16
MOVED = 6.0  # grey levels by which a block of the small picture moved
BLOCK_PX = 8
AROUND_FACE = (1.5, 1.0, 1.5, 6.0)  # of its size, left, above, right, below: shoulders and hands go with it
MOUTH = (0.2, 0.62, 0.6, 0.36)  # of the box: left, top, width, height
BROW = (0.2, 0.15, 0.6, 0.36)  # moves with the head, and not with speech
PATCH_PX = 20
FULL_SCALE = 32768.0
SPARE_LOOKS = 10  # for new shots, beside as many as there are others


@dataclass
class _Watch:
    """A face since the last look: its box, and how much its mouth moved."""

    row: list[float]
    moved: float = 0.0
    times: int = 0


@dataclass
class _State:
    every: int
    net: Any
    looks: list[dict[str, Any]] = field(default_factory=list)
    watches: list[_Watch] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # of the frames that were decoded
    whole: list[bool] = field(default_factory=list)  # whether each is coded by itself
    differences: list[float] = field(default_factory=list)  # of each from the one before
    histogram: "NDArray[np.float64] | None" = None
    before: "NDArray[np.int16] | None" = None  # the small picture of the look before
    luma: "NDArray[np.uint8] | None" = None  # of the frame before
    loudness: list[tuple[float, float]] = field(default_factory=list)  # time, mean square


def looked_at(source: BinaryIO, looks_per_s: float = LOOKS_PER_S) -> dict[str, Any]:
    """What ``domain.faces.Seen`` holds, and the fields of ``domain.tracks.Colour`` as ``colour``.

    Frames on which no other depends are passed over, and blocks are not smoothed: half the work, and faces are seen all
    the same. Where a shot may begin with such a frame, those around are decoded after all.

    Args:
        source: a clip, of one frame rate throughout.
        looks_per_s: how often faces are looked for.

    Raises:
        Failure: what ``container.opened`` raises.
    """
    import av

    with opened(source) as container:
        tracks = choose_tracks(container)
        video = tracks.video
        fps = float(video.average_rate or 25)
        state = _State(max(1, round(fps / looks_per_s)), detector.load())
        video.codec_context.options = {**video.codec_context.options, "skip_loop_filter": "all"}
        video.codec_context.skip_frame = "NONREF"
        picture: VideoFrame | None = None
        for frame in container.decode(*filter(None, (video, tracks.audio))):
            if isinstance(frame, av.VideoFrame):
                picture = frame
                _see(state, frame, _number(frame, video, fps))
            elif isinstance(frame, av.AudioFrame):
                _hear(state, frame)
        _end_watch(state)
        begins = [_begin(state, index, container, video, fps) for index in cuts(state.differences)]
        colour = colour_of(video, picture)
    height, width = state.luma.shape if state.luma is not None else (0, 0)
    return {
        "width": width, "height": height, "fps": fps, "cuts": begins, "looks": _with_sound(state, begins, fps),
        "frames": max(video.frames, state.numbers[-1] + 1 if state.numbers else 0),
        "model": detector.NAME if state.net else "", "colour": colour,
    }  # fmt: skip


def _number(frame: "VideoFrame", video: "VideoStream", fps: float) -> int:
    start_s = float((video.start_time or 0) * (video.time_base or 0))
    return max(0, round(((frame.time or 0.0) - start_s) * fps))


def _begin(state: _State, index: int, container: "InputContainer", video: "VideoStream", fps: float) -> int:
    """The first frame of a shot that was seen to begin with a decoded frame, or with one just before it."""
    before, number = state.numbers[index - 1], state.numbers[index]
    if number - before <= 1 or state.whole[index]:  # encoders begin shots with a frame that is coded by itself
        return number
    video.codec_context.skip_frame = "DEFAULT"
    start_s = float((video.start_time or 0) * (video.time_base or 0))
    histogram, found = None, (0.0, number)
    for frame in pictures_from(container, video, start_s + before / fps):
        at = _number(frame, video, fps)
        if at < before:
            continue
        luma = _luma(frame)
        own = _histogram(_small(luma))
        if histogram is not None and at > before:
            found = max(found, (float(abs(own - histogram).sum()), at))
        histogram = own
        if at >= number:
            break
    return found[1]


def packets(source: BinaryIO) -> dict[str, int]:
    """How many pictures a file has, of what size, and how many sounds; nothing is decoded.

    Raises:
        Failure: what ``container.opened`` raises.
    """
    with opened(source) as container:
        video = choose_tracks(container).video
        frames = sum(1 for packet in container.demux(video) if packet.size)
        sounds = len(container.streams.audio)
        return {"frames": frames, "width": video.width, "height": video.height, "sounds": sounds}


def _see(state: _State, frame: "VideoFrame", number: int) -> None:
    luma = _luma(frame)
    small = _small(luma)
    histogram = _histogram(small)
    before = state.histogram
    difference = 0.0 if before is None else float(abs(histogram - before).sum() / 2)
    state.numbers.append(number)
    state.whole.append(frame.pict_type == I_FRAME)
    state.differences.append(round(difference, 4))
    state.histogram = histogram
    # Whether it is one is known only by what comes after; where all flickers, the next look is soon anyway.
    new_shot = difference > MIN_DIFFERENCE and len(state.looks) < 2 * (number // state.every) + SPARE_LOOKS
    if state.luma is not None and not new_shot:
        _watch(state, luma)
    if new_shot or not state.looks or number >= state.looks[-1]["frame"] + state.every:
        _end_watch(state)
        state.looks.append(_look(state, frame, number, small))
    state.luma = luma


def _small(luma: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    step = max(1, max(luma.shape) // SMALL_PX)
    return luma[::step, ::step]


def _look(state: _State, frame: "VideoFrame", number: int, small: "NDArray[np.uint8]") -> dict[str, Any]:
    import numpy as np

    rows = _faces(state.net, frame) if state.net else []
    state.watches = [_Watch(row) for row in rows]
    levels = small.astype(np.int16)
    moving = stirring = 1.0
    if state.before is not None and state.before.shape == levels.shape:
        moving, stirring = _movement(
            abs(levels - state.before), rows, max(frame.width, frame.height) / max(small.shape)
        )
    state.before = levels
    return {"frame": number, "faces": rows, "moving": round(moving, 4), "stirring": round(stirring, 4)}


def _faces(net: Any, frame: "VideoFrame") -> list[list[float]]:
    """Left, top, width, height, score and movement of the mouth, in the pixels of the picture as shown."""
    scale = min(1.0, DETECTOR_PX / max(frame.width, frame.height))
    size = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
    picture = frame.reformat(width=size[0], height=size[1], format="rgb24", interpolation="AREA").to_ndarray()
    across, down = frame.width / size[0], frame.height / size[1]
    rows = []
    for left, top, right, bottom, score in detector.found(net, _upright(picture, frame))[:, :5].tolist():
        box = [left * across, top * down, (right - left) * across, (bottom - top) * down]
        rows.append([*(round(each, 1) for each in box), round(score, 3), 0.0])
    return rows


def _movement(change: "NDArray[np.int16]", faces: list[list[float]], scale: float) -> tuple[float, float]:
    """The share of blocks that moved, without those of faces and with them."""
    import numpy as np

    high, wide = (side // BLOCK_PX for side in change.shape)
    blocks = change[: high * BLOCK_PX, : wide * BLOCK_PX].reshape(high, BLOCK_PX, wide, BLOCK_PX).mean((1, 3)) > MOVED
    beside = np.ones_like(blocks)
    for left, top, width, height, *_ in faces:
        begin_x, begin_y = left - AROUND_FACE[0] * width, top - AROUND_FACE[1] * height
        end_x, end_y = left + (1 + AROUND_FACE[2]) * width, top + (1 + AROUND_FACE[3]) * height
        unit = BLOCK_PX * scale
        beside[
            max(0, int(begin_y // unit)) : int(end_y // unit) + 1, max(0, int(begin_x // unit)) : int(end_x // unit) + 1
        ] = False
    apart = blocks[beside]
    return float(apart.mean()) if apart.size else 0.0, float(blocks.mean())


def _watch(state: _State, luma: "NDArray[np.uint8]") -> None:
    """Adds up how much each mouth moved from the frame before, beyond what the head did."""
    for watch in state.watches:
        mouth, brow = (_changed(state.luma, luma, watch.row, part) for part in (MOUTH, BROW))
        watch.moved += max(0.0, mouth - brow)
        watch.times += 1


def _changed(before: Any, luma: Any, box: list[float], part: tuple[float, float, float, float]) -> float:
    import numpy as np

    left, top = int(box[0] + part[0] * box[2]), int(box[1] + part[1] * box[3])
    right, bottom = int(left + part[2] * box[2]) + 1, int(top + part[3] * box[3]) + 1
    step = max(1, int(part[2] * box[2] / PATCH_PX))
    where = slice(max(0, top), max(0, bottom), step), slice(max(0, left), max(0, right), step)
    one, other = before[where].astype(np.int16), luma[where]
    return float(abs(one - other).mean()) if one.size and one.shape == other.shape else 0.0


def _end_watch(state: _State) -> None:
    if state.looks:
        for watch in state.watches:
            watch.row[5] = round(watch.moved / max(1, watch.times), 3)
    state.watches = []


def _histogram(small: "NDArray[np.uint8]") -> "NDArray[np.float64]":
    """The grey levels of each cell, as shares of the whole picture."""
    import numpy as np

    high, wide = (side // CELLS for side in small.shape)
    cells = small[: high * CELLS, : wide * CELLS].reshape(CELLS, high, CELLS, wide).transpose(0, 2, 1, 3)
    numbered = (cells.astype(np.int32) * LEVELS // 256).reshape(CELLS**2, -1) + LEVELS * np.arange(CELLS**2)[:, None]
    return np.bincount(numbered.ravel(), minlength=LEVELS * CELLS**2) / numbered.size


def _luma(frame: "VideoFrame") -> "NDArray[np.uint8]":
    """The brightness of a picture as shown, of 8 bits; no copy where it is there."""
    import numpy as np

    if frame.format.components[0].bits != 8 or frame.format.is_rgb or not frame.format.is_planar:  # noqa: PLR2004
        frame_8 = frame.reformat(format="gray")
        return _upright(frame_8.to_ndarray(), frame)
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return _upright(rows[:, : plane.width], frame)


def _upright(picture: "NDArray[Any]", frame: "VideoFrame") -> "NDArray[np.uint8]":
    """A picture as players turn it."""
    import numpy as np

    return np.rot90(picture, round(frame.rotation / 90) % 4) if frame.rotation else picture


def _hear(state: _State, frame: "AudioFrame") -> None:
    import numpy as np

    samples = frame.to_ndarray().astype(np.float32)
    whole = FULL_SCALE if frame.format.name.startswith("s16") else 1.0
    state.loudness.append((frame.time or 0.0, float(np.mean((samples / whole) ** 2))))


def _with_sound(state: _State, begins: list[int], fps: float) -> list[dict[str, Any]]:
    """The looks, each with how loud it is until the next; one at a new shot is where the shot begins."""
    for index, begin in zip(cuts(state.differences), begins, strict=True):
        for look in state.looks:
            if look["frame"] == state.numbers[index]:
                look["frame"] = begin
    at = 0
    for index, look in enumerate(state.looks):
        end_s = state.looks[index + 1]["frame"] / fps if index + 1 < len(state.looks) else float("inf")
        squares = []
        while at < len(state.loudness) and state.loudness[at][0] < end_s:
            squares.append(state.loudness[at][1])
            at += 1
        look["loudness"] = round((sum(squares) / len(squares)) ** 0.5, 5) if squares else 0.0
    return state.looks
