"""Claims about what may be asked of pictures: one wish has one form and one ID, and sizes do not enlarge nonsense."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from madvision_assets.domain.clips import Role
from madvision_assets.domain.renditions import (
    MAX_ENLARGEMENT,
    RENDITIONS,
    CaptionStyle,
    PictureOptions,
    Shape,
    crop_size,
    finished_size,
    shape_of,
)
from madvision_assets.domain.video import Options, cut_id

SIDES = st.integers(16, 4096).map(lambda side: side * 2)


def test_what_is_not_asked_for_is_not_written_down() -> None:
    assert Options().model_dump(mode="json") == {"max_clips": 10, "min_clip_s": 10.0, "max_clip_s": 60.0}
    assert cut_id("web-a", Options(renditions=())) == "web-a"
    assert cut_id("web-a", Options(renditions=("source",))) == "web-a"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"renditions": ["square", "vertical"]}, {"renditions": ["Vertical ", "square", "vertical", "source"]}),
        ({"captions": "bold"}, {"captions": "Bold", "renditions": ["source"]}),
        ({"captions": ""}, {}),
    ],
)
def test_the_same_wish_has_the_same_id(one: dict[str, object], other: dict[str, object]) -> None:
    first, second = Options.model_validate(one), Options.model_validate(other)
    assert cut_id("web-a", first) == cut_id("web-a", second)


def test_other_pictures_are_another_partition_and_the_same_moments() -> None:
    asked = Options(renditions=(Shape.VERTICAL,), captions=CaptionStyle.BOLD)
    assert cut_id("web-a", asked) != cut_id("web-a", Options())
    assert asked.moments == Options()
    assert asked.speech == {}


@pytest.mark.parametrize(
    ("renditions", "captions", "pictures", "captioned"),
    [
        ((), None, (), ()),
        (("vertical",), None, ("vertical",), ()),
        ((), "plain", ("source",), ("source",)),
        (("vertical",), "plain", ("vertical",), ("vertical",)),
        (("vertical", "source"), "plain", ("source", "vertical"), ("source", "vertical")),
    ],
)
def test_captions_go_into_the_shapes_that_are_named_else_into_the_source_s(
    renditions: tuple[str, ...], captions: str | None, pictures: tuple[str, ...], captioned: tuple[str, ...]
) -> None:
    asked = Options.model_validate({"renditions": renditions, "captions": captions})
    assert (asked.pictures, asked.captioned) == (pictures, captioned)


@pytest.mark.parametrize("wrong", [{"renditions": ["round"]}, {"renditions": [3]}, {"captions": "comic"}])
def test_what_there_is_not_is_refused_by_what_there_is(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        Options.model_validate(wrong)
    known = Shape if "renditions" in wrong else CaptionStyle
    assert all(name.value in str(refused.value) for name in known)


@pytest.mark.parametrize(
    ("wrong", "known"),
    [
        ({"renditions": "vertical"}, Shape),
        ({"renditions": None}, Shape),
        ({"captions": 3}, CaptionStyle),
        ({"captions": []}, CaptionStyle),
    ],
)
def test_what_is_no_list_and_no_word_is_refused_by_what_there_is(
    wrong: dict[str, object], known: Iterable[str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        Options.model_validate(wrong)
    assert all(name in str(refused.value) for name in known)


WISHES = st.builds(
    PictureOptions,
    captions=st.none() | st.sampled_from(CaptionStyle),
    renditions=st.lists(st.sampled_from(Shape), max_size=5).map(tuple),
)


@given(WISHES)
def test_each_picture_that_is_made_has_a_role_and_captions_where_its_name_says_so(wish: PictureOptions) -> None:
    assert set(wish.files) <= RENDITIONS
    assert {name: style for name, style in wish.files.items() if style} == {
        shape.captioned: wish.captions for shape in wish.captioned
    }
    assert {shape_of(name) for name in wish.files} == set(wish.pictures)


@given(WISHES, WISHES)
def test_two_wishes_differ_by_what_is_made_and_what_is_gone(before: PictureOptions, after: PictureOptions) -> None:
    made, gone = after.beyond(before), after.without(before)
    assert {name: style for name, style in before.files.items() if name not in gone} | {
        name: after.files[name] for name in made
    } == after.files
    assert set(made) == {name for name, style in after.files.items() if before.files.get(name, 0) != style}
    assert (before == after) is (not made and not gone)


def test_other_captions_are_another_picture_and_the_clean_one_stays() -> None:
    bold, plain = (PictureOptions(captions=style, renditions=("vertical",)) for style in ("bold", "plain"))
    assert plain.beyond(bold) == ("vertical_captions",)
    assert plain.without(bold) == ()


def test_each_rendition_has_a_role_of_its_name() -> None:
    assert {role.value for role in Role if role.is_rendition} == RENDITIONS
    assert len({role.suffix for role in Role}) == len(Role)


@given(st.sampled_from(Shape), SIDES, SIDES)
def test_a_cut_out_lies_inside_and_a_picture_is_even_and_not_enlarged_much(
    shape: Shape, width: int, height: int
) -> None:
    crop, finished = crop_size(shape, width, height), finished_size(shape, width, height)
    assert crop[0] <= width
    assert crop[1] <= height
    assert (finished[0] % 2, finished[1] % 2) == (0, 0)
    if shape.width:
        assert finished[0] <= min(shape.width, MAX_ENLARGEMENT * crop[0] + 1)
        assert finished[1] <= min(shape.height, MAX_ENLARGEMENT * crop[1] + 1)


@pytest.mark.parametrize(
    ("shape", "size"), [(Shape.VERTICAL, (1080, 1920)), (Shape.SQUARE, (1080, 1080)), (Shape.PORTRAIT, (1080, 1350))]
)
def test_a_full_hd_source_gives_the_platforms_sizes(shape: Shape, size: tuple[int, int]) -> None:
    assert finished_size(shape, 1920, 1080) == size
