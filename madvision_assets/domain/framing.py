"""Which part of a clip's picture a rendition shows, frame by frame: the crop path, as it is kept."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Annotated

from pydantic import Field

from madvision_assets.domain.crop_path import Knots, place_at
from madvision_assets.domain.faces import Face
from madvision_assets.domain.phrases import Box
from madvision_assets.domain.provenance import Value


class Layout(StrEnum):
    """How a scene stands in the picture.

    ``crop``: a cut-out of it fills the picture; ``fit``: all of it stands over a blurred one that fills it;
    ``split``: two cut-outs, one above the other.
    """

    CROP = "crop"
    FIT = "fit"
    SPLIT = "split"


class Tile(Value):
    """A cut-out that stands still, pixels of the clip."""

    left: int
    top: int
    width: int
    height: int


def _is_empty(value: Sequence[object]) -> bool:
    return not value


class Scene(Value):
    """A stretch of a clip that is shown in one way; it begins with a shot, or with somebody else's turn to speak.

    Attributes:
        first_frame: its first frame; it ends where the next begins.
        layout: how it is shown.
        path: for ``crop``: where the cut-out's left or upper edge is, as (frame, pixels); on a line between.
        tiles: for ``split``: the upper and the lower cut-out.
    """

    first_frame: int
    layout: Layout
    path: Annotated[Knots, Field(exclude_if=_is_empty)] = ()
    tiles: Annotated[tuple[Tile, ...], Field(exclude_if=_is_empty)] = ()


class Framing(Value):
    """The framing of a clip in one shape.

    Attributes:
        width: of the clip, pixels as shown.
        height: likewise.
        frames: how many it has.
        crop_width: of the cut-out.
        crop_height: likewise.
        finished_width: of the picture that is made of it.
        finished_height: likewise.
        scenes: in order, the first from frame 0.
        detector: what found the faces, with a hash of its weights; empty where nothing looked for any.
    """

    width: int
    height: int
    frames: int
    crop_width: int
    crop_height: int
    finished_width: int
    finished_height: int
    scenes: tuple[Scene, ...] = Field(min_length=1)
    detector: str = ""

    @property
    def is_across(self) -> bool:
        """Whether the cut-out moves to the side, rather than up and down."""
        return self.crop_width < self.width

    @property
    def finished(self) -> tuple[int, int]:
        """Size of the finished picture."""
        return self.finished_width, self.finished_height

    def spans(self) -> Iterator[tuple[Scene, int, int]]:
        """Each scene with its first frame and that after its last."""
        ends = [*(scene.first_frame for scene in self.scenes[1:]), self.frames]
        for scene, end in zip(self.scenes, ends, strict=True):
            yield scene, scene.first_frame, end

    def stretches(self) -> Iterator[tuple[Scene, int, int]]:
        """As ``spans``, neighbours that are shown in the same way as one; a path's places are those of ``place``."""
        whole = groupby(self.spans(), key=lambda span: (span[0].layout, span[0].tiles))
        for _, group in whole:
            spans = list(group)
            yield spans[0][0], spans[0][1], spans[-1][2]

    def place(self, frame: int) -> tuple[int, int]:
        """Left and upper edge of the cut-out in a frame of a scene that has one."""
        scene = next(scene for scene, first, end in self.spans() if first <= frame < end)
        place = place_at(scene.path, frame)
        return (place, 0) if self.is_across else (0, place)

    def shown(self, face: Face, frame: int) -> Box:
        """Where a face of the clip stands in the finished picture; of a size of 0 where it is not in it."""
        scene = next(scene for scene, first, end in self.spans() if first <= frame < end)
        width, height = self.finished
        if scene.layout is Layout.CROP:
            left, top = self.place(frame)
            return _mapped(
                face, Tile(left=left, top=top, width=self.crop_width, height=self.crop_height), (0, 0, width, height)
            )
        if scene.layout is Layout.FIT:
            scale = min(width / self.width, height / self.height)
            wide, high = self.width * scale, self.height * scale
            whole = Tile(left=0, top=0, width=self.width, height=self.height)
            return _mapped(face, whole, ((width - wide) / 2, (height - high) / 2, wide, high))
        halves = ((0, 0, width, height / 2), (0, height / 2, width, height / 2))
        boxes = [_mapped(face, tile, half) for tile, half in zip(scene.tiles, halves, strict=True)]
        return max(boxes, key=lambda box: box.width * box.height)


def changes(framing: Framing) -> list[tuple[int, int]]:
    """How far the cut-out moved in each frame within a scene: (frame, pixels), where it moved at all."""
    moved = []
    for scene, first, end in framing.spans():
        if scene.layout is Layout.CROP:
            places = [place_at(scene.path, frame) for frame in range(first, end)]
            moved += [(first + at, abs(b - a)) for at, (a, b) in enumerate(pairwise(places), 1) if a != b]
    return moved


def _mapped(face: Face, tile: Tile, into: Sequence[float]) -> Box:
    """A face of the clip, clipped to a cut-out that fills a part of the picture (left, top, width, height)."""
    left, top, width, height = into
    across, down = width / tile.width, height / tile.height
    begin_x, end_x = max(face.left, tile.left), min(face.right, tile.left + tile.width)
    begin_y, end_y = max(face.top, tile.top), min(face.bottom, tile.top + tile.height)
    return Box(
        left + (begin_x - tile.left) * across, top + (begin_y - tile.top) * down,
        max(0.0, end_x - begin_x) * across, max(0.0, end_y - begin_y) * down,
    )  # fmt: skip
