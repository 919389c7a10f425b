"""Claims about sound: its times are the video's times, its windows end in silence, near silence is not audible."""

import tracemalloc
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from madvision_assets.domain.failures import NoAudioTrackError, NotMediaError
from madvision_assets.tools.media.audio import (
    RATE_HZ,
    audible_spans,
    extract_flac,
    faint_spans,
    pauses,
    read_span,
    read_windows,
)
from madvision_assets_tests import footage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


@pytest.fixture(scope="module")
def numbered(folder: Path) -> Path:
    return footage.numbered(folder / "numbered.mp4", beeps_s=(2.0, 5.0))


def flac_of(video: Path) -> Path:
    out = video.with_suffix(".flac")
    extract_flac(video, out)
    return out


def written(out: Path, samples: NDArray[np.float32]) -> Path:
    footage.ffmpeg(
        "-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1", "-i", "pipe:0", "-sample_fmt", "s16", out,
        stdin=samples.astype("<f4").tobytes(),
    )  # fmt: skip
    return out


def tone(seconds: float, level: float = 0.3) -> NDArray[np.float32]:
    clock = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (level * np.sin(2 * np.pi * 440 * clock)).astype(np.float32)


def test_extracted_audio_is_mono_16_bit_at_16_khz(numbered: Path) -> None:
    with av.open(str(flac_of(numbered))) as container:
        track = container.streams.audio[0]
        assert (track.codec_context.name, track.rate, track.channels) == ("flac", 16_000, 1)
        assert track.codec_context.format is not None
        assert track.codec_context.format.name == "s16"


def test_times_in_the_audio_are_times_in_the_video(numbered: Path) -> None:
    assert footage.beep_starts(flac_of(numbered)) == pytest.approx([2.0, 5.0], abs=0.005)


def test_audio_that_starts_late_is_preceded_by_silence(folder: Path, numbered: Path) -> None:
    late = footage.late_audio(folder / "late.mp4", numbered, 0.7)

    assert footage.beep_starts(flac_of(late)) == pytest.approx([2.7, 5.7], abs=0.005)


@pytest.mark.parametrize("late_s", [0.0, 0.7])
def test_tracks_that_start_at_five_seconds_count_from_zero(folder: Path, numbered: Path, late_s: float) -> None:
    late = footage.late_audio(folder / "shifted.mp4", numbered, late_s)
    stream = footage.transport_stream(folder / f"shifted{late_s}.ts", late)
    with av.open(str(stream)) as container:
        assert (container.start_time or 0) / 1e6 == pytest.approx(5.0, abs=0.1)

    flash_s = next(frame.time_s for frame in footage.shown_frames(stream) if frame.flash) - container_start_s(stream)
    assert footage.beep_starts(flac_of(stream))[0] == pytest.approx(flash_s + late_s, abs=0.01)


def container_start_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return (container.start_time or 0) / 1e6


def test_holes_in_the_sound_stay_holes(folder: Path, numbered: Path) -> None:
    """A track with two seconds of packets missing must not shift what follows."""
    holed = folder / "holed.mkv"
    keep = "select='not(between(t,3,4.5))'"
    footage.ffmpeg(
        "-i", numbered, "-c:v", "copy", "-af", f"a{keep}", "-c:a", "pcm_s16le", holed,
    )  # fmt: skip

    assert footage.beep_starts(flac_of(holed)) == pytest.approx([2.0, 5.0], abs=0.03)


def test_a_hole_of_some_hundredths_of_a_second_does_not_move_what_follows(folder: Path, numbered: Path) -> None:
    live = folder / "live.mp4"  # its first packet of sound says that it lasts longer than it does
    footage.ffmpeg("-i", numbered, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", live)

    heard = footage.beep_starts(flac_of(live))
    shown = [frame.time_s for frame in footage.shown_frames(live) if frame.number in {50, 125}]

    assert heard == pytest.approx(shown, abs=0.035)


def test_a_video_without_sound_has_nothing_to_extract(folder: Path, numbered: Path) -> None:
    with pytest.raises(NoAudioTrackError):
        extract_flac(footage.mute(folder / "mute.mp4", numbered), folder / "never.flac")
    assert not (folder / "never.flac").exists()


def test_windows_are_split_where_it_is_quietest_and_lose_nothing(folder: Path) -> None:
    sound = np.concatenate([tone(8.0), np.zeros(RATE_HZ, np.float32), tone(6.5), tone(1.0, 0.01), tone(7.0)])
    path = written(folder / "long.flac", sound)

    windows = list(read_windows(path, window_s=10.0, search_s=4.0))

    ends = [window.end_s for window in windows]
    assert 8.1 < ends[0] < 8.9
    assert 15.6 < ends[1] < 16.4
    assert [window.start_s for window in windows] == [0.0, *ends[:-1]]
    assert all(len(window.samples) <= 10 * RATE_HZ for window in windows)
    assert windows[0].samples.dtype == np.float32
    assert np.abs(np.concatenate([window.samples for window in windows]) - sound).max() < 1e-4


def test_a_sound_without_quiet_is_split_all_the_same(folder: Path) -> None:
    windows = list(read_windows(written(folder / "loud.flac", tone(9.0)), window_s=4.0, search_s=1.0))

    assert sum(len(window.samples) for window in windows) == 9 * RATE_HZ
    assert len(windows) == 3


def test_windows_come_from_a_stream_too(numbered: Path) -> None:
    path = flac_of(numbered)
    from_file = [window.samples for window in read_windows(path, 3.0, 1.0)]

    from_stream = [window.samples for window in read_windows(BytesIO(path.read_bytes()), 3.0, 1.0)]

    assert all(np.array_equal(one, other) for one, other in zip(from_file, from_stream, strict=True))


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 2.0), (7.01, 9.507), (19.5, 25.0)])
def test_a_stretch_is_the_same_samples_as_of_the_whole(folder: Path, start_s: float, end_s: float) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * RATE_HZ).astype(np.float32)
    path = written(folder / f"{start_s}.flac", sound)
    (window,) = read_windows(path, 60.0)

    for source in (path, BytesIO(path.read_bytes())):
        found = read_span(source, start_s, end_s)

        assert np.array_equal(found, window.samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)])


def test_the_memory_of_reading_is_that_of_a_window(folder: Path) -> None:
    path = folder / "noise.flac"
    footage.ffmpeg("-f", "lavfi", "-i", "anoisesrc=r=16000:d=600:a=0.1", "-sample_fmt", "s16", path)

    tracemalloc.start()
    for window in read_windows(path, window_s=60.0, search_s=5.0):
        assert len(window.samples) <= 60 * RATE_HZ
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 4 * 60 * RATE_HZ * 4


def test_a_text_is_no_sound(folder: Path) -> None:
    with pytest.raises(NotMediaError):
        list(read_windows(footage.text(folder / "text.flac")))


def test_bursts_are_audible_and_pauses_are_not() -> None:
    pause = np.zeros(RATE_HZ, np.float32)
    spans = audible_spans(np.concatenate([pause, tone(2.0), pause, tone(1.0), pause]), RATE_HZ)

    assert np.ravel(spans) == pytest.approx([1.0, 3.0, 4.0, 5.0], abs=0.04)


@pytest.mark.parametrize("count", [0, 1, 159, 160, 479, 480, 2399])
def test_sound_that_is_shorter_than_a_pause_has_none(count: int) -> None:
    assert pauses(tone(1)[:count], RATE_HZ) == []
    assert pauses(np.zeros(count, np.float32), RATE_HZ) == []


def test_short_pauses_do_not_part_a_span() -> None:
    pause = np.zeros(round(0.4 * RATE_HZ), np.float32)

    assert len(audible_spans(np.concatenate([tone(1.0), pause, tone(1.0)]), RATE_HZ)) == 1


def test_silence_and_hiss_are_not_audible() -> None:
    hiss = np.random.default_rng(1).normal(0, 10 ** (-60 / 20), 5 * RATE_HZ).astype(np.float32)

    assert audible_spans(hiss, RATE_HZ) == []
    assert audible_spans(np.zeros(5 * RATE_HZ, np.float32), RATE_HZ) == []
    assert audible_spans(np.zeros(0, np.float32), RATE_HZ) == []


def test_quiet_speech_is_audible_and_hum_under_loud_speech_is_not() -> None:
    assert audible_spans(tone(2.0, 0.01), RATE_HZ) == [(0.0, 2.0)]
    hum = tone(2.0, 0.009)
    spans = audible_spans(np.concatenate([hum, tone(2.0, 0.9), hum]), RATE_HZ)
    assert np.ravel(spans) == pytest.approx([2.0, 4.0], abs=0.04)


def test_speech_in_a_recording_that_is_quiet_as_a_whole_is_audible_and_the_hiss_of_a_room_is_not() -> None:
    hiss = np.random.default_rng(1).normal(0, 10 ** (-80 / 20), 6 * RATE_HZ).astype(np.float32)
    bursts = np.concatenate([tone(2.0, 0.003), np.zeros(2 * RATE_HZ, np.float32), tone(2.0, 0.003)])

    assert np.ravel(audible_spans(bursts + hiss, RATE_HZ)) == pytest.approx([0.0, 2.0, 4.0, 6.0], abs=0.04)
    assert audible_spans(10 * hiss, RATE_HZ) == []


def swelling(length_s: float, loudest_dbfs: float) -> NDArray[np.float32]:
    """A tone whose level goes up and down by 40 dB four times a second, as that of syllables."""
    at = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    level_db = loudest_dbfs - 20 + 20 * np.sin(2 * np.pi * 4 * at)
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * 440 * at)).astype(np.float32)


@pytest.mark.parametrize("quiet_s", [4.0, 120.0])
def test_who_speaks_quietly_is_audible_however_loud_others_are_before_and_hiss_is_not(quiet_s: float) -> None:
    loud, quiet = swelling(40.0, -6.0), swelling(quiet_s, -45.0)
    hiss = np.random.default_rng(1).normal(0, 10 ** (-62 / 20), len(quiet)).astype(np.float32)

    def heard_s(sound: NDArray[np.float32]) -> float:
        both = np.concatenate([loud, sound])
        spans = audible_spans(both, RATE_HZ)
        return sum(end_s - max(40.0, start_s) for start_s, end_s in [*spans, *faint_spans(both, RATE_HZ, spans)]
                   if end_s > 40.5)  # fmt: skip

    assert heard_s(quiet) > 0.8 * quiet_s
    assert heard_s(hiss) == 0
    # Noise that comes and goes may be speech, and is believed as little.
    gated = np.concatenate([loud, np.where(np.arange(len(hiss)) // (2 * RATE_HZ) % 2, hiss, 0)])
    assert audible_spans(gated, RATE_HZ)[-1][1] < 40.5
    assert faint_spans(loud, RATE_HZ, audible_spans(loud, RATE_HZ)) == []
