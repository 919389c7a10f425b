"""Claims about what counts as a video, and what a probe says of it."""

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av.error
import pytest

from madvision_assets.domain.failures import (
    CorruptMediaError,
    DiskFullError,
    EmptyFileError,
    Failure,
    MediaToolError,
    NoAudioTrackError,
    NotMediaError,
    NoVideoTrackError,
    UnexpectedError,
)
from madvision_assets.tools.media import container
from madvision_assets.tools.media.container import classify_av, opened
from madvision_assets.tools.media.probe import probe, verify_decodes
from madvision_assets_tests import footage

pytestmark = pytest.mark.whole

Maker = Callable[[Path, Path], Path]

BAD_INPUTS: list[tuple[str, Maker, type[Failure]]] = [
    ("empty.mp4", lambda out, _: footage.empty(out), EmptyFileError),
    ("text.mp4", lambda out, _: footage.text(out), NotMediaError),
    ("text.mp3", lambda out, _: footage.text(out), NotMediaError),
    ("playlist.mp4", footage.playlist, NotMediaError),
    ("concat.mp4", footage.concat_list, NotMediaError),
    ("subtitles.mp4", lambda out, _: footage.subtitles(out), NotMediaError),
    ("picture.png", lambda out, _: footage.picture(out), NotMediaError),
    ("picture.jpg", lambda out, _: footage.picture(out), NotMediaError),
    ("picture.avif", lambda out, _: footage.picture(out), NotMediaError),
    ("picture.gif", lambda out, _: footage.picture(out), NotMediaError),
    ("sound.mp3", lambda out, _: footage.audio_only(out), NoVideoTrackError),
    ("sound.m4a", lambda out, _: footage.audio_only(out), NoVideoTrackError),
    ("sound.wav", lambda out, _: footage.audio_only(out), NoVideoTrackError),
    ("cover.mp3", lambda out, _: footage.audio_with_cover(out), NoVideoTrackError),
    ("mute.mp4", footage.mute, NoAudioTrackError),
    ("no-index.mp4", footage.truncated_index, CorruptMediaError),
    ("cut-off.mp4", footage.truncated_media, CorruptMediaError),
    ("garbled.mp4", footage.garbled, CorruptMediaError),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def talking(folder: Path) -> Path:
    return footage.talking(folder / "talking.mp4")


@pytest.mark.parametrize(("name", "make", "leaf"), BAD_INPUTS)
def test_each_bad_input_has_its_leaf_as_a_file_and_as_a_stream(
    folder: Path, talking: Path, name: str, make: Maker, leaf: type[Failure]
) -> None:
    path = make(folder / name, talking)

    for source in (path, BytesIO(path.read_bytes())):
        with pytest.raises(leaf) as caught:
            probe(source)
        assert str(folder) not in str(caught.value)


def test_a_file_that_is_not_there_is_a_failure_of_the_tool(tmp_path: Path) -> None:
    with pytest.raises(MediaToolError):
        probe(tmp_path / "nothing.mp4")


def test_a_good_video_is_described(talking: Path) -> None:
    info = probe(talking)

    assert (info.container, info.video_codec, info.audio_codec) == ("mp4", "h264", "aac")
    assert (info.width, info.height, info.rotation_deg) == (320, 180, 0)
    assert (info.fps, info.max_frame_gap_s) == (25.0, 0.04)
    assert info.duration_s == pytest.approx(6.0, abs=0.03)
    assert (info.audio_rate_hz, info.audio_channels) == (44100, 1)
    assert (info.video_start_s, info.audio_start_s) == (0.0, 0.0)


def test_a_stream_is_described_as_the_file_is(talking: Path) -> None:
    with talking.open("rb") as stream:
        assert probe(stream) == probe(talking)


def test_a_rotated_video_is_as_wide_as_it_is_shown(folder: Path, talking: Path) -> None:
    info = probe(footage.rotated(folder / "rotated.mp4", talking))

    assert (info.width, info.height, info.rotation_deg) == (180, 320, 90)


def test_the_longest_gap_of_slides_is_found_though_frames_are_reordered(folder: Path) -> None:
    info = probe(footage.slides(folder / "slides.mp4"))

    assert info.max_frame_gap_s == pytest.approx(2.3, abs=0.001)
    assert info.fps == pytest.approx(0.5, rel=0.03)


def test_start_times_count_from_the_earliest_track(folder: Path, talking: Path) -> None:
    stream = probe(footage.transport_stream(folder / "talking.ts", talking))
    late = probe(footage.late_audio(folder / "late.mp4", talking, 0.7))

    assert stream.audio_start_s == pytest.approx(0, abs=0.05)
    assert stream.video_start_s == pytest.approx(0, abs=0.05)
    assert stream.duration_s == pytest.approx(6.0, abs=0.1)
    assert late.video_start_s == 0
    assert late.audio_start_s == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("make", [footage.tiny, footage.odd, footage.silence])
def test_unusual_but_whole_videos_pass(folder: Path, make: Callable[[Path], Path]) -> None:
    assert probe(make(folder / "unusual.mp4")).duration_s > 0.1


def test_a_flash_video_whose_picture_begins_after_its_sound_passes(folder: Path, talking: Path) -> None:
    out = folder / "old.flv"
    footage.ffmpeg("-i", talking, "-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100", out)

    info = probe(out)

    assert info.video_start_s > 0
    assert info.duration_s == pytest.approx(6.0, abs=0.15)


def test_sound_that_begins_two_seconds_before_the_picture_decodes(folder: Path, talking: Path) -> None:
    out = folder / "early.mp4"
    footage.ffmpeg("-itsoffset", "2", "-i", talking, "-i", talking, "-map", "0:v", "-map", "1:a", "-c", "copy", out)

    assert probe(out).video_start_s == pytest.approx(2.0, abs=0.01)
    assert verify_decodes(out).audio_s > 2


def test_a_matroska_whose_clock_starts_at_ten_hours_is_whole_unless_it_is_cut(folder: Path, talking: Path) -> None:
    out = folder / "recorder.mkv"
    footage.ffmpeg("-i", talking, "-c", "copy", "-output_ts_offset", "36000", out)
    cut = folder / "recorder-cut.mkv"
    cut.write_bytes(out.read_bytes()[: out.stat().st_size // 2])

    assert probe(out).duration_s == pytest.approx(6.0, abs=0.1)
    with pytest.raises(CorruptMediaError, match="ends after"):
        probe(cut)


def test_decoding_at_several_points_sees_picture_and_sound(folder: Path, talking: Path) -> None:
    for path in (talking, footage.transport_stream(folder / "talking.ts", talking)):
        seen = verify_decodes(path, points=3, seconds=1.0)

        assert seen.points == 3
        assert 70 <= seen.video_frames <= 80
        assert seen.audio_s == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("make", [footage.truncated_media, footage.garbled])
def test_decoding_at_several_points_notices_what_is_missing(folder: Path, talking: Path, make: Maker) -> None:
    with pytest.raises(CorruptMediaError):
        verify_decodes(make(folder / "bad.mp4", talking))


def test_every_error_of_pyav_has_a_leaf() -> None:
    vendor = [
        member
        for member in vars(av.error).values()
        if isinstance(member, type) and issubclass(member, av.error.FFmpegError)
    ]

    assert len(vendor) > 40
    assert {error.__name__ for error in vendor} == set(container.AV_FAILURES)
    for error in vendor:
        assert not isinstance(classify_av(error(1, "message", "/secret/path")), UnexpectedError)
        assert "/secret" not in str(classify_av(error(1, "message", "/secret/path")))


def test_a_failure_of_the_stream_itself_passes_unchanged(talking: Path) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 20_000:
                raise DiskFullError
            return super().read(size)

    with pytest.raises(DiskFullError), opened(Broken(talking.read_bytes())) as found:
        for _ in found.demux():
            pass


PROBE_AND_CUT = """
import resource, sys
from pathlib import Path
from madvision_assets.domain.cutting import plan_cut
from madvision_assets.tools.media import audio, cut, normalise, probe
path, folder = Path(sys.argv[1]), Path(sys.argv[2])
info = probe.probe(path)
assert normalise.to_mp4(path, folder, info) == path
audio.extract_flac(path, folder / "audio.flac")
plan = plan_cut(info.duration_s - 12, info.duration_s - 2, info)
cut.cut_clip(path, plan, folder / "clip.mp4")
cut.inspect_clip(folder / "clip.mp4", plan)
# Not its own ru_maxrss, which begins with the peak of the process that started this one.
own = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _peak_mb(path: Path, folder: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE_AND_CUT, str(path), str(folder)],
        check=True, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    own, children = map(int, done.stdout.split())
    return own / 1024, children / 1024


@pytest.mark.long
def test_the_memory_of_probe_and_cut_does_not_grow_with_a_file_of_2_gb(tmp_path: Path) -> None:
    small = _peak_mb(footage.big(tmp_path / "big.mp4", 50_000_000), tmp_path)
    large = _peak_mb(footage.big(tmp_path / "big.mp4", 2_000_000_000), tmp_path)

    assert (tmp_path / "big.mp4").stat().st_size >= 2_000_000_000
    assert sum(large) < 500
    assert sum(large) < sum(small) + 60
