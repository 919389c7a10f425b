"""Claims about clips whose frames are copied: exact with and without the edit list, and never on a doubt."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from madvision_assets.domain.cutting import CutPlan, plan_cut, why_not_copied
from madvision_assets.domain.failures import DiskFullError
from madvision_assets.tools.media import apart, key_frames, smart
from madvision_assets.tools.media.cut import Made, _smart, inspect_clip, make_clip
from madvision_assets.tools.media.normalise import to_mp4
from madvision_assets.tools.media.probe import probe
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.render import CLIP_FAILURES
from madvision_assets_tests import disks, footage, odd_footage
from madvision_assets_tests.footage import Shown

pytestmark = pytest.mark.whole


@pytest.fixture(autouse=True, scope="module")
def one_child() -> Iterator[None]:
    """Starting a child takes longer than most of its jobs here."""
    with apart.one_child():
        yield


FRONT = ("-movflags", "+faststart")
AVC = ("-c:v", "libx264", "-preset", "veryfast", "-g", "40")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params")
HEVC_CLOSED = (*HEVC, "log-level=none:keyint=40:open-gop=0:bframes=3")
HEVC_OPEN = (*HEVC, "log-level=none:keyint=40:open-gop=1:bframes=4:b-pyramid=1")
SPANS_S = ((0.0, 5.0), (2.33, 8.71), (3.1, 10.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smart")


@pytest.fixture(scope="module")
def steady(folder: Path) -> Path:
    """Ten seconds, 25 frames a second, B-frames, a key frame every 40 frames and where it flashes."""
    return footage.numbered(folder / "steady.mp4", 10.0, video=AVC, mux=FRONT)


def clip_of(source: Path, start_s: float, end_s: float) -> tuple[Path, CutPlan, Made]:
    info = probe(source)
    plan = plan_cut(start_s, end_s, info)
    out = source.with_suffix(f".{start_s}-{end_s}.clip.mp4")
    return out, plan, make_clip(source, plan, out, info)


def numbers(frames: Sequence[Shown]) -> list[int]:
    return [frame.number for frame in frames]


def is_exact(clip: Path, plan: CutPlan) -> bool:
    """Every frame is the one of the plan, at its time, for players that know edit lists and for those that do not."""
    first = round(plan.start_s * plan.fps)
    for ignore in (False, True):
        frames = footage.shown_frames(clip, ignore_edit_list=ignore)
        times = [frame.time_s for frame in frames]
        if numbers(frames) != list(range(first, first + plan.frames)):
            return False
        if times != pytest.approx([float(n / plan.fps) for n in range(plan.frames)], abs=0.001):
            return False
    return inspect_clip(clip, plan).frames == plan.frames  # decodes all of it


@pytest.mark.parametrize(
    ("name", "video", "rate"),
    [
        ("b-pyramid", (*AVC, "-bf", "5", "-x264-params", "b-pyramid=strict"), Fraction(25)),
        ("no-b", (*AVC, "-bf", "0"), Fraction(30)),
        ("ntsc", AVC, Fraction(30000, 1001)),
        ("film", (*AVC, "-profile:v", "main"), Fraction(24000, 1001)),
        ("baseline", (*AVC, "-profile:v", "baseline"), Fraction(60)),
        ("hevc", HEVC_CLOSED, Fraction(25)),
        ("hevc-open", HEVC_OPEN, Fraction(25)),
        ("hevc-10-bit", (*HEVC_OPEN, "-pix_fmt", "yuv420p10le"), Fraction(30000, 1001)),
    ],
)
def test_a_copied_clip_is_exact(folder: Path, name: str, video: Sequence[str], rate: Fraction) -> None:
    source = footage.numbered(folder / f"{name}.mp4", 10.0, rate, video=video, mux=FRONT)

    for start_s, end_s in SPANS_S:
        clip, plan, made = clip_of(source, start_s, end_s)
        assert (made.reason, is_exact(clip, plan)) == ("", True)
        assert made.copied_frames >= 0.25 * plan.frames
        assert (made.psnr_db or 0) >= 40
        assert made.seen.frames == plan.frames


@pytest.mark.parametrize("scale", ["1000", "1001", "90000"])
def test_an_odd_clock_in_the_source_does_not_show_in_the_clip(folder: Path, scale: str) -> None:
    mux = (*FRONT, "-video_track_timescale", scale)
    source = footage.numbered(folder / f"clock{scale}.mp4", 8.0, Fraction(30000, 1001), video=AVC, mux=mux)

    clip, plan, made = clip_of(source, 1.7, 6.4)

    assert (made.reason, is_exact(clip, plan)) == ("", True)


def test_a_transport_stream_with_parameter_sets_in_its_frames_is_copied(folder: Path, steady: Path) -> None:
    stream = footage.transport_stream(folder / "steady.ts", steady)
    mp4 = to_mp4(stream, folder, probe(stream))

    clip, plan, made = clip_of(mp4, 2.0, 7.0)

    expected = [frame for frame in footage.shown_frames(mp4) if plan.start_s - 0.01 <= frame.time_s < plan.end_s - 0.01]
    assert made.reason == ""
    assert numbers(footage.shown_frames(clip)) == numbers(expected)


def test_sound_and_picture_stay_together(steady: Path) -> None:
    clip, _, made = clip_of(steady, 1.3, 8.0)

    frames = footage.shown_frames(clip, ignore_edit_list=True)
    flashes = [frame.time_s for before, frame in pairwise(frames) if frame.flash and not before.flash]
    assert made.reason == ""
    assert footage.beep_starts(clip) == pytest.approx(flashes, abs=0.002)
    assert made.seen.audio_video_offset_s == pytest.approx(0.0, abs=0.001)
    with av.open(str(clip), options={"ignore_editlist": "1"}) as opened:
        sound = opened.streams.audio[0]
        assert abs((sound.start_time or 0) * float(sound.time_base or 0)) <= 0.021
    late = sound_begins(clip, ignore_edit_list=True) - sound_begins(clip)
    assert 0 <= late <= 0.021


def sound_begins(clip: Path, *, ignore_edit_list: bool = False) -> float:
    """When the first tone is heard, seconds after the first frame of the picture is shown."""
    with av.open(str(clip), options={"ignore_editlist": "1"} if ignore_edit_list else {}) as opened:
        for frame in opened.decode(audio=0):
            loud = abs(frame.to_ndarray()[0]) > 0.1
            if loud.any():
                return float(frame.time or 0) + float(loud.argmax()) / frame.sample_rate
    raise AssertionError("nothing is heard")


def test_the_edges_of_the_sound_are_faded(folder: Path) -> None:
    source = footage.numbered(folder / "loud.mp4", 8.0, video=AVC, beeps_s=[n * 0.12 for n in range(70)], mux=FRONT)

    clip, _, made = clip_of(source, 2.0, 6.0)

    with av.open(str(clip)) as opened:
        level = np.abs(np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)]))
    assert made.reason == ""
    assert level[:24].max() < 0.15
    assert level[480:960].max() > 0.3  # as loud as ever after 10 ms
    assert level[192_000 - 24 : 192_000].max() < 0.15
    assert level[192_000 - 960 : 192_000 - 480].max() > 0.3


def test_clips_that_touch_share_no_frame_and_leave_none_out(steady: Path) -> None:
    first, _, _ = clip_of(steady, 1.0, 4.2)
    second, _, _ = clip_of(steady, 4.2, 8.0)

    both = numbers(footage.shown_frames(first)) + numbers(footage.shown_frames(second))
    assert both == list(range(25, 200))


@pytest.mark.parametrize(("start_s", "end_s", "frames"), [(-3.0, 99.0, 250), (5.0, 5.001, 1), (7.0, 10.0, 75)])
def test_a_clip_at_the_limits_of_the_video_is_right(steady: Path, start_s: float, end_s: float, frames: int) -> None:
    clip, plan, _ = clip_of(steady, start_s, end_s)

    assert plan.frames in (frames, frames + 1)  # the sound may be a packet longer than the picture
    assert numbers(footage.shown_frames(clip))[:frames] == list(range(round(plan.start_s * 25), 250))[:frames]
    assert inspect_clip(clip, plan).frames == plan.frames


@pytest.mark.parametrize("shorter", ["a", "v"])
def test_a_track_that_ends_early_is_filled(folder: Path, steady: Path, shorter: str) -> None:
    source = folder / f"short-{shorter}.mp4"
    tracks = ("-map", "0:v", "-map", "1:a") if shorter == "a" else ("-map", "1:v", "-map", "0:a")
    footage.ffmpeg("-i", steady, "-t", "6.5", "-i", steady, *tracks, *AVC, "-c:a", "aac", *FRONT, source)

    clip, plan, made = clip_of(source, 1.0, 9.0)

    assert made.reason == ""
    assert made.seen.frames == plan.frames == len(footage.shown_frames(clip)) == 200
    inspect_clip(clip, plan)


def test_nothing_of_the_source_metadata_is_in_a_clip(folder: Path, steady: Path) -> None:
    source = folder / "telling.mp4"
    told = ("-metadata", "title=secret title", "-metadata", "location=+1+2/", "-metadata:s:v", "handler_name=secret")
    footage.ffmpeg("-i", steady, "-c", "copy", *told, *FRONT, source)
    assert b"secret" in source.read_bytes()

    clip, _, made = clip_of(source, 1.0, 9.0)

    assert made.reason == ""
    assert b"secret" not in clip.read_bytes()
    assert b"x264" not in clip.read_bytes()[:4096]
    assert clip.read_bytes().index(b"moov") < clip.read_bytes().index(b"mdat")


@pytest.mark.parametrize(("name", "video"), [("avc", AVC), ("hevc", HEVC_OPEN)])
def test_what_a_camera_tells_between_its_frames_is_in_no_clip(folder: Path, name: str, video: Sequence[str]) -> None:
    plain = footage.numbered(folder / f"plain-{name}.mp4", 10.0, video=video, mux=FRONT)
    source = odd_footage.with_camera_data(folder / f"camera-{name}.mp4", plain, b"GPS 52.5200N 13.4050E Canon")

    for start_s, end_s in SPANS_S[:2]:
        clip, plan, made = clip_of(source, start_s, end_s)
        assert (made.reason, is_exact(clip, plan)) == ("", True)
        assert b"GPS" not in clip.read_bytes()
        assert b"\x06\x01\xc4\x80" in clip.read_bytes() or b"\x06\x01\xd0\x80" in clip.read_bytes()  # it recovers here


def open_gop(out: Path) -> Path:
    """Only its first key frame is an instantaneous refresh."""
    video = (*AVC, "-bf", "3", "-x264-params", "open-gop=1:scenecut=0")
    return footage.numbered(out, 10.0, video=video, mux=FRONT)


def one_frame_late(out: Path) -> Path:
    """One frame comes late: the rate is not quite constant."""
    return footage.numbered(out, 10.0, video=AVC, times="N/25+0.02*eq(N\\,120)", mux=FRONT)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (open_gop, "group of pictures"),
        (one_frame_late, "grid"),
        (lambda out: footage.numbered(out, 10.0, Fraction(1, 2), times="N*2+0.3*mod(N\\,2)", mux=FRONT), "another"),
        (lambda out: footage.numbered(out, 10.0, video=("-c:v", "mpeg4"), mux=FRONT), "mpeg4"),
    ],
)
def test_what_cannot_be_copied_is_coded_anew_and_says_why(folder: Path, make: object, said: str) -> None:
    source = make(folder / f"odd-{said[:5]}.mp4")  # type: ignore[operator]

    clip, plan, made = clip_of(source, 2.0, 8.0)

    assert said in made.reason
    assert made.copied_frames == 0
    assert inspect_clip(clip, plan).frames == plan.frames


def test_films_that_were_joined_keep_their_own_parameters(folder: Path) -> None:
    source = odd_footage.two_descriptions(folder / "joined.mp4")

    for start_s, end_s in ((1.0, 11.0), (5.0, 7.5)):
        clip, plan, made = clip_of(source, start_s, end_s)
        assert "parameter sets" in made.reason
        assert is_exact(clip, plan)


def test_a_picture_that_begins_long_after_the_sound_is_copied(folder: Path, steady: Path) -> None:
    late = folder / "late.mp4"
    footage.ffmpeg(
        "-itsoffset", "6", "-i", steady, "-i", steady, "-map", "0:v", "-map", "1:a", "-c", "copy", *FRONT, late
    )  # fmt: skip

    clip, _, made = clip_of(late, 8.0, 14.0)

    assert made.reason == ""
    assert numbers(footage.shown_frames(clip)) == list(range(50, 200))


def test_a_hole_within_a_frame_is_not_copied(steady: Path, folder: Path) -> None:
    info, whole = probe(steady), bytearray(steady.read_bytes())
    with av.open(str(steady)) as film:
        within = [each for each in film.demux(video=0) if 5 < (each.pts or 0) * float(each.time_base or 0) < 8]
        hit = max(within, key=lambda each: each.size)
    assert hit.pos is not None
    middle = hit.pos + hit.size // 2
    whole[middle : middle + 10] = bytes(10)
    (folder / "hole.mp4").write_bytes(whole)

    made = make_clip(folder / "hole.mp4", plan := plan_cut(2.0, 9.0, info), folder / "of-hole.mp4", info)

    assert (made.reason, made.seen.frames) == ("a frame is damaged", plan.frames)


def test_a_disk_that_is_full_is_no_doubt_about_the_media(steady: Path, tmp_path: Path) -> None:
    info = probe(steady)
    plan = plan_cut(2.0, 9.0, info)
    with disks.small_disk(tmp_path / "small", 1) as small:
        disks.fill(small)
        with pytest.raises(DiskFullError):
            _smart(steady, plan, small / "clip.mp4", info)


@pytest.mark.parametrize("byte", [b"\0", b"\xff", b"\x05"])
def test_a_damaged_group_gives_a_clip_that_plays_or_a_failure_of_that_clip(folder: Path, byte: bytes) -> None:
    source = footage.numbered(folder / "damaged.mp4", 10.0, video=AVC, mux=FRONT)
    info = probe(source)
    plan, out = plan_cut(2.0, 9.0, info), folder / "of-damaged.mp4"
    whole = bytearray(source.read_bytes())
    middle, length = len(whole) * 5 // 9, len(whole) // 9
    whole[middle : middle + length] = byte * length
    source.write_bytes(whole)

    with suppress(*CLIP_FAILURES):
        made = make_clip(source, plan, out, info)
        assert made.reason != ""
        assert inspect_clip(out, plan).frames == plan.frames


@pytest.mark.parametrize(
    "change",
    [{"rotation_deg": 90}, {"max_frame_gap_s": 0.09}, {"width": 322}, {"fps": 26.0}, {"tracks": None}],
)
def test_what_differs_from_the_plan_is_not_copied(steady: Path, change: dict[str, object]) -> None:
    info = probe(steady)
    plan = plan_cut(2.0, 8.0, info)

    assert why_not_copied(plan, info) is None
    assert why_not_copied(plan, info.model_copy(update=change)) is not None


class Damaging(io.BytesIO):
    """A file in which a byte of what is written becomes another one."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def flush(self) -> None:  # noqa: D102 - as in io
        at = int(len(self.getbuffer()) * self.share)
        self.getbuffer()[at : at + 3] = bytes(255 - byte for byte in self.getbuffer()[at : at + 3])


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8, 0.99])
def test_the_self_check_sees_a_copy_that_differs(steady: Path, share: float) -> None:
    info = probe(steady)
    plan = plan_cut(2.3, 9.0, info)
    order = {
        "tracks": (0, 1), "start_s": plan.start_s, "frames": plan.frames, "fps": (25, 1), "size_px": (320, 180),
    }  # fmt: skip

    with steady.open("rb") as source:
        assert "doubt" not in smart.cut(source, io.BytesIO(), **order)
    with steady.open("rb") as source:
        assert "doubt" in smart.cut(source, Damaging(share), **order)


def test_only_what_clips_need_is_read(folder: Path, tmp_path: Path) -> None:
    filled = (*AVC, "-x264-params", "bitrate=1500:nal-hrd=cbr:vbv-maxrate=1500:vbv-bufsize=500")
    source = footage.numbered(folder / "long.mp4", 120.0, video=filled, mux=FRONT)
    info = probe(source)
    store = ObjectStore.from_url("memory://")
    store.put_file(source, "long.mp4", "video/mp4")
    plan = plan_cut(60.3, 100.0, info)
    make_clip(source, plan, tmp_path / "whole.mp4", info)

    with store.partial("long.mp4", tmp_path / "part.mp4") as copy:
        found = key_frames.stretches(copy, (0, 1), [(plan.start_s, plan.end_s)])  # type: ignore[arg-type]
        index_bytes = copy.fetched_bytes
        copy.fetch(*found["head"], *found["spans"][0])
        made = make_clip(copy.path, plan, tmp_path / "clip.mp4", info)

    assert made.reason == ""
    assert (tmp_path / "clip.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert copy.fetched_bytes - index_bytes < 1.3 * made.seen.size_bytes < source.stat().st_size / 2


@pytest.mark.parametrize(("second", "most"), [("anullsrc=r=48000:cl=stereo", 4), ("anoisesrc=r=48000:a=0.5", 240)])
def test_a_second_sound_costs_few_requests_and_few_bytes(folder: Path, second: str, most: int) -> None:
    source = folder / f"two-{second[:5]}.mp4"
    sounds = ("-f", "lavfi", "-i", second, "-f", "lavfi", "-i", "sine=r=48000", "-map", "0", "-map", "1", "-map", "2")
    picture = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25")
    footage.ffmpeg(*picture, *sounds, "-t", "20", *AVC, "-c:a", "aac", "-b:a", "96k", *FRONT, source)
    with av.open(str(source)) as film:
        used = [each for each in film.demux(0, 2) if each.size and 5 <= (each.pts or 0) * each.time_base <= 15]

    with source.open("rb") as file:
        (found,) = key_frames.stretches(file, (0, 2), [(5.0, 15.0)])["spans"]

    fetched_bytes = sum(end - begin for begin, end in found)
    assert len(found) < most < len(used)
    assert all(any(begin <= (each.pos or 0) < end for begin, end in found) for each in used)
    assert fetched_bytes < 1.3 * 1.5 * sum(each.size for each in used)  # 5 s around the 10 are needed, too


def test_a_copied_clip_comes_out_the_same_twice(steady: Path, folder: Path) -> None:
    info = probe(steady)
    plan = plan_cut(2.3, 9.0, info)
    made = [make_clip(steady, plan, folder / f"again{n}.mp4", info) for n in range(2)]

    assert replace(made[0]) == made[1]
    assert (folder / "again0.mp4").read_bytes() == (folder / "again1.mp4").read_bytes()
