"""Claims about bringing videos into MP4."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from madvision_assets.domain.failures import MediaToolError
from madvision_assets.tools.media.normalise import starts_fast, to_mp4
from madvision_assets.tools.media.probe import probe
from madvision_assets_tests import footage

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("normalise")


@pytest.fixture(scope="module")
def talking(folder: Path) -> Path:
    return footage.talking(folder / "talking.mp4", 2.0)


def normalised(path: Path, folder: Path) -> Path:
    made = to_mp4(path, folder, probe(path))
    assert starts_fast(made)
    return made


def converted(out: Path, of: Path, *options: str) -> Path:
    footage.ffmpeg("-i", of, *options, out)
    return out


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def test_an_mp4_that_is_fine_is_left_alone(talking: Path, folder: Path) -> None:
    assert to_mp4(talking, folder, probe(talking)) == talking


@pytest.mark.parametrize("options", [(), ("-movflags", "frag_keyframe+empty_moov")])
def test_an_mp4_with_its_index_elsewhere_is_remuxed_without_loss(
    talking: Path, folder: Path, options: tuple[str, ...]
) -> None:
    late = converted(folder / "late.mp4", talking, "-c", "copy", *options)

    assert not starts_fast(late)
    assert pictures(normalised(late, folder)) == pictures(talking)


@pytest.mark.parametrize(
    ("name", "options", "codecs"),
    [
        ("a.mov", ("-c:v", "copy", "-c:a", "pcm_s16le"), ("h264", "aac")),
        ("a.mkv", ("-c", "copy"), ("h264", "aac")),
        ("a.flv", ("-c", "copy"), ("h264", "aac")),
        ("a.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a", "libopus"), ("vp9", "opus")),
        ("b.mov", ("-c:v", "prores_ks", "-c:a", "pcm_s16le"), ("h264", "aac")),
        ("a.avi", ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "mp3"), ("h264", "mp3float")),
        ("a.wmv", ("-c:v", "wmv2", "-c:a", "wmav2"), ("h264", "aac")),
        ("a.ogv", ("-c:v", "mpeg4", "-f", "matroska", "-c:a", "libvorbis"), ("mpeg4", "aac")),
    ],
)  # fmt: skip
def test_other_formats_become_mp4_and_only_what_does_not_fit_is_encoded_anew(
    talking: Path, folder: Path, name: str, options: tuple[str, ...], codecs: tuple[str, str]
) -> None:
    source = converted(folder / name, talking, *options)

    info = probe(normalised(source, folder))

    assert (info.video_codec, info.audio_codec) == codecs
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    if "copy" in options:
        assert pictures(folder / f"{source.stem}.normalised.mp4") == pictures(talking)


def test_the_same_input_gives_the_same_bytes(talking: Path, folder: Path, tmp_path: Path) -> None:
    source = converted(folder / "same.mkv", talking, "-c", "copy")

    assert normalised(source, folder).read_bytes() == normalised(source, tmp_path).read_bytes()


def test_a_rotation_survives_a_remux(talking: Path, folder: Path) -> None:
    source = converted(folder / "turned.mov", footage.rotated(folder / "rotated.mp4", talking), "-c", "copy")
    info = probe(normalised(source, folder))

    assert (info.width, info.height, info.rotation_deg) == (180, 320, 90)


def test_a_rotated_video_that_is_encoded_anew_is_upright(talking: Path, folder: Path) -> None:
    turned = footage.rotated(folder / "rotated.mp4", talking)
    source = folder / "prores.mov"
    footage.ffmpeg("-noautorotate", "-i", turned, "-c:v", "prores_ks", "-c:a", "copy", source)
    assert probe(source).rotation_deg == 90

    info = probe(normalised(source, folder))

    assert (info.width, info.height, info.rotation_deg) == (180, 320, 0)


def test_odd_sides_are_made_even_where_the_picture_is_encoded_anew(folder: Path) -> None:
    source = converted(folder / "odd.avi", footage.odd(folder / "odd.mp4"), "-c:v", "ffv1", "-c:a", "pcm_s16le")

    info = probe(normalised(source, folder))

    assert (info.width, info.height) == (318, 178)


def test_time_stamps_begin_at_zero_and_tracks_keep_their_distance(folder: Path) -> None:
    numbered = footage.numbered(folder / "numbered.mp4", 4.0, beeps_s=(2.0,))
    late = footage.late_audio(folder / "late.mp4", numbered, 0.7)

    info = probe(normalised(footage.transport_stream(folder / "late.ts", late), folder))
    made = folder / "late.normalised.mp4"

    assert info.video_start_s == pytest.approx(0, abs=0.05)
    assert info.audio_start_s == pytest.approx(0.7, abs=0.05)
    with av.open(str(made)) as container:
        assert (container.start_time or 0) / 1e6 == pytest.approx(0, abs=0.05)
    flash_s = next(frame.time_s for frame in footage.shown_frames(made) if frame.flash)
    assert footage.beep_starts(made)[0] - flash_s == pytest.approx(0.7, abs=0.03)


def test_the_default_audio_track_is_taken_and_a_cover_picture_is_not(talking: Path, folder: Path) -> None:
    source = folder / "tracks.mp4"
    footage.ffmpeg(
        "-f", "lavfi", "-i", "color=red:s=64x64:r=25:d=0.04", "-i", talking, "-f", "lavfi", "-i", "sine=d=2:r=8000",
        "-map", "0:v", "-map", "2:a", "-map", "1:v", "-map", "1:a", "-c:v:0", "mjpeg", "-disposition:v:0",
        "attached_pic", "-c:v:1", "copy", "-c:a", "aac", "-disposition:a:0", "0", "-disposition:a:1", "default", source,
    )  # fmt: skip

    info = probe(normalised(source, folder))

    assert (info.width, info.audio_rate_hz) == (320, 44100)


def test_metadata_of_the_source_is_left_behind(talking: Path, folder: Path) -> None:
    source = converted(folder / "told.mkv", talking, "-c", "copy", "-metadata", "comment=secret comment")

    assert b"secret" not in normalised(source, folder).read_bytes()


def test_progress_is_told_to_the_end(talking: Path, folder: Path) -> None:
    told: list[float] = []
    source = converted(folder / "told.avi", talking, "-c:v", "mjpeg", "-c:a", "mp3")

    to_mp4(source, folder, probe(source), told.append)

    assert told[-1] == 1.0


@pytest.mark.parametrize("make", [footage.text, footage.empty, lambda out: footage.audio_only(out.with_suffix(".mp3"))])
def test_what_is_no_mp4_does_not_start_fast(folder: Path, make: Callable[[Path], Path]) -> None:
    assert not starts_fast(make(folder / "other.mp4"))


def test_a_file_that_is_gone_is_a_failure_of_the_tool(folder: Path) -> None:
    with pytest.raises(MediaToolError):
        starts_fast(folder / "gone.mp4")
