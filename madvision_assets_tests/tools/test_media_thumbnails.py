"""Claims about thumbnails: of a clip's many pictures a sharp and well exposed one."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from madvision_assets.domain.failures import Failure
from madvision_assets.tools.media.thumbnails import thumbnail
from madvision_assets_tests import footage

pytestmark = pytest.mark.whole

SHOWN = "testsrc=s=320x180:r=25:d={}"
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
# A key frame every two seconds, each frame one, and a single one for the whole clip.
KEYS = {"usual": ("-g", "50"), "all": ("-g", "1"), "one": ("-g", "9999", "-sc_threshold", "0", "-bf", "3")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("thumbnails")


def pixels(jpeg: bytes) -> NDArray[np.float32]:
    """Grey picture (height, width) as another JPEG reader sees it."""
    with av.open(BytesIO(jpeg), mode="r", format="jpeg_pipe") as container:
        grey = next(container.decode(video=0)).to_ndarray(format="gray")
    return grey.astype(np.float32)


def in_parts(out: Path, parts: Sequence[tuple[str, str]], *encoding: str) -> Path:
    """A video of stretches ``(source, filters)``, one after the other."""
    inputs = [word for source, _ in parts for word in ("-f", "lavfi", "-i", source)]
    filtered = "".join(f"[{n}]{filters},setsar=1[p{n}];" for n, (_, filters) in enumerate(parts))
    joined = "".join(f"[p{n}]" for n in range(len(parts))) + f"concat=n={len(parts)}"
    footage.ffmpeg(*inputs, "-filter_complex", filtered + joined, *X264, *encoding, out)
    return out


def taken(clip: Path) -> NDArray[np.float32]:
    out = clip.with_suffix(".jpg")
    thumbnail(clip, out, width=320)
    return pixels(out.read_bytes())


def edges(grey: NDArray[np.float32]) -> float:
    """How sharp a picture is."""
    return float(np.abs(np.diff(grey, axis=1)).mean())


def test_it_is_a_jpeg_of_the_asked_width_in_the_shape_of_the_clip(folder: Path) -> None:
    talking = footage.talking(folder / "talking.mp4")
    thumbnail(talking, folder / "t.jpg")

    jpeg = (folder / "t.jpg").read_bytes()
    assert jpeg[:2] == b"\xff\xd8"
    assert pixels(jpeg).shape == (360, 640)


GOOD = (SHOWN.format(2), "null")
WORSE = {
    "black": ("color=black:s=320x180:r=25:d=3", "null"),
    "blurred": (SHOWN.format(3), "gblur=sigma=6"),
    "dark": (SHOWN.format(3), "eq=brightness=-0.45:contrast=0.3"),
    "burnt out": (SHOWN.format(3), "eq=brightness=0.6:contrast=0.5"),
    "plain": ("color=gray:s=320x180:r=25:d=3", "null"),
}


@pytest.mark.parametrize("keys", KEYS)
def test_what_is_worse_is_passed_over_wherever_the_better_is(folder: Path, keys: str) -> None:
    good = taken(in_parts(folder / f"{keys}.mp4", [GOOD], *KEYS[keys]))
    for place in (0, 3, 5):
        parts = list(WORSE.values())
        parts.insert(place, GOOD)

        found = taken(in_parts(folder / f"{keys} {place}.mp4", parts, *KEYS[keys]))

        assert found.mean() == pytest.approx(good.mean(), abs=10), place
        assert edges(found) > 0.8 * edges(good), place


def test_a_clip_that_is_black_throughout_has_a_picture_all_the_same(folder: Path) -> None:
    clip = in_parts(folder / "night.mp4", [("color=black:s=320x180:r=25:d=2", "null")])

    assert taken(clip).mean() < 20


def test_the_shortest_clip_and_slides_have_a_picture(folder: Path) -> None:
    for clip in (footage.tiny(folder / "tiny.mp4"), footage.slides(folder / "slides.mp4")):
        thumbnail(clip, folder / "short.jpg")
        assert len((folder / "short.jpg").read_bytes()) > 500


def test_what_does_not_decode_has_no_thumbnail(folder: Path) -> None:
    talking = footage.talking(folder / "whole.mp4")
    with pytest.raises(Failure):
        thumbnail(footage.garbled(folder / "garbled.mp4", talking), folder / "never.jpg")
    assert not (folder / "never.jpg").exists()
