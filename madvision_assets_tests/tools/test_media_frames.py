"""Claims about contact sheets."""

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from madvision_assets.domain.failures import CorruptMediaError
from madvision_assets.tools.media.frames import contact_sheet
from madvision_assets_tests import footage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="module")
def talking(folder: Path) -> Path:
    return footage.talking(folder / "talking.mp4")


def pixels(jpeg: bytes) -> NDArray[np.uint8]:
    """Grey picture (height, width) as another JPEG reader sees it."""
    with av.open(BytesIO(jpeg), mode="r", format="jpeg_pipe") as container:
        grey = next(container.decode(video=0)).to_ndarray(format="gray")
    return grey.astype(np.uint8)


def noise(seed: int, width: int, height: int, folder: Path) -> bytes:
    out = folder / "noise.jpg"
    size = f"{width}x{height}"
    footage.ffmpeg(
        "-f", "lavfi", "-i", f"nullsrc=s={size},noise=alls=100:all_seed={seed}", "-frames:v", "1", "-q:v", "2", out
    )
    return out.read_bytes()


@pytest.mark.parametrize("count", [1, 3, 10, 50])
def test_a_sheet_is_small_however_many_and_noisy_its_pictures(folder: Path, count: int) -> None:
    jpegs = [noise(1, 640, 360, folder)] * count

    sheet = contact_sheet(jpegs)

    assert len(sheet) <= 60_000
    assert pixels(sheet).shape[1] > 100


def test_a_sheet_has_its_pictures_row_by_row(folder: Path) -> None:
    shades = []
    for shade in ("black", "gray", "white"):
        footage.ffmpeg("-f", "lavfi", "-i", f"color={shade}:s=320x180", "-frames:v", "1", folder / "shade.jpg")
        shades.append((folder / "shade.jpg").read_bytes())

    sheet = pixels(contact_sheet(shades, columns=2))

    height, width = sheet.shape
    cells = sheet[height // 4, width // 4], sheet[height // 4, width * 3 // 4], sheet[height * 3 // 4, width // 4]
    assert cells == pytest.approx((0, 128, 255), abs=8)
    assert sheet[height * 3 // 4, width * 3 // 4] == pytest.approx(32, abs=8)


def test_an_upright_picture_keeps_its_shape_in_a_sheet(folder: Path) -> None:
    footage.ffmpeg("-f", "lavfi", "-i", "color=white:s=90x160", "-frames:v", "1", folder / "upright.jpg")

    sheet = pixels(contact_sheet([(folder / "upright.jpg").read_bytes()]))

    white = sheet > 200
    assert white.any(axis=1).sum() / white.any(axis=0).sum() == pytest.approx(160 / 90, rel=0.05)


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


def test_a_sheet_of_what_is_no_jpeg_is_refused() -> None:
    with pytest.raises(CorruptMediaError):
        contact_sheet([b"this is not a picture"])
