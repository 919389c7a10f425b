"""Claims about files that claim: what their bytes cannot hold is refused at once, for good, and within a GiB."""

from pathlib import Path

import pytest

from madvision_assets.domain.failures import Failure
from madvision_assets.tools.media import ffmpeg, structure
from madvision_assets.tools.media.probe import probe
from madvision_assets_tests import footage, odd_footage


def test_uncompressed_sound_of_an_hour_is_no_claim(tmp_path: Path) -> None:
    """Each of its samples counts as one in a MOV, hundreds of millions of them."""
    source = tmp_path / "long.mov"
    seconds = structure.MAX_SAMPLES // 48_000 + 60
    footage.ffmpeg(
        "-f", "lavfi", "-i", f"color=s=16x16:r=1:d={seconds}", *odd_footage.bursts(seconds), *odd_footage.X264,
        "-c:a", "pcm_u8", "-ac", "1", source,
    )  # fmt: skip

    assert probe(source).duration_s == pytest.approx(seconds, abs=1.1)


def test_all_work_on_a_file_has_one_limit_of_time(tmp_path: Path) -> None:
    talk = footage.talking(tmp_path / "talk.mp4", 1.0)
    with ffmpeg.within(0.0), ffmpeg.within(1000.0):
        for work in (lambda: probe(talk), lambda: ffmpeg.run(copying(talk), timeout_s=1000.0, what="copying")):
            with pytest.raises(Failure, match="longer than 0 s"):
                work()
    assert probe(talk).duration_s > 0


def copying(path: Path) -> object:
    return ffmpeg.target([ffmpeg.source(path)], path.with_suffix(".copy.mp4"), codec="copy")
