"""Claims about cut clips: the exact frames, sound and picture together, nothing of the source's metadata."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from madvision_assets.domain.cutting import CutPlan, plan_cut
from madvision_assets.domain.failures import BadClipError, Failure, MediaToolError
from madvision_assets.tools.media.audio import extract_flac
from madvision_assets.tools.media.cut import ClipInspection, cut_clip, inspect_clip
from madvision_assets.tools.media.normalise import to_mp4
from madvision_assets.tools.media.probe import probe
from madvision_assets_tests import footage
from madvision_assets_tests.footage import Shown

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cut")


@pytest.fixture(scope="module")
def numbered(folder: Path) -> Path:
    """25 frames a second, B-frames, one key frame in all of its 8 seconds."""
    return footage.numbered(folder / "numbered.mp4")


@pytest.fixture(scope="module")
def talking(folder: Path) -> Path:
    return footage.talking(folder / "talking.mp4")


def clip_of(source: Path, start_s: float, end_s: float) -> tuple[Path, CutPlan, ClipInspection]:
    plan = plan_cut(start_s, end_s, probe(source))
    out = source.with_suffix(f".{start_s}-{end_s}.mp4")
    cut_clip(source, plan, out)
    return out, plan, inspect_clip(out, plan)


def expected_numbers(source: Path, plan: CutPlan) -> list[int]:
    """What the source shows in the middle of each of the clip's frames."""
    frames = footage.shown_frames(source)
    times = [plan.start_s + (index + 0.5) / float(plan.fps) for index in range(plan.frames)]
    return [max((f for f in frames if f.time_s <= t), key=lambda f: f.time_s, default=frames[0]).number for t in times]


def numbers(frames: list[Shown]) -> list[int]:
    return [frame.number for frame in frames]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(24000, 1001)])
def test_a_clip_has_exactly_the_frames_of_its_plan(folder: Path, rate: Fraction) -> None:
    source = footage.numbered(folder / f"rate{float(rate):.2f}.mp4", fps=rate)

    for start_s, end_s in ((1.0, 2.5), (4.61, 6.13), (0.0, 0.5)):
        clip, plan, _ = clip_of(source, start_s, end_s)
        assert numbers(footage.shown_frames(clip)) == expected_numbers(source, plan)
        first = round(plan.start_s * rate)
        assert numbers(footage.shown_frames(clip)) == list(range(first, first + plan.frames))


def test_the_first_frame_is_right_though_the_edit_list_is_ignored(numbered: Path) -> None:
    clip, plan, _ = clip_of(numbered, 3.0, 4.0)

    assert numbers(footage.shown_frames(clip, ignore_edit_list=True)) == list(range(75, 100))
    assert plan.frames == 25


def test_slides_show_the_right_picture_from_the_first_frame(folder: Path) -> None:
    source = footage.slides(folder / "slides.mp4")

    for start_s, end_s in ((5.1, 9.0), (1.0, 3.0), (13.9, 16.0)):
        clip, plan, _ = clip_of(source, start_s, end_s)
        assert numbers(footage.shown_frames(clip)) == expected_numbers(source, plan)
        assert footage.shown_frames(clip)[0].time_s == 0


def test_a_clip_that_starts_long_after_the_last_slide_shows_that_slide(folder: Path) -> None:
    source = footage.numbered(folder / "still.mp4", 40.0, Fraction(1, 5), times="N*2+25*gte(N\\,3)")

    clip, _, _ = clip_of(source, 27.0, 29.0)

    assert set(numbers(footage.shown_frames(clip))) == {2}


def test_sound_and_picture_stay_together(numbered: Path) -> None:
    clip, _, seen = clip_of(numbered, 1.3, 6.0)

    frames = footage.shown_frames(clip)
    flashes = [frame.time_s for previous, frame in pairwise(frames) if frame.flash and not previous.flash]
    assert footage.beep_starts(clip) == pytest.approx(flashes, abs=0.025)
    assert flashes == pytest.approx([0.72, 3.72], abs=0.001)
    assert abs(seen.audio_video_offset_s) <= 0.001


def test_sound_that_starts_late_stays_late(folder: Path, numbered: Path) -> None:
    clip, _, _ = clip_of(footage.late_audio(folder / "late.mp4", numbered, 0.7), 0.0, 4.0)

    assert footage.beep_starts(clip) == pytest.approx([2.7], abs=0.01)
    assert next(frame.number for frame in footage.shown_frames(clip) if frame.flash) == 50


def test_sound_is_heard_where_the_picture_has_not_begun(folder: Path, numbered: Path) -> None:
    early = folder / "early.mp4"
    footage.ffmpeg("-itsoffset", "3", "-i", numbered, "-i", numbered, "-map", "0:v", "-map", "1:a", "-c", "copy", early)

    clip, plan, _ = clip_of(early, 1.0, 4.0)

    assert footage.beep_starts(clip) == pytest.approx([2.0 - plan.start_s], abs=0.005)
    assert footage.shown_frames(clip)[-1].number == 24


def test_a_transport_stream_is_cut_to_the_frame_once_it_is_an_mp4(folder: Path, numbered: Path) -> None:
    stream = footage.transport_stream(folder / "numbered.ts", numbered)
    mp4 = to_mp4(stream, folder, probe(stream))

    clip, plan, _ = clip_of(mp4, 1.7, 4.2)

    assert numbers(footage.shown_frames(clip)) == expected_numbers(mp4, plan)
    assert footage.beep_starts(clip)[0] + plan.start_s == pytest.approx(2.0 + probe(mp4).video_start_s, abs=0.01)


def test_a_stream_whose_clock_is_set_back_is_read_on(folder: Path) -> None:
    once = footage.numbered(folder / "once.mp4", 3.0, beeps_s=(1.0,))
    parts = [folder / "late.ts", folder / "early.ts"]
    for part, offset_s in zip(parts, ("50", "2"), strict=True):
        footage.ffmpeg(
            "-i", once, "-c", "copy", "-muxdelay", "0", "-muxpreload", "0", "-output_ts_offset", offset_s, part
        )
    (folder / "back.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    mp4 = to_mp4(folder / "back.ts", folder, probe(folder / "back.ts"))

    clip, plan, _ = clip_of(mp4, 2.0, 5.0)

    shown = numbers(footage.shown_frames(clip))
    assert shown == expected_numbers(mp4, plan)
    assert shown == [*range(shown[0], 75), *range(shown[-1] + 1)]  # the first part to its end, then the second
    assert footage.beep_starts(clip) == pytest.approx([shown.index(25) / 25], abs=0.06)  # a second into the second part


@pytest.mark.parametrize(
    "changes", [("-vf", "scale=640:360", "-c:a", "copy"), ("-c:v", "copy", "-c:a", "aac", "-ac", "2")]
)
def test_a_splice_that_changes_the_format_moves_neither_sound_nor_picture(
    folder: Path, changes: tuple[str, ...]
) -> None:
    once = footage.numbered(folder / "once.mp4", 4.0, beeps_s=(3.0,))
    spliced = footage.spliced_stream(folder / "spliced.ts", once, 4.0, *changes)
    mp4 = to_mp4(spliced, folder, probe(spliced))
    extract_flac(mp4, folder / "spliced.flac")

    clip, plan, _ = clip_of(mp4, 2.5, 7.5)

    frames = footage.shown_frames(clip)
    flashes = [frame.time_s for previous, frame in pairwise(frames) if frame.flash and not previous.flash]
    assert len(frames) == plan.frames
    assert flashes == pytest.approx([0.5, 4.5], abs=0.06)
    assert footage.beep_starts(clip) == pytest.approx(flashes, abs=0.06)
    assert footage.beep_starts(folder / "spliced.flac") == pytest.approx([3.0, 7.0], abs=0.1)


def test_a_clip_to_beyond_the_end_is_padded_not_short(numbered: Path) -> None:
    info = probe(numbered)
    plan = replace(plan_cut(7.0, 8.0, info), frames=30)

    cut_clip(numbered, plan, numbered.with_suffix(".padded.mp4"))

    assert inspect_clip(numbered.with_suffix(".padded.mp4"), plan).frames == 30


AVC = ("-c:v", "libx264", "-preset", "veryfast")
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "vp9.webm": (("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), ("-c:a", "libopus")),
    "mpeg2.mpg": (("-c:v", "mpeg2video", "-bf", "2"), ("-c:a", "mp2")),
    "mbaff.mov": (("-flags", "+ildct+ilme", *AVC), ("-c:a", "pcm_s16le")),
    "deep.mp4": (("-profile:v", "high10", "-pix_fmt", "yuv420p10le", *AVC), ("-c:a", "aac")),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_of_any_kind_of_video_is_exact_and_its_sound_in_place(folder: Path, name: str) -> None:
    video, audio = KINDS[name]
    source = footage.numbered(folder / name, 5.0, beeps_s=(2.0,), video=video, audio=audio)
    mp4 = to_mp4(source, folder, probe(source))

    clip, plan, _ = clip_of(mp4, 1.7, 4.2)

    assert numbers(footage.shown_frames(clip)) == expected_numbers(mp4, plan) == list(range(42, 105))
    assert footage.beep_starts(clip) == pytest.approx([2.0 - plan.start_s], abs=0.02)


def test_the_last_frame_of_a_video_is_in_a_clip_to_its_end(folder: Path) -> None:
    source = footage.numbered(folder / "uneven.mp4", 6.0, times="N/25+0.012*mod(N\\,3)")

    clip, plan, _ = clip_of(source, 4.5, 99.0)

    assert numbers(footage.shown_frames(clip)) == expected_numbers(source, plan)
    assert footage.shown_frames(clip)[-1].number == 149


def test_a_clip_that_begins_after_the_last_picture_shows_it(folder: Path, numbered: Path) -> None:
    source = folder / "heard-longer.mp4"
    footage.ffmpeg("-t", "2", "-i", numbered, "-i", numbered, "-map", "0:v", "-map", "1:a", "-c", "copy", source)

    clip, plan, _ = clip_of(source, 4.0, 6.0)

    assert numbers(footage.shown_frames(clip)) == [footage.shown_frames(source)[-1].number] * plan.frames
    assert footage.beep_starts(clip) == pytest.approx([1.0], abs=0.005)


@pytest.mark.parametrize(
    ("make", "size"), [(footage.rotated, (180, 320)), (lambda out, _: footage.odd(out), (318, 178))]
)
def test_a_clip_is_upright_and_even(
    folder: Path, talking: Path, make: Callable[[Path, Path], Path], size: tuple[int, int]
) -> None:
    clip, _, seen = clip_of(make(folder / "upright.mp4", talking), 0.5, 1.5)

    assert (seen.width, seen.height) == size
    with av.open(str(clip)) as opened:
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert next(opened.decode(video=0)).rotation == 0


def test_ten_bit_hdr_becomes_eight_bit(folder: Path, talking: Path) -> None:
    source = folder / "hdr.mkv"
    footage.ffmpeg(
        "-i", talking, "-t", "1", "-vf", "format=yuv420p10le,setparams=range=tv:color_primaries=bt2020:"
        "color_trc=smpte2084:colorspace=bt2020nc", "-c:v", "libx265", "-x265-params", "log-level=none", source,
    )  # fmt: skip
    mp4 = to_mp4(source, folder, probe(source))

    clip, _, _ = clip_of(mp4, 0.2, 0.8)

    with av.open(str(clip)) as opened:
        assert opened.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert opened.streams.video[0].codec_context.color_trc == 1  # BT.709


def test_oblong_pixels_become_square(folder: Path, talking: Path) -> None:
    source = folder / "anamorphic.mp4"
    footage.ffmpeg("-i", talking, "-t", "1", "-vf", "setsar=2", source)

    _, _, seen = clip_of(source, 0.2, 0.8)

    assert (seen.width, seen.height) == (640, 180)


def test_the_shortest_video_gives_a_clip(folder: Path) -> None:
    _, plan, seen = clip_of(footage.tiny(folder / "tiny.mp4"), 0.0, 1.0)

    assert seen.duration_s == pytest.approx(0.2, abs=0.06)
    assert plan.frames >= 5


def test_nothing_of_the_source_metadata_is_in_a_clip(talking: Path) -> None:
    clip, _, _ = clip_of(talking, 1.0, 2.0)

    assert b"secret" not in clip.read_bytes()
    with av.open(str(clip)) as opened:
        assert not {"title", "location", "comment"} & set(opened.metadata)


def test_a_clip_starts_fast_and_is_stereo_at_48_khz(numbered: Path) -> None:
    clip, _, _ = clip_of(numbered, 2.0, 3.0)

    assert clip.read_bytes().index(b"moov") < clip.read_bytes().index(b"mdat")
    with av.open(str(clip)) as opened:
        assert (opened.streams.audio[0].rate, opened.streams.audio[0].channels) == (48_000, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": 40}, "lasts"),
        ({"frames": 27}, "frames"),
        ({"width": 300}, "320x180 instead of 300x180"),
    ],
)
def test_a_clip_that_differs_from_its_plan_is_bad(numbered: Path, change: dict[str, int], said: str) -> None:
    clip, plan, _ = clip_of(numbered, 3.0, 4.0)

    with pytest.raises(BadClipError, match=said):
        inspect_clip(clip, replace(plan, **change))  # type: ignore[arg-type]


def test_a_clip_whose_sound_starts_late_is_bad(folder: Path, numbered: Path) -> None:
    clip, plan, _ = clip_of(numbered, 3.0, 4.0)

    with pytest.raises(BadClipError, match=r"sound starts \+0\.0[6-9]"):
        inspect_clip(footage.late_audio(folder / "late_clip.mp4", clip, 0.1), plan)


@pytest.mark.parametrize(
    "damage",
    [lambda out, _: footage.empty(out), lambda out, _: footage.text(out), footage.mute, footage.truncated_index,
     footage.truncated_media, footage.garbled],
)  # fmt: skip
def test_a_clip_that_does_not_play_is_bad(folder: Path, talking: Path, damage: Callable[[Path, Path], Path]) -> None:
    plan = plan_cut(0.0, 6.0, probe(talking))

    with pytest.raises(BadClipError):
        inspect_clip(damage(folder / "damaged.mp4", talking), plan)


def test_cutting_what_is_no_video_is_a_failure(folder: Path, numbered: Path) -> None:
    plan = plan_cut(0.0, 1.0, probe(numbered))

    with pytest.raises(Failure):
        cut_clip(footage.text(folder / "text.mp4"), plan, folder / "never.mp4")
    with pytest.raises(MediaToolError):
        cut_clip(numbered, plan, folder / "no such folder" / "clip.mp4")
