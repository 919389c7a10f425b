"""What a person may ask to be changed of the clips; ``clip_edits`` makes it."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from madvision_assets.domain.provenance import Value
from madvision_assets.domain.renditions import NO_SHAPE, NO_STYLE, Shapes, Style
from madvision_assets.domain.selection import MOST_CHARS
from madvision_assets.domain.video import MAX_DURATION_S

Rank = Annotated[int, Field(ge=1, le=1_000_000, description="Number of the clip, as it is shown.")]
Place = Annotated[float | None, Field(ge=0, le=MAX_DURATION_S)]
WordNumber = Annotated[int | None, Field(ge=0, description="Place in the list of words, from 0.")]
Title = Annotated[str, Field(max_length=10 * MOST_CHARS["title"])]


class _Edit(Value):
    model_config = ConfigDict(strict=True)


class _Points(_Edit):
    """In and out points, each in seconds from the start of the video or as a word, which is inside."""

    start_s: Place = None
    end_s: Place = None
    first_word: WordNumber = None
    last_word: WordNumber = None

    @model_validator(mode="after")
    def _one_way_each(self) -> Self:
        if None not in {self.start_s, self.first_word} or None not in {self.end_s, self.last_word}:
            raise ValueError("give each point in seconds or as a word, not both")
        return self

    @property
    def _given(self) -> int:
        return sum(each is not None for each in (self.start_s, self.end_s, self.first_word, self.last_word))


class Trim(_Points):
    """Other in and out points for a clip; a point that is not given stays as it is."""

    change: Literal["trim"]
    clip: Rank

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self._given:
            raise ValueError("give start_s, end_s, first_word or last_word")
        return self


class Retitle(_Edit):
    """Another title for a clip."""

    change: Literal["retitle"]
    clip: Rank
    title: Title


class Drop(_Edit):
    """A clip goes."""

    change: Literal["drop"]
    clip: Rank


class Add(_Points):
    """A clip of a stretch that nobody chose before; without a title it is called by a sentence of it."""

    change: Literal["add"]
    title: Title = ""

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if self._given != 2:  # noqa: PLR2004 - a beginning and an end
            raise ValueError("give where it begins (start_s or first_word) and where it ends (end_s or last_word)")
        return self


class ChoosePictures(_Edit):
    """Other shapes and captions for all clips; what is not given stays as it is."""

    change: Literal["pictures"]
    renditions: Annotated[
        Shapes,
        Field(examples=[["vertical", "square"]], description="Besides the source's own shape, which is always there."),
    ] = ()
    captions: Annotated[
        Style, Field(examples=["bold"], description="Burnt into these shapes, else the source's own; null for none.")
    ] = None

    @field_validator("captions", "renditions", mode="before")
    @classmethod
    def _names_what_it_names(cls, told: object, field: ValidationInfo) -> object:
        """Nobody wants by an empty name, such as an unset variable's, that what there is be taken away."""
        names = told if isinstance(told, list | tuple) else (told,)
        if any(isinstance(name, str) and not name.strip() for name in names):
            raise ValueError(NO_SHAPE if field.field_name == "renditions" else NO_STYLE)
        return told

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.given:
            raise ValueError("give renditions or captions")
        return self

    @property
    def given(self) -> dict[str, object]:
        """What is asked for, by name."""
        return {name: getattr(self, name) for name in ("captions", "renditions") if name in self.model_fields_set}


Edit = Annotated[Trim | Retitle | Drop | Add | ChoosePictures, Field(discriminator="change")]
