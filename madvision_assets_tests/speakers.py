"""Videos with faces whose places are known in each frame, for the tests of reframing.

The face is Eileen Collins's in NASA's portrait of 1993 (public domain; scikit-image brings it as ``astronaut.png``).
Where she speaks, her mouth opens and closes five times a second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from madvision_assets.domain.faces import Face
from madvision_assets_tests import footage

PORTRAIT = Path(__file__).parent / "pictures" / "astronaut.jpg"
PORTRAIT_PX = 240
# In the portrait, marked by hand: from brow to chin, and the mouth.
FACE = Face(84, 52, 74, 92)
MOUTH = (104, 114, 34, 16)
WIDTH, HEIGHT, FPS = 640, 360, 25
OPEN_S = 0.2

Place = Callable[[float], tuple[float, float]]
"""The upper left corner of a portrait at a time, pixels."""


@dataclass(frozen=True)
class Speaker:
    """A portrait in the picture.

    Attributes:
        place: where it is.
        speaks: from when to when, seconds.
        size: of the portrait, pixels.
    """

    place: Place
    speaks: Sequence[tuple[float, float]] = ()
    size: int = PORTRAIT_PX

    def face(self, time_s: float) -> Face:
        """Where the face is."""
        left, top = self.place(time_s)
        scale = self.size / PORTRAIT_PX
        return Face(left + FACE.left * scale, top + FACE.top * scale, FACE.width * scale, FACE.height * scale)

    def is_speaking(self, time_s: float) -> bool:
        """Whether she speaks."""
        return any(start_s <= time_s < end_s for start_s, end_s in self.speaks)


@dataclass(frozen=True)
class Shot:
    """A stretch of a video: who is seen, before what."""

    seconds: float
    speakers: Sequence[Speaker] = ()
    background: NDArray[np.uint8] | int = 70


def standing(left: float, top: float = 60.0) -> Place:
    """Somewhere, but for the little that nobody can help."""
    return lambda time_s: (left + 3 * np.sin(2.1 * time_s), top + 2 * np.sin(1.7 * time_s))


def slide() -> NDArray[np.uint8]:
    """A page with lines that stand for text."""
    page = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    for row in range(60, 300, 30):
        page[row : row + 10, 60 : 300 + row] = 30
    return page


def video(out: Path, shots: Sequence[Shot]) -> Path:
    """A video of these shots, with a tone throughout; 640x360 at 25 frames a second."""
    pictures = np.concatenate([np.stack(list(_frames(shot))) for shot in shots])
    seconds = len(pictures) / FPS
    shape = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "pipe:0")
    tone = ("-f", "lavfi", "-i", f"sine=f=220:d={seconds}")
    coded = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-c:a", "aac", "-shortest")
    footage.ffmpeg(*shape, *tone, *coded, out, stdin=pictures.tobytes())
    return out


def _frames(shot: Shot) -> list[NDArray[np.uint8]]:
    portraits = {speaker.size: _portrait(speaker.size) for speaker in shot.speakers}
    frames = []
    for number in range(round(shot.seconds * FPS)):
        time_s = number / FPS
        frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        frame[:] = shot.background
        for speaker in shot.speakers:
            opens = speaker.is_speaking(time_s) and time_s % OPEN_S < OPEN_S / 2
            _paste(frame, portraits[speaker.size], speaker.place(time_s), opens=opens)
        frames.append(frame)
    return frames


def _portrait(size: int) -> NDArray[np.uint8]:
    with av.open(str(PORTRAIT)) as container:
        return (
            next(container.decode(video=0))
            .reformat(width=size, height=size, format="rgb24")
            .to_ndarray()
            .astype(np.uint8)
        )


def _paste(frame: NDArray[np.uint8], portrait: NDArray[np.uint8], at: tuple[float, float], *, opens: bool) -> None:
    if opens:
        scale = len(portrait) / PORTRAIT_PX
        left, top, width, height = (round(each * scale) for each in MOUTH)
        portrait = portrait.copy()
        portrait[top : top + height, left : left + width] = (50, 10, 10)
    x, y, size = round(at[0]), round(at[1]), len(portrait)
    inside = slice(max(0, y), min(HEIGHT, y + size)), slice(max(0, x), min(WIDTH, x + size))
    frame[inside] = portrait[inside[0].start - y : inside[0].stop - y, inside[1].start - x : inside[1].stop - x]
