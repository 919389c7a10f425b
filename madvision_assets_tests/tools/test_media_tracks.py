"""Claims about which tracks are used: those that hold what a person sees and hears, and the same ones everywhere."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from madvision_assets.domain.cutting import plan_cut
from madvision_assets.domain.failures import NoVideoTrackError
from madvision_assets.domain.tracks import Tracks
from madvision_assets.domain.video import MediaInfo
from madvision_assets.tools.media.audio import RATE_HZ, audible_spans, extract_flac, read_windows
from madvision_assets.tools.media.cut import cut_clip, inspect_clip
from madvision_assets.tools.media.normalise import to_mp4
from madvision_assets.tools.media.probe import probe, verify_decodes
from madvision_assets.tools.media.thumbnails import thumbnail
from madvision_assets_tests import footage, odd_footage

pytestmark = pytest.mark.whole

RED = (200, 50, 50)


def chosen(info: MediaInfo) -> Tracks:
    assert info.tracks is not None
    return info.tracks


def heard_s(path: Path) -> float:
    """Audible seconds in what would be transcribed."""
    flac = path.with_suffix(".flac")
    extract_flac(path, flac)
    samples = np.concatenate([window.samples for window in read_windows(flac)])
    return sum(end_s - start_s for start_s, end_s in audible_spans(samples, RATE_HZ))


def clip_of(path: Path, info: MediaInfo) -> Path:
    plan = plan_cut(0.5, 2.0, info)
    out = path.with_suffix(".clip.mp4")
    cut_clip(path, plan, out, info.tracks)
    inspect_clip(out, plan)
    return out


def sound_of(path: Path) -> NDArray[np.float32]:
    """All samples of the first sound, by channel."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp")
        blocks = [block.to_ndarray() for frame in container.decode(audio=0) for block in resampler.resample(frame)]
    return np.concatenate(blocks, axis=1)


def mean_colour(path: Path) -> tuple[int, int, int]:
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    red, green, blue = (round(float(picture[..., each].mean())) for each in range(3))
    return red, green, blue


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("first", ["anullsrc=r=48000:cl=stereo", "aevalsrc=0.3*sin(2000*t)*lt(t\\,0.1):s=48000"])
def test_a_sound_without_any_is_passed_over_in_words_clips_and_checks(tmp_path: Path, suffix: str, first: str) -> None:
    source = odd_footage.two_sounds(tmp_path / f"recorder{suffix}", 8.0, first=first)
    info = probe(source)

    assert (chosen(info).audio, chosen(info).audio_count) == (2, 2)
    assert chosen(info).audio_before == (2 if "stereo" in first else 1)
    assert heard_s(source) > 4
    made = to_mp4(source, tmp_path, info)
    made_info = probe(made)
    assert np.abs(sound_of(clip_of(made, made_info))).max() > 0.2
    assert verify_decodes(made, made_info.tracks).audio_s > 4


def test_a_default_sound_that_is_heard_is_kept_though_another_is_louder(tmp_path: Path) -> None:
    quiet = "aevalsrc=0.05*sin(2000*t):s=48000:d=4"
    assert chosen(probe(odd_footage.two_sounds(tmp_path / "two.mp4", first=quiet))).audio == 1


def test_a_sound_that_is_heard_only_between_the_samples_is_found(tmp_path: Path) -> None:
    source = tmp_path / "seldom.mp4"
    tone = "aevalsrc=0.3*sin(2000*t)*between(t\\,41\\,42)|-0.3*sin(2000*t)*between(t\\,41\\,42):s=48000:d=60:c=stereo"
    footage.ffmpeg("-f", "lavfi", "-i", "color=s=160x120:d=60", "-f", "lavfi", "-i", tone, *odd_footage.X264, source)

    assert chosen(probe(source)).channel is not None
    assert heard_s(source) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("from_s", [0.0, 2.0])
def test_stereo_that_cancels_itself_is_heard_and_clips_keep_both_sides(tmp_path: Path, from_s: float) -> None:
    source = odd_footage.antiphase(tmp_path / "antiphase.mp4", from_s=from_s)
    info = probe(source)

    assert chosen(info).channel in {0, 1}
    assert heard_s(source) > 2
    left, right = sound_of(clip_of(source, info))
    assert np.abs(left).max() > 0.2
    assert np.abs(right).max() > 0.2
    if not from_s:
        assert np.abs(left + right).max() < 0.05


@pytest.mark.parametrize("layout", ["stereo|FL=c0", "stereo|FL=c0|FR=0.3*c0", "5.1|FC=c0", "4c|c0=c0", "mono|FC=c0"])
def test_sound_that_is_merely_uneven_is_heard_as_the_sum(tmp_path: Path, layout: str) -> None:
    source = tmp_path / "uneven.mov"
    footage.ffmpeg(
        *odd_footage.moving(3.0), *odd_footage.bursts(3.0), *odd_footage.X264, "-af", f"pan={layout}",
        "-c:a", "pcm_s16le", source,
    )  # fmt: skip

    assert chosen(probe(source)).channel is None
    assert heard_s(source) > 1.5


@pytest.mark.parametrize(("preview_s", "codec"), [(1.0, "mjpeg"), (1.0, "libx264"), (3.0, "libx264"), (3.0, "mjpeg")])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_preview_before_the_real_picture_is_passed_over_in_clips_checks_and_thumbnails(
    tmp_path: Path, suffix: str, preview_s: float, codec: str
) -> None:
    source = odd_footage.preview_first(tmp_path / f"preview{suffix}", preview_s=preview_s, codec=codec)
    info = probe(source)

    assert (chosen(info).video, info.width, info.height) == (1, 320, 240)
    made = to_mp4(source, tmp_path, info)
    made_info = probe(made)
    clip = clip_of(made, made_info)
    thumbnail(clip, tmp_path / "picture.jpg")
    for shown in (clip, tmp_path / "picture.jpg"):
        red, green, _ = mean_colour(shown)
        assert red - green < 60
    assert verify_decodes(made, made_info.tracks, points=2).video_frames >= 25


def test_a_cover_that_nothing_flags_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(NoVideoTrackError):
        probe(odd_footage.still_beside_sound(tmp_path / "song.mp4"))


def test_a_document_that_does_not_say_its_tracks_is_cut_all_the_same(tmp_path: Path) -> None:
    source = footage.talking(tmp_path / "talk.mp4", 3.0)
    old = probe(source).model_copy(update={"tracks": None})

    assert inspect_clip(clip_of(source, old), plan_cut(0.5, 2.0, old)).frames > 30
    assert verify_decodes(source, old.tracks).audio_s > 1
