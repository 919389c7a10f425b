"""Claims about finished renditions, on videos in which the speaker's place is known in each frame."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from madvision_assets.domain.faces import Face, Seen
from madvision_assets.domain.framing import Framing, Layout, Scene, changes
from madvision_assets.domain.phrases import LETTERING
from madvision_assets.domain.reframing import framing
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.transcript import Word
from madvision_assets.tools.media import burn, detector, faces, loudness, reframe
from madvision_assets.tools.media.faces import look
from madvision_assets_tests import footage, speakers
from madvision_assets_tests.speakers import FPS, HEIGHT, WIDTH, Shot, Speaker, standing

pytestmark = pytest.mark.whole
SHAPES = [Shape.VERTICAL, Shape.SQUARE, Shape.PORTRAIT]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reframe")


@pytest.fixture(scope="module")
def moving(folder: Path) -> tuple[Path, Shot]:
    """Somebody who walks to and fro, and speaks."""
    shot = Shot(6, [Speaker(lambda time_s: (200 + 180 * np.sin(time_s / 2.2), 60), [(0, 6)])])
    return speakers.video(folder / "moving.mp4", [shot]), shot


@pytest.fixture(scope="module")
def alternating(folder: Path) -> tuple[Path, Shot]:
    """Two far apart, who speak in turn."""
    one, other = Speaker(standing(0), [(0, 3), (6, 9)]), Speaker(standing(390), [(3, 6)])
    return speakers.video(folder / "alternating.mp4", [Shot(9, [one, other])]), Shot(9, [one, other])


@pytest.fixture(scope="module")
def mixed(folder: Path) -> Path:
    """A slide, one who speaks, two who do not."""
    shots = [
        Shot(2, [], speakers.slide()),
        Shot(2, [Speaker(standing(100), [(0, 2)])], 40),
        Shot(2, [Speaker(standing(0)), Speaker(standing(390))], 120),
    ]
    return speakers.video(folder / "mixed.mp4", shots)


def share_inside(framed: Framing, where: Callable[[float], Face]) -> float:
    """In how many frames the face lies wholly inside the cut-out."""
    held = []
    for frame in range(framed.frames):
        left, top = framed.place(frame)
        who = where(frame / FPS)
        across = left <= who.left and who.right <= left + framed.crop_width
        held.append(across and top <= who.top and who.bottom <= top + framed.crop_height)
    return sum(held) / len(held)


def made(
    clip: Path, seen: Seen, framed: Framing, folder: Path, words: list[Word], style: CaptionStyle, shape: Shape
) -> tuple[Path, Path]:
    """A rendition without captions, and with them."""
    clean, captioned = folder / f"{clip.stem}.{shape}.{style}.mp4", folder / f"{clip.stem}.{shape}.{style}.captions.mp4"
    burnt = burn.captions(words, seen.frames / seen.fps, style, shape, framed.finished)
    colour = look(clip)[1]
    levelling = loudness.levelling(clip, folder)
    wanted = reframe.Pictures(clip, framed, seen.fps, colour, levelling, burnt, clean, captioned)
    reframe.make(wanted, folder)
    for path in (clean, captioned):
        reframe.check(path, wanted)
    return clean, captioned


def pictures(path: Path) -> Iterator[NDArray[np.int16]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.int16)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_face_that_walks_is_wholly_inside_in_95_percent_of_the_frames(
    moving: tuple[Path, Shot], shape: Shape
) -> None:
    path, shot = moving
    framed = framing(look(path)[0], shape)
    assert share_inside(framed, shot.speakers[0].face) >= 0.95
    assert max((pixels for _, pixels in changes(framed)), default=0) < 0.02 * framed.crop_width


def test_of_two_in_turn_the_one_who_speaks_is_inside_in_95_percent_of_the_frames(
    alternating: tuple[Path, Shot],
) -> None:
    path, shot = alternating
    framed = framing(look(path)[0], Shape.VERTICAL)

    def who(time_s: float) -> Face:
        return next(each for each in shot.speakers if each.is_speaking(time_s)).face(time_s)

    assert share_inside(framed, who) >= 0.95
    assert len(framed.scenes) == 3
    assert changes(framed) == []


def test_shots_are_framed_each_in_its_way_and_begin_on_their_frame(mixed: Path) -> None:
    seen, _ = look(mixed)
    assert seen.cuts == (50, 100)
    scenes = [(scene.first_frame, scene.layout) for scene in framing(seen, Shape.VERTICAL).scenes]
    assert scenes == [(0, Layout.FIT), (50, Layout.CROP), (100, Layout.SPLIT)]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_frame_shows_what_its_framing_says(mixed: Path, folder: Path, shape: Shape) -> None:
    seen, _ = look(mixed)
    framed = framing(seen, shape)
    clean, _ = made(mixed, seen, framed, folder, [], CaptionStyle.BOLD, shape)
    width, height = framed.finished
    whole = list(zip(pictures(mixed), pictures(clean), strict=True))
    for number in (50, 51, 75, 99):  # the cut-out, also in the first and last frames of its shot
        source, picture = whole[number]
        left, top = framed.place(number)
        wanted = source[top : top + framed.crop_height, left : left + framed.crop_width]
        sample = wanted[np.linspace(2, len(wanted) - 3, 20).astype(int)][
            :, np.linspace(2, framed.crop_width - 3, 20).astype(int)
        ]
        seen_there = picture[np.linspace(2 * height / len(wanted), height * (1 - 3 / len(wanted)), 20).astype(int)]
        seen_there = seen_there[
            :, np.linspace(2 * width / framed.crop_width, width * (1 - 3 / framed.crop_width), 20).astype(int)
        ]
        assert np.median(abs(sample - seen_there)) < 12
    slide = whole[25][1]
    page = slide[height // 2 - 20 : height // 2 + 20]
    assert page[:, [1, -2]].mean() > 200  # the page is there from edge to edge
    assert slide[2:4].mean() < page[:, [1, -2]].mean() - 15  # with something darker above it


def test_a_cut_out_of_ten_bits_that_begins_at_an_odd_pixel_keeps_its_colours(folder: Path) -> None:
    still = speakers.video(folder / "still.mp4", [Shot(0.4, [Speaker(lambda _: (200.0, 60.0))])])
    deep = folder / "deep.mp4"
    footage.ffmpeg(
        "-i", still, "-pix_fmt", "yuv420p10le", "-c:v", "libx264", "-profile:v", "high10", "-c:a", "copy", deep
    )
    seen, colour = look(deep)
    scene = Scene(first_frame=0, layout=Layout.CROP, path=((0, 143.0),))
    framed = framing(seen, Shape.SQUARE).model_copy(update={"scenes": (scene,)})
    out = folder / "deep.square.mp4"
    reframe.make(reframe.Pictures(deep, framed, seen.fps, colour, loudness.Levelling(), None, out, None), folder)
    source, picture = next(pictures(deep)), next(pictures(out))
    wanted = source[:, 143 : 143 + framed.crop_width].mean((0, 1))
    assert abs(picture.mean((0, 1)) - wanted).max() < 6


def test_captions_stay_in_the_safe_area_and_are_all_that_differs(moving: tuple[Path, Shot], folder: Path) -> None:
    path, _ = moving
    seen, _ = look(path)
    words = [
        Word(text=t, start_s=0.5 * at, end_s=0.5 * at + 0.4)
        for at, t in enumerate(["Why", "measurements", "matter", "most:", "mammoth", "wrongs"] * 2)
    ]
    for shape, style in ((Shape.VERTICAL, CaptionStyle.BOLD), (Shape.SQUARE, CaptionStyle.PLAIN)):
        framed = framing(seen, shape)
        clean, captioned = made(path, seen, framed, folder, words, style, shape)
        inked = np.zeros((framed.finished_height, framed.finished_width), bool)
        for one, other in list(zip(pictures(clean), pictures(captioned), strict=True))[::5]:
            inked |= abs(one - other).max(2) > 60
        rows, columns = np.nonzero(inked)
        side = LETTERING[shape].side * framed.finished_width
        assert columns.min() >= side - 6
        assert columns.max() <= framed.finished_width - side + 6
        assert rows.min() >= 0.1 * framed.finished_height
        assert rows.max() <= (0.8 if shape is Shape.VERTICAL else 0.95) * framed.finished_height
        assert len(rows) > 500


def test_sound_comes_out_at_the_platforms_loudness(moving: tuple[Path, Shot], folder: Path) -> None:
    path, _ = moving
    seen, _ = look(path)
    _, captioned = made(path, seen, framing(seen, Shape.SQUARE), folder, [], CaptionStyle.KARAOKE, Shape.SQUARE)
    found = loudness.measure(captioned, folder)
    assert found.lufs == pytest.approx(loudness.TARGET_LUFS, abs=0.5)
    assert found.true_peak_db <= -1.5


def test_peaks_are_held_down_where_the_gain_would_make_them_clip(folder: Path) -> None:
    path = folder / "peaks.mp4"
    pops = "aevalsrc='0.04*sin(2*PI*300*t)+0.5*sin(2*PI*900*t)*lt(mod(t,1),0.03)':d=8:s=48000"
    tone = ("-f", "lavfi", "-i", pops, "-f", "lavfi", "-i", "color=s=64x64:d=8", "-c:a", "aac", "-shortest")
    footage.ffmpeg(*tone, path)
    levelling = loudness.levelling(path, folder)
    assert levelling.limited
    found = loudness.measure(path, folder, levelling)
    assert found.true_peak_db <= -1.5
    assert found.lufs == pytest.approx(loudness.TARGET_LUFS, abs=1.0)


def test_silence_is_left_alone(folder: Path) -> None:
    path = folder / "silent.mp4"
    footage.ffmpeg(
        "-f", "lavfi", "-i", "anullsrc=d=2", "-f", "lavfi", "-i", "color=s=64x64:d=2", "-c:a", "aac", "-shortest", path
    )
    assert loudness.levelling(path, folder) == loudness.Levelling()


def test_without_the_detector_s_weights_pictures_are_shown_whole(
    moving: tuple[Path, Shot], monkeypatch: pytest.MonkeyPatch
) -> None:
    from madvision_assets.tools.media import looking

    monkeypatch.setattr(detector, "load", lambda: None)
    with moving[0].open("rb") as file:
        told = looking.looked_at(file)
    assert (told["model"], {len(each["faces"]) for each in told["looks"]}) == ("", {0})


def test_weights_other_than_those_that_are_known_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = detector.weights()
    assert known is not None
    other = tmp_path / "centerface.onnx"
    other.write_bytes(known.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(detector, "weights", lambda: other)
    detector.load.cache_clear()
    assert detector.load() is None
    detector.load.cache_clear()


def test_the_detector_finds_a_face_where_it_was_marked(moving: tuple[Path, Shot]) -> None:
    path, shot = moving
    seen, colour = faces.look(path)
    assert seen.model == detector.NAME
    assert colour.pixel_format == "yuv420p"
    assert (seen.width, seen.height, seen.frames, Fraction(seen.fps)) == (WIDTH, HEIGHT, 150, Fraction(FPS))
    for each in seen.looks:
        [found] = each.faces
        true = shot.speakers[0].face(each.frame / FPS)
        assert all(abs(a - b) < 0.15 * true.width for a, b in zip(found.middle, true.middle, strict=True))
    assert all(b.frame - a.frame <= 10 for a, b in pairwise(seen.looks))
