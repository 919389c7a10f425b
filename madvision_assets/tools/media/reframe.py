"""Makes the picture of a rendition out of a finished clip, in one run of ffmpeg for it and its twin with captions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from madvision_assets.domain.crop_path import place_at
from madvision_assets.domain.failures import BadClipError
from madvision_assets.domain.framing import Framing, Layout, Scene, Tile
from madvision_assets.domain.tracks import Colour
from madvision_assets.tools.media import apart, burn, colour
from madvision_assets.tools.media.cut import ENCODING
from madvision_assets.tools.media.ffmpeg import BUDGET_FLOOR_S, Progress, run, source, target
from madvision_assets.tools.media.loudness import Levelling

# What it may take for each second and million pixels, of the source or of what is made of it, and for each file.
BUDGET_S_PER_MEDIA_S = 10.0
BACKGROUND_PX = 160  # the background's shorter side while it is blurred: of a blurred picture no more is seen
BLUR = 6
BACKGROUND_LIGHT = -0.12
ONE_BYTE = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12")


@dataclass(frozen=True)
class Pictures:
    """What to make of a clip in one shape.

    Attributes:
        clip: the finished clip.
        framing: what of it is shown.
        fps: frames per second, as a fraction.
        colour: of the clip.
        levelling: of its sound.
        burnt: the captions; None without any.
        clean: the file to write without captions; None where it is not wanted.
        captioned: the file to write with captions; None without any.
    """

    clip: Path
    framing: Framing
    fps: float
    colour: Colour
    levelling: Levelling
    burnt: burn.Burnt | None
    clean: Path | None
    captioned: Path | None

    @property
    def duration_s(self) -> float:
        """Length of the picture."""
        return self.framing.frames / self.fps


def make(wanted: Pictures, folder: Path, progress: Progress | None = None) -> None:
    """Writes the files that are wanted; a cut-out of the clip, H.264 and AAC at -14 LUFS.

    Args:
        wanted: what to make.
        folder: scratch, where the outputs lie.
        progress: is told the share done.

    Raises:
        Failure: what ``ffmpeg.run`` raises.
    """
    outs = [out for out in (wanted.clean, wanted.captioned) if out]
    media = source(wanted.clip)
    picture = _picture(media.video, wanted, folder)
    sound = wanted.levelling.applied(media.audio)
    pictures, sounds = _copies(picture, len(outs), "split"), _copies(sound, len(outs), "asplit")
    reads = [folder]  # orders for filters, captions, and links to fonts
    if wanted.captioned and wanted.burnt:
        ass, fonts = folder / f"{wanted.captioned.stem}.ass", folder / "fonts"
        ass.write_text(wanted.burnt.ass, encoding="utf-8")
        reads += burn.font_folder(wanted.burnt, fonts)
        pictures[-1] = pictures[-1].filter("ass", filename=str(ass), fontsdir=str(fonts))
    run(
        _merged([target([p, s], out, **ENCODING) for p, s, out in zip(pictures, sounds, outs, strict=True)]),
        timeout_s=_budget_s(wanted, len(outs)), what="making a rendition", progress=progress,
        duration_s=wanted.duration_s, reads=reads,
    )  # fmt: skip


def check(path: Path, wanted: Pictures) -> None:
    """Compares a finished file with what was wanted, by what its packets say.

    Raises:
        BadClipError: it has another size, another number of frames, or no sound.
        Failure: what ``container.opened`` raises.
    """
    told = apart.result_of("packets", path)
    framing = wanted.framing
    found = told["frames"], told["width"], told["height"], told["sounds"]
    if found != (framing.frames, *framing.finished, 1):
        raise BadClipError(
            f"a rendition has {found[0]} frames of {found[1]}x{found[2]} and {found[3]} sounds instead of "
            f"{framing.frames} of {framing.finished_width}x{framing.finished_height} and 1"
        )


def _budget_s(wanted: Pictures, outs: int) -> float:
    pixels = max(
        wanted.framing.width * wanted.framing.height, wanted.framing.finished_width * wanted.framing.finished_height
    )
    return BUDGET_FLOOR_S + BUDGET_S_PER_MEDIA_S * wanted.duration_s * (1 + outs) * max(1.0, pixels / 1e6)


def _merged(outputs: Sequence[Any]) -> Any:
    import ffmpeg

    return ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]


def _copies(stream: Any, count: int, how: str) -> list[Any]:
    if count == 1:
        return [stream]
    copies = stream.filter_multi_output(how, count)
    return [copies[index] for index in range(count)]


def _picture(stream: Any, wanted: Pictures, folder: Path) -> Any:
    """The framed picture: stretches that are shown in one way, one after the other."""
    framing = wanted.framing
    stretches = list(framing.stretches())
    parts = []
    for number, (copy, (scene, first, end)) in enumerate(
        zip(_copies(stream, len(stretches), "split"), stretches, strict=True)
    ):
        part = copy
        if len(stretches) > 1:
            part = part.filter("trim", start_frame=first, end_frame=end).filter("setpts", "PTS-STARTPTS")
        parts.append(_LAYOUTS[scene.layout](part, wanted, _Stretch(number, scene, first, end, folder)))
    if len(parts) == 1:
        return parts[0]
    import ffmpeg

    return ffmpeg.concat(*parts, v=1, a=0)


@dataclass(frozen=True)
class _Stretch:
    number: int
    scene: Scene
    first: int
    end: int
    folder: Path


def _cropped(stream: Any, wanted: Pictures, stretch: _Stretch) -> Any:
    framing = wanted.framing
    if framing.finished == (framing.width, framing.height):
        return _scaled(stream, wanted, framing.finished)
    places = list(_places(framing, stretch))
    name = f"crop@{stretch.number}"
    axis = "x" if framing.is_across else "y"
    if len(set(places)) > 1:
        orders = (
            stretch.folder
            / f"{wanted.clip.stem}.{framing.finished_width}x{framing.finished_height}.{stretch.number}.cmd"
        )
        orders.write_text("".join(_orders(places, wanted.fps, name, axis)))
        stream = stream.filter("sendcmd", filename=str(orders))
    at = {"x": 0, "y": 0, axis: places[0]}
    stream = stream.filter(name, framing.crop_width, framing.crop_height, at["x"], at["y"], exact=_exact(wanted))
    return _scaled(stream, wanted, framing.finished)


def _places(framing: Framing, stretch: _Stretch) -> Iterator[int]:
    """Where the cut-out is in each frame of a stretch, which may be several scenes."""
    for scene, first, end in framing.spans():
        if stretch.first <= first < stretch.end:
            yield from (place_at(scene.path, frame) for frame in range(first, end))


def _orders(places: Sequence[int], fps: float, name: str, axis: str) -> Iterator[str]:
    for index in range(1, len(places)):
        if places[index] != places[index - 1]:  # between two frames, so that rounded times do not matter
            yield f"{(index - 0.5) / fps:.6f} {name} {axis} {places[index]};\n"


def _fitted(stream: Any, wanted: Pictures, _: _Stretch) -> Any:
    framing = wanted.framing
    width, height = framing.finished
    scale = min(width / framing.width, height / framing.height)
    size = _even(framing.width * scale), _even(framing.height * scale)
    front, back = _copies(stream, 2, "split")
    shrink = BACKGROUND_PX / min(width, height)
    small = _even(width * shrink), _even(height * shrink)
    back = back.filter("scale", *small, force_original_aspect_ratio="increase", flags="area").filter("crop", *small)
    back = back.filter("gblur", sigma=BLUR).filter("eq", brightness=BACKGROUND_LIGHT)
    return _scaled(back, wanted, (width, height)).overlay(_scaled(front, wanted, size), x="(W-w)/2", y="(H-h)/2")


def _split(stream: Any, wanted: Pictures, stretch: _Stretch) -> Any:
    import ffmpeg

    width, height = wanted.framing.finished
    upper = _even(height / 2)
    halves = []
    for copy, tile, high in zip(_copies(stream, 2, "split"), stretch.scene.tiles, (upper, height - upper), strict=True):
        halves.append(_scaled(_tile(copy, tile, wanted), wanted, (width, high)))
    return ffmpeg.filter(halves, "vstack")


def _tile(stream: Any, tile: Tile, wanted: Pictures) -> Any:
    return stream.filter("crop", tile.width, tile.height, tile.left, tile.top, exact=_exact(wanted))


def _exact(wanted: Pictures) -> int:
    """Whether a cut-out may begin at any pixel: of two bytes a sample, ffmpeg would begin in the middle of one."""
    return int(wanted.colour.pixel_format in ONE_BYTE)


def _scaled(stream: Any, wanted: Pictures, size: tuple[int, int]) -> Any:
    whole = wanted.framing.width, wanted.framing.height
    return colour.to_sdr(stream, wanted.colour, *size, whole).filter("setsar", 1)


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))


_LAYOUTS = {Layout.CROP: _cropped, Layout.FIT: _fitted, Layout.SPLIT: _split}
