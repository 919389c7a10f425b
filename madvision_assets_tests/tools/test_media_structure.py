"""Claims about files that claim: what their bytes cannot hold is refused at once, for good, and within a GiB."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from madvision_assets.domain.failures import Failure, TooCostlyError
from madvision_assets.tools.media import ffmpeg, structure
from madvision_assets.tools.media.probe import probe
from madvision_assets_tests import claims, footage, odd_footage

MEASURED = """
import resource, sys, time
from pathlib import Path
from madvision_assets.domain.failures import Failure
from madvision_assets.tools.media import probe
try:
    probe.probe(Path(sys.argv[1]))
    print("taken")
except Failure as failure:
    print(failure.code, str(failure))
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss // 1024, round(used.ru_utime + used.ru_stime, 1))
"""
CHEAP_MB, CHEAP_CPU_S = 250, 8.0  # Python and PyAV alone take some 60 MB and 0.4 s

BOMBS: list[tuple[str, Callable[[Path], Path]]] = [
    ("a million edits in 12 MB", lambda out: claims.edits(out, 1_000_000)),
    ("80 million samples of a picture", lambda out: claims.samples(out, 80_000_000)),
    ("80 million samples of a sound", lambda out: claims.samples(out, 80_000_000, handler=b"soun")),
    ("80 million times", lambda out: claims.times(out, 80_000_000)),
    ("80 million samples in a fragment", lambda out: claims.fragments(out, 80_000_000)),
    ("1,000 tracks", lambda out: claims.tracks(out, 1_000)),
    ("a picture of 60,000 pixels a side", lambda out: claims.size(out, 60_000, 60_000)),
    ("500 boxes in each other", lambda out: claims.nested(out, 500)),
    ("a million boxes", lambda out: claims.many(out, 1_000_000)),
    ("an index that unpacks to 100 MB", lambda out: claims.packed(out, 100_000_000)),
]


@pytest.mark.parametrize(("name", "make"), BOMBS)
def test_claims_are_refused_for_good_before_they_cost_anything(
    tmp_path: Path, name: str, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "bomb.mp4")

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, path], check=True, capture_output=True, text=True, timeout=200
    )
    told, figures = done.stdout.splitlines()
    memory_mb, cpu_s = map(float, figures.split())

    assert told.startswith(TooCostlyError.code), (name, told)
    assert memory_mb < CHEAP_MB
    assert cpu_s < CHEAP_CPU_S


def test_a_decoder_is_given_no_picture_beyond_8k(tmp_path: Path) -> None:
    """The container says nothing of it: only the picture itself does."""
    source = odd_footage.coloured(tmp_path / "png.avi", "0x102030", "64x64", "-c:v", "png")
    content = source.read_bytes()
    header = b"IHDR" + (64).to_bytes(4) * 2
    assert header in content
    source.write_bytes(content.replace(header, b"IHDR" + (30_000).to_bytes(4) * 2))

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, source], check=True, capture_output=True, text=True, timeout=200
    )
    told, figures = done.stdout.splitlines()

    assert told.split()[0] in {"too_costly", "corrupt_media"}
    assert float(figures.split()[0]) < CHEAP_MB


def test_more_frames_a_second_than_any_camera_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "fast.mkv"
    footage.ffmpeg(
        "-f", "lavfi", "-i", "color=s=16x16:r=25:d=200", *odd_footage.bursts(2.0), "-vf", "setpts=N/2500/TB",
        "-enc_time_base", "1/5000", "-fps_mode", "passthrough", *odd_footage.X264, source,
    )  # fmt: skip

    with pytest.raises(TooCostlyError, match="frames a second"):
        probe(source)


def test_attachments_are_counted(tmp_path: Path) -> None:
    talk, font = footage.talking(tmp_path / "talk.mp4", 1.0), tmp_path / "font.ttf"
    font.write_bytes(b"no font")
    attached = ["-attach", str(font)] * (structure.MAX_ATTACHMENTS + 1)
    kinds = [f"-metadata:s:{n + 2}" for n in range(structure.MAX_ATTACHMENTS + 1)]
    types = [each for kind in kinds for each in (kind, "mimetype=font/ttf")]
    footage.ffmpeg("-i", talk, *attached, "-c", "copy", *types, tmp_path / "attached.mkv")

    with pytest.raises(TooCostlyError, match=r"attachments|memory"):
        probe(tmp_path / "attached.mkv")


@pytest.mark.parametrize("make", [lambda out: claims.edits(out, structure.MAX_EDITS)])
def test_edits_up_to_the_limit_are_read_quickly(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, make(tmp_path / "edits.mp4")], check=True, capture_output=True, text=True
    )

    memory_mb, cpu_s = map(float, done.stdout.splitlines()[1].split())
    assert memory_mb < CHEAP_MB
    assert cpu_s < CHEAP_CPU_S


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
