"""Claims about files that claim: what their bytes cannot hold is refused at once, for good, and within a GiB."""

import io
import time
from pathlib import Path

import pytest

from madvision_assets.domain.failures import Failure, UnsupportedColourError
from madvision_assets.tools.media import ffmpeg, structure
from madvision_assets.tools.media.probe import VERIFY_LIMIT_S, probe, verify_decodes
from madvision_assets_tests import claims, footage, odd_footage

pytestmark = pytest.mark.whole


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


def record(profile: int, compatible: int) -> bytes:
    """What a file says of its Dolby Vision: version, profile and level, layers, compatibility."""
    return bytes((1, 0, profile << 1, 0x35, compatible << 4)) + bytes(19)


def dolby_vision(out: Path, profile: int, compatible: int) -> Path:
    """A video whose track says that it is Dolby Vision."""

    def with_record(kind: bytes, payload: bytes) -> bytes:
        if kind != b"stsd" or payload[12:16] != b"avc1":
            return payload
        entry = payload[8:] + claims.box(b"dvcC", record(profile, compatible))
        return payload[:8] + len(entry).to_bytes(4) + entry[4:]

    return claims.claiming(out, with_record)


def test_dolby_vision_that_nothing_else_shows_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedColourError, match=r"green and purple.*profile 5"):
        probe(dolby_vision(tmp_path / "talk.mp4", 5, 0))


def test_matroska_says_so_in_what_it_adds_to_blocks() -> None:
    def matroska(profile: int, compatible: int) -> io.BytesIO:
        told = b"\x41\xe7\x84dvcC\x41\xed\x98" + record(profile, compatible)
        return io.BytesIO(b"\x1a\x45\xdf\xa3" + bytes(3000) + b"\x41\xe4" + bytes((0x80 | len(told),)) + told)

    with pytest.raises(UnsupportedColourError):
        structure.refuse_claims(matroska(5, 0))
    structure.refuse_claims(matroska(8, 1))


@pytest.mark.parametrize(("profile", "compatible"), [(8, 1), (8, 4), (7, 6), (10, 1)])
def test_dolby_vision_with_a_base_of_its_own_is_taken(tmp_path: Path, profile: int, compatible: int) -> None:
    assert probe(dolby_vision(tmp_path / "talk.mp4", profile, compatible)).duration_s > 0


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 100 MB: 3,000 pictures of 8K, each whole by itself, in three seconds."""
    folder = tmp_path_factory.mktemp("dear")
    one, all_of_them, made = folder / "one.h264", folder / "all.h264", folder / "dear.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=s=7680x4320:d=0.04:r=25")
    footage.ffmpeg(*picture, "-frames:v", "1", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "51", one)
    all_of_them.write_bytes(one.read_bytes() * 3000)
    footage.ffmpeg(
        "-f", "h264", "-r", "1000", "-i", all_of_them, *odd_footage.bursts(3.0), "-c:v", "copy", "-c:a", "aac",
        "-map", "0:v", "-map", "1:a", made,
    )  # fmt: skip
    all_of_them.unlink()
    return made


def test_any_100_mb_are_taken_in_and_looked_at_within_five_minutes() -> None:
    assert ffmpeg.budget_s(100_000_000) + VERIFY_LIMIT_S <= 300


def test_looking_at_what_is_stored_ends_in_its_time_however_dear_the_pictures_are(dear: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(Failure, match="longer than 3 s"):
        verify_decodes(dear, limit_s=3.0)
    assert time.monotonic() - began_s < 60
    print("dear.mp4, bytes:", dear.stat().st_size)  # noqa: T201


def copying(path: Path) -> object:
    return ffmpeg.target([ffmpeg.source(path)], path.with_suffix(".copy.mp4"), codec="copy")
