"""Renditions: in which shapes a clip is wanted, with which captions burnt in, and how large their pictures are."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Self, overload

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from madvision_assets.domain.provenance import Value

LONGEST_SIDE_PX, SHORTEST_SIDE_PX = 1920, 1080
# A picture is enlarged at most so often: beyond it a larger file shows nothing more.
MAX_ENLARGEMENT = 2.0
# What differs so little from the wanted shape already is taken whole.
SAME_SHAPE = 0.02
MIN_SIDE_PX = 2


class Shape(StrEnum):
    """The shape of a picture.

    Attributes:
        width: of the finished picture, pixels; 0 for that of the source.
        height: likewise.
    """

    width: int
    height: int

    @overload
    def __new__(cls, name: str) -> Self: ...
    @overload
    def __new__(cls, name: str, width: int, height: int) -> Self: ...
    def __new__(cls, name: str, width: int = 0, height: int = 0) -> Self:
        """A member; with its name alone, mypy takes it for a look-up."""
        member = str.__new__(cls, name)
        member._value_, member.width, member.height = name, width, height
        return member

    SOURCE = "source", 0, 0
    VERTICAL = "vertical", SHORTEST_SIDE_PX, LONGEST_SIDE_PX
    SQUARE = "square", SHORTEST_SIDE_PX, SHORTEST_SIDE_PX
    PORTRAIT = "portrait", SHORTEST_SIDE_PX, 1350

    @property
    def captioned(self) -> str:
        """Name of the same rendition with captions burnt in."""
        return f"{self.value}_captions"

    def aspect_of(self, width: int, height: int) -> float:
        """Width by height of the finished picture, for a source of this size."""
        return self.width / self.height if self.width else width / height


class CaptionStyle(StrEnum):
    """How burnt-in captions look.

    ``bold``: the word that is spoken stands out in colour; ``karaoke``: words take on colour as they are spoken;
    ``plain``: white in a dark box.
    """

    BOLD = "bold"
    KARAOKE = "karaoke"
    PLAIN = "plain"


NO_SHAPE = f"give a list of shapes, of which there are {', '.join(Shape)}"
NO_STYLE = f"give a style of which there are {', '.join(CaptionStyle)}, or leave it out"


def _known_shapes(told: object) -> tuple[Shape, ...]:
    if not isinstance(told, list | tuple | set):
        raise ValueError(NO_SHAPE)  # noqa: TRY004 - pydantic tells of no other
    names = tuple(shape.strip().lower() if isinstance(shape, str) else shape for shape in told)
    if not all(isinstance(name, str) and (not name or name in set(Shape)) for name in names):
        raise ValueError(NO_SHAPE)
    return tuple(Shape(name) for name in names if name)


def _known_style(told: object) -> CaptionStyle | None:
    plain = "" if told is None else told.strip().lower() if isinstance(told, str) else None
    if plain is None or (plain and plain not in set(CaptionStyle)):
        raise ValueError(NO_STYLE)
    return CaptionStyle(plain) if plain else None


Shapes = Annotated[tuple[Shape, ...], BeforeValidator(_known_shapes)]
Style = Annotated[CaptionStyle | None, BeforeValidator(_known_style)]


def _is_unasked(value: object) -> bool:
    return not value


class PictureOptions(Value):
    """What may be asked of the pictures of clips.

    Attributes:
        captions: the style in which captions are burnt into pictures; None for none. Each has a clean one beside it.
        renditions: the shapes that are wanted besides the source's own, which is always there. With captions, those
            that are named get them: the source's own where none is.
    """

    # What is not asked for is left out: documents and rows stay as they were, for versions before it too.
    captions: Annotated[Style, Field(examples=["bold"], exclude_if=_is_unasked)] = None
    renditions: Annotated[Shapes, Field(examples=[["vertical", "square"]], exclude_if=_is_unasked)] = ()

    @field_validator("renditions", mode="after")
    @classmethod
    def _one_form(cls, shapes: tuple[Shape, ...], told: ValidationInfo) -> tuple[Shape, ...]:
        return in_order(shapes, told.data.get("captions"))

    @property
    def captioned(self) -> tuple[Shape, ...]:
        """The shapes that get captions."""
        return captioned_shapes(self.renditions, self.captions)

    @property
    def pictures(self) -> tuple[Shape, ...]:
        """The shapes for which a picture is made besides the clip as it was cut."""
        return tuple(shape for shape in Shape if shape in {*self.renditions, *self.captioned})

    @property
    def files(self) -> Mapping[str, CaptionStyle | None]:
        """The pictures that are made besides the clip as it was cut, by name: in which style their captions are."""
        made: dict[str, CaptionStyle | None] = {}
        for shape in self.pictures:
            made |= {} if shape is Shape.SOURCE else {shape.value: None}
            made |= {shape.captioned: self.captions} if shape in self.captioned else {}
        return made

    def beyond(self, before: "PictureOptions") -> tuple[str, ...]:
        """The names of the pictures that these ask for and those before did not, or with other captions."""
        return tuple(name for name, style in self.files.items() if (name, style) not in before.files.items())

    def without(self, before: "PictureOptions") -> tuple[str, ...]:
        """The names of the pictures that those before asked for and these do not."""
        return tuple(name for name in before.files if name not in self.files)


RENDITIONS = frozenset(name for shape in Shape for name in (shape.value, shape.captioned)) - {Shape.SOURCE.value}
"""The names of the pictures that are made of a clip only where they are asked for."""


def shape_of(name: str) -> Shape:
    """The shape of a picture, by its name.

    Raises:
        KeyError: no picture is called so.
    """
    return {each: shape for shape in Shape for each in (shape.value, shape.captioned)}[name]


def in_order(shapes: Iterable[Shape], captions: CaptionStyle | None) -> tuple[Shape, ...]:
    """What is asked for in one form, so that the same wish has the same ID: each once, in the order of ``Shape``.

    The source's own shape is there anyway; it counts only where it is to have captions beside others. Where captions
    are asked for and no shape, they are burnt into that of the source, too.
    """
    asked = tuple(shape for shape in Shape if shape in set(shapes))
    usual = asked == (Shape.SOURCE,) or not captions
    return tuple(shape for shape in asked if not (usual and shape is Shape.SOURCE))


def captioned_shapes(shapes: Iterable[Shape], captions: CaptionStyle | None) -> tuple[Shape, ...]:
    """The shapes that get captions: those asked for, else the source's."""
    return (tuple(shapes) or (Shape.SOURCE,)) if captions else ()


def finished_size(shape: Shape, width: int, height: int) -> tuple[int, int]:
    """Size of the finished picture, even: the shape's own, less where that would enlarge the source too much.

    Args:
        shape: wanted.
        width: of the source, pixels as shown.
        height: likewise.
    """
    if not shape.width:
        return even(width), even(height)
    crop_width, crop_height = crop_size(shape, width, height)
    scale = min(1.0, MAX_ENLARGEMENT * crop_width / shape.width, MAX_ENLARGEMENT * crop_height / shape.height)
    return even(shape.width * scale), even(shape.height * scale)


def crop_size(shape: Shape, width: int, height: int) -> tuple[int, int]:
    """Size of the largest cut-out of the source that has this shape, even and inside it."""
    aspect = shape.aspect_of(width, height)
    if abs(width / height / aspect - 1) <= SAME_SHAPE:
        return width, height
    if width / height > aspect:
        return min(width, even(height * aspect)), height
    return width, min(height, even(width / aspect))


def even(side_px: float) -> int:
    """The nearest even number of pixels, at least 2."""
    return max(MIN_SIDE_PX, 2 * round(side_px / 2))
