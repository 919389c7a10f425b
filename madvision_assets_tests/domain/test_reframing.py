"""Claims about what a picture of another shape shows of a clip, by what was seen in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.crop_path import MAX_STEP
from madvision_assets.domain.faces import Face, Look, Seen, cuts, followed
from madvision_assets.domain.framing import Framing, Layout, changes
from madvision_assets.domain.reframing import MAX_STRETCHES, faces_shown, framing
from madvision_assets.domain.renditions import Shape

WIDTH, HEIGHT, FPS, EVERY = 1920, 1080, 25.0, 6


def face(x: float, y: float = 500.0, size: float = 200.0, mouth: float = 0.0) -> Face:
    """A face around a point."""
    return Face(x - size / 2, y - size / 2, size, size, 0.9, mouth)


def seen(*looks: tuple[Face, ...], cuts: tuple[int, ...] = (), moving: float = 0.2, stirring: float = 0.3) -> Seen:
    """A clip whose looks are these, one each 6 frames."""
    told = tuple(Look(EVERY * at, faces, moving, stirring, 0.1) for at, faces in enumerate(looks))
    return Seen(WIDTH, HEIGHT, FPS, EVERY * len(looks), cuts, told, "detector")


def layouts(framed: Framing) -> list[tuple[int, Layout]]:
    return [(scene.first_frame, scene.layout) for scene in framed.scenes]


def inside(framed: Framing, frame: int, who: Face) -> bool:
    left, top = framed.place(frame)
    across = left <= who.left and who.right <= left + framed.crop_width
    return across and top <= who.top and who.bottom <= top + framed.crop_height


@pytest.mark.parametrize("shape", [Shape.VERTICAL, Shape.SQUARE, Shape.PORTRAIT])
def test_a_face_that_stays_is_shown_by_a_cut_out_that_stands_still(shape: Shape) -> None:
    shaky = [(face(700 + (at * 37) % 40),) for at in range(40)]
    framed = framing(seen(*shaky), shape)
    assert [(scene.layout, len(scene.path)) for scene in framed.scenes] == [(Layout.CROP, 1)]
    assert all(inside(framed, EVERY * at, who) for at, (who,) in enumerate(shaky))


def test_a_face_that_moves_is_followed_without_a_jerk() -> None:
    path = [(face(300 + 30 * at),) for at in range(40)]
    framed = framing(seen(*path), Shape.VERTICAL)
    assert all(inside(framed, EVERY * at, who) for at, (who,) in enumerate(path))
    assert max(pixels for _, pixels in changes(framed)) <= MAX_STEP * framed.crop_width


def test_a_face_that_is_lost_for_a_moment_is_not_left() -> None:
    path: list[tuple[Face, ...]] = [(face(400 + 10 * at),) for at in range(40)]
    path[10:15] = [()] * 5
    framed = framing(seen(*path), Shape.VERTICAL)
    assert [scene.layout for scene in framed.scenes] == [Layout.CROP]
    assert all(inside(framed, EVERY * at, face(400 + 10 * at)) for at in range(40))


def test_nothing_moves_across_a_cut() -> None:
    looks = [(face(300),)] * 10 + [(face(1600),)] * 10
    framed = framing(seen(*looks, cuts=(60,)), Shape.VERTICAL)
    assert [scene.first_frame for scene in framed.scenes] == [0, 60]
    assert inside(framed, 59, face(300))
    assert inside(framed, 60, face(1600))
    assert changes(framed) == []


def test_several_faces_that_fit_are_shown_together() -> None:
    framed = framing(seen(*[(face(800), face(1050))] * 10), Shape.VERTICAL)
    assert all(inside(framed, 30, each) for each in (face(800), face(1050)))


def test_of_two_far_apart_whoever_speaks_is_shown() -> None:
    one = (face(300, mouth=9.0), face(1600, mouth=0.5))
    other = (face(300, mouth=0.5), face(1600, mouth=9.0))
    framed = framing(seen(*[one] * 12, *[other] * 12, *[one] * 12), Shape.VERTICAL)
    assert [(scene.first_frame, scene.layout) for scene in framed.scenes] == [
        (0, Layout.CROP), (72, Layout.CROP), (144, Layout.CROP),
    ]  # fmt: skip
    assert [inside(framed, frame, face(1600)) for frame in (40, 100, 180)] == [False, True, False]


def test_a_word_in_between_is_no_turn() -> None:
    one = (face(300, mouth=9.0), face(1600, mouth=0.5))
    word = (face(300, mouth=0.5), face(1600, mouth=9.0))
    framed = framing(seen(*[one] * 12, word, *[one] * 12), Shape.VERTICAL)
    assert len(framed.scenes) == 1


@pytest.mark.parametrize("mouth", [0.0, 5.0])
def test_where_it_is_not_to_be_told_who_speaks_both_are_shown_one_above_the_other(mouth: float) -> None:
    both = face(300, mouth=mouth), face(1600, mouth=mouth)
    framed = framing(seen(*[both] * 20), Shape.VERTICAL)
    [scene] = framed.scenes
    assert scene.layout is Layout.SPLIT
    for who, tile in zip(both, scene.tiles, strict=True):
        assert tile.left <= who.left
        assert who.right <= tile.left + tile.width
        assert tile.top <= who.top
        assert who.bottom <= tile.top + tile.height


def test_without_sound_moving_mouths_say_nothing() -> None:
    both = face(300, mouth=9.0), face(1600, mouth=0.0)
    silent = seen(*[both] * 20)
    looks = tuple(Look(look.frame, look.faces, look.moving, look.stirring, 0.0) for look in silent.looks)
    framed = framing(Seen(WIDTH, HEIGHT, FPS, silent.frames, (), looks), Shape.VERTICAL)
    assert [scene.layout for scene in framed.scenes] == [Layout.SPLIT]


def test_a_crowd_is_shown_whole() -> None:
    crowd = tuple(face(60 + 94 * at, size=80) for at in range(20))
    assert layouts(framing(seen(*[crowd] * 10), Shape.VERTICAL)) == [(0, Layout.FIT)]


@pytest.mark.parametrize(
    "clip",
    [
        seen(*[()] * 10),  # no face
        seen(*[(face(900),)] * 10, moving=0.0, stirring=0.0),  # a face in a still picture
        seen(*[(face(1800, 960, 120),)] * 10, moving=0.0),  # a small one in a corner of a slide
        seen(),  # nothing was looked at
    ],
)
def test_what_has_no_face_to_follow_is_shown_whole(clip: Seen) -> None:
    assert layouts(framing(clip, Shape.VERTICAL)) == [(0, Layout.FIT)]


def test_a_face_in_the_background_does_not_count() -> None:
    framed = framing(seen(*[(face(500, size=300), face(1700, size=60))] * 10), Shape.VERTICAL)
    assert inside(framed, 20, face(500, size=300))


def test_a_source_of_the_shape_is_taken_whole() -> None:
    upright = Seen(1080, 1920, FPS, 100, (), (Look(0, (face(300),)),))
    framed = framing(upright, Shape.VERTICAL)
    assert (framed.crop_width, framed.crop_height) == (1080, 1920)
    assert [(scene.layout, scene.path) for scene in framed.scenes] == [(Layout.CROP, ((0, 0),))]


def test_a_tall_source_is_cut_above_and_below() -> None:
    looks = tuple(Look(EVERY * at, (face(500, 1500),), 0.2, 0.3) for at in range(10))
    framed = framing(Seen(1080, 1920, FPS, 60, (), looks), Shape.SQUARE)
    assert not framed.is_across
    assert inside(framed, 30, face(500, 1500))


def test_a_picture_that_changes_its_ways_too_often_keeps_to_one() -> None:
    looks = [((face(400),) if at // 6 % 2 else ()) for at in range(6 * 60)]
    framed = framing(seen(*looks, cuts=tuple(range(36, 36 * 60, 36))), Shape.VERTICAL)
    assert len(list(framed.stretches())) <= MAX_STRETCHES


def test_faces_are_told_where_they_stand_in_the_finished_picture() -> None:
    clip = seen(*[(face(960, 540, 200),)] * 10)
    framed = framing(clip, Shape.VERTICAL)
    [*boxes] = faces_shown(clip, framed)(0.3, 1.0)
    assert all(box.top + box.height / 2 == pytest.approx(960, abs=2) for box in boxes)
    assert all(box.width == pytest.approx(200 * 1080 / framed.crop_width) for box in boxes)


def test_a_framing_is_kept_in_few_bytes_and_read_again() -> None:
    framed = framing(seen(*[(face(300 + 4 * at),) for at in range(200)]), Shape.VERTICAL)
    kept = framed.model_dump_json()
    assert Framing.model_validate(json.loads(kept)) == framed
    assert len(kept) < 2000


FACES = st.lists(
    st.builds(face, st.floats(0, 1920), st.floats(0, 1080), st.floats(20, 900), st.floats(0, 20)), max_size=4
).map(tuple)


@given(st.lists(FACES, max_size=20), st.sampled_from([Shape.VERTICAL, Shape.SQUARE, Shape.PORTRAIT]), st.booleans())
def test_whatever_is_seen_each_frame_is_framed_inside_the_picture(
    looks: list[tuple[Face, ...]], shape: Shape, cut: bool
) -> None:
    clip = seen(*looks, cuts=(len(looks) // 2 * EVERY,) if cut and len(looks) > 1 else ())
    framed = framing(clip, shape)
    assert framed.scenes[0].first_frame == 0
    for scene, first, end in framed.spans():
        assert first < end or not looks
        if scene.layout is Layout.CROP:
            for frame in range(first, end):
                left, top = framed.place(frame)
                assert 0 <= left <= WIDTH - framed.crop_width
                assert 0 <= top <= HEIGHT - framed.crop_height
        for tile in scene.tiles:
            assert min(tile.left, tile.top) >= 0
            assert tile.left + tile.width <= WIDTH
            assert tile.top + tile.height <= HEIGHT


def test_a_shot_begins_where_a_picture_differs_and_not_where_it_flickers() -> None:
    quiet = [0.02] * 40
    assert cuts([*quiet[:20], 0.8, *quiet[21:]]) == [20]
    assert cuts([0.0, *[0.5] * 39]) == []
    assert cuts([*quiet[:38], 0.9, 0.02]) == []


def test_two_faces_that_pass_each_other_stay_two() -> None:
    looks = [Look(EVERY * at, (face(400 + 60 * at, 300), face(1600 - 60 * at, 700))) for at in range(20)]
    tracks = followed(looks, FPS)
    assert sorted(len(track.faces) for track in tracks) == [20, 20]
