"""Claims about pictures: whole frames, the right colours, and tags that say which they are."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from madvision_assets.domain.cutting import plan_cut
from madvision_assets.domain.video import MediaInfo
from madvision_assets.tools.media.cut import cut_clip, inspect_clip
from madvision_assets.tools.media.normalise import to_mp4
from madvision_assets.tools.media.probe import probe
from madvision_assets_tests import footage, odd_footage

pytestmark = pytest.mark.whole

GREEN, ORANGE = "0x00ff00", "0xd06010"
UNTAGGED = "setparams=colorspace=unknown"
NEAR = 3  # of 255
BT709, SMPTE170M, LIMITED = 1, 6, 1
RGB = ("-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0")
# Of BT.601 and BT.709, as players reckon; ffmpeg is not asked, since it is what is tried.
LUMA = {BT709: (0.2126, 0.0722), SMPTE170M: (0.299, 0.114)}


def cut(source: Path, info: MediaInfo, folder: Path, seconds: float = 0.4) -> Path:
    made = to_mp4(source, folder, info)
    made_info = info if made == source else probe(made)
    plan = plan_cut(0.2, 0.2 + seconds, made_info)
    out = folder / "clip.mp4"
    cut_clip(made, plan, out, made_info.tracks)
    inspect_clip(out, plan)
    return out


def frames_of(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def shown(frame: Any) -> tuple[int, int, int]:
    """The colour in the middle, as a player shows it that goes by the tags."""
    red, blue = LUMA[frame.colorspace]
    planes = frame.to_ndarray()
    height, width = frame.height, frame.width
    y = float(planes[height // 2, width // 2])
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    cb, cr = (float(each[height // 4, width // 4]) for each in chroma)
    y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    r, g, b = (round(255 * min(1.0, max(0.0, each))) for each in (r, g, b))
    return r, g, b


def assert_shows(path: Path, colour: str, matrix: int) -> None:
    frame = frames_of(path)[3]
    assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", matrix, LIMITED)
    assert frame.color_primaries not in {0, 2}
    assert frame.color_trc not in {0, 2}
    wanted = [int(colour[at : at + 2], 16) for at in (2, 4, 6)]
    assert np.abs(np.subtract(shown(frame), wanted)).max() <= NEAR, shown(frame)


def combed(path: Path) -> float:
    """How much rows differ from the next but one less than from the next: above 1 where fields are woven together."""
    found = []
    for frame in frames_of(path)[5:15]:
        grey = frame.reformat(format="gray").to_ndarray().astype(np.float32)
        next_but_one = np.abs(grey[2:] - grey[:-2]).mean()
        found.append(float(np.abs(grey[1:-1] - (grey[2:] + grey[:-2]) / 2).mean() / next_but_one))
    return max(found)


@pytest.mark.parametrize(("colour", "size", "matrix"), [(GREEN, "1280x720", BT709), (ORANGE, "640x360", SMPTE170M)])
@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp4", RGB), ("a.mkv", ("-c:v", "png")), ("a.avi", ("-c:v", "rawvideo", "-pix_fmt", "bgr24")),
     ("a.mov", ("-c:v", "qtrle"))],
)  # fmt: skip
def test_rgb_is_shown_in_its_own_colours(
    tmp_path: Path, colour: str, size: str, matrix: int, name: str, options: tuple[str, ...]
) -> None:
    source = odd_footage.coloured(tmp_path / name, colour, size, *options)

    assert_shows(cut(source, probe(source), tmp_path), colour, matrix)


@pytest.mark.parametrize(
    ("size", "matrix", "coded"),
    [
        ("1280x720", BT709, "out_color_matrix=bt709:out_range=tv"),
        ("640x360", SMPTE170M, "out_color_matrix=bt601:out_range=tv"),
        ("1280x720", BT709, "out_color_matrix=bt709:out_range=pc"),
    ],
)
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_luma_and_chroma_without_a_tag_are_taken_by_size_and_tagged(
    tmp_path: Path, size: str, matrix: int, coded: str, codec: str
) -> None:
    pixels = f"format={'yuvj420p' if 'pc' in coded else 'yuv420p'}"
    source = odd_footage.coloured(
        tmp_path / "untagged.mkv", ORANGE, size, "-c:v", codec, filters=f",scale={coded},{pixels},{UNTAGGED}"
    )

    assert_shows(cut(source, probe(source), tmp_path), ORANGE, matrix)


@pytest.mark.parametrize("transfer", ["bt2020-10", "smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("codec", ["libx265", "ffv1"])
def test_wide_colours_and_hdr_become_bt709(tmp_path: Path, transfer: str, codec: str) -> None:
    wide = ",zscale=matrixin=gbr:primariesin=709:transferin=709:rangein=full:matrix=2020_ncl:primaries=2020"
    wide += f":transfer={transfer}:range=tv:npl=100,format=yuv420p10le"
    options = ("-c:v", codec, *(("-x265-params", "log-level=none") if codec == "libx265" else ()))
    source = odd_footage.coloured(tmp_path / "wide.mkv", ORANGE, "1280x720", *options, filters=wide)

    frame = frames_of(cut(source, probe(source), tmp_path))[5]

    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (BT709, BT709, BT709)
    assert frame.format.name == "yuv420p"
    red, green, blue = shown(frame)
    assert red > green + 40 > blue + 50  # still orange; how bright is the tone curve's choice


@pytest.mark.parametrize("first", ["tff", "bff"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", ()), ("a.ts", ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-q:v", "2")),
     ("a.mov", ("-c:v", "prores_ks", "-flags", "+ildct"))],
)  # fmt: skip
def test_interlaced_pictures_become_whole_and_are_said_to_be(
    tmp_path: Path, first: str, name: str, codec: tuple[str, ...]
) -> None:
    source = odd_footage.interlaced(tmp_path / name, first=first, codec=codec)
    whole = tmp_path / "progressive.mp4"
    footage.ffmpeg(*odd_footage.moving(2.0), *odd_footage.bursts(2.0), *odd_footage.X264, "-pix_fmt", "yuv420p", whole)
    info = probe(source)
    assert info.tracks is not None
    assert info.tracks.interlaced

    clip = cut(source, info, tmp_path, 1.0)

    assert combed(source) > 1.5 * combed(clip)
    assert combed(clip) < 1.2 * combed(whole)
    assert not any(frame.interlaced_frame for frame in frames_of(clip))


def test_progressive_pictures_are_left_as_they_are(tmp_path: Path) -> None:
    info = probe(footage.talking(tmp_path / "talk.mp4", 1.0))

    assert info.tracks is not None
    assert not info.tracks.interlaced
