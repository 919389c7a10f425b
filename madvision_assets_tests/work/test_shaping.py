"""Claims about the pictures that a submission asks for: all are made, and one that fails leaves the others."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from madvision_assets.domain.clips import Clips, Role
from madvision_assets.domain.transcript import Word
from madvision_assets.domain.video import Options
from madvision_assets.tools.media import cut, reframe
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import shaping
from madvision_assets_tests import footage, speakers
from madvision_assets_tests.harness import open_harness
from madvision_assets_tests.speakers import FPS, Shot, Speaker, standing
from madvision_assets_tests.work.test_render import chosen_of, raw_of, rendered

pytestmark = pytest.mark.whole
WORDS = [Word(text=text, start_s=0.4 * at, end_s=0.4 * at + 0.3) for at, text in enumerate(["measure", "it", "first"])]
SAID = "The most important lesson: measure first, because a wrong answer never improved a result."


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return speakers.video(folder / "web-a.01.mp4", [Shot(1.6, [Speaker(standing(200), [(0, 1.6)])])])


def shaped(clip: Path, folder: Path, **asked: object) -> shaping.Shaped:
    finished = shaping.Finished("web-a.01", clip, Fraction(FPS), WORDS)
    return shaping.shape(finished, Options.model_validate(asked), folder, lambda _: None)


def size(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        return container.streams.video[0].width, container.streams.video[0].height


def test_without_a_wish_nothing_is_looked_at(tmp_path: Path) -> None:
    assert shaped(tmp_path / "there-is-none.mp4", tmp_path) == shaping.Shaped()


def test_a_picture_that_fails_once_is_made_at_the_second_try(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "web-a.01.square.mp4").symlink_to("/nowhere/at/all")  # cannot be written to, until it is taken away
    made = shaped(clip, tmp_path, renditions=["square"])
    assert (made.failed, {role: size(path) for role, path in made.paths.items()}) == ({}, {Role.SQUARE: (720, 720)})


def spoil(monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    """From now on files of this role cannot be written."""
    make = reframe.make

    def spoilt(wanted: reframe.Pictures, folder: Path) -> None:
        if wanted.clean and wanted.clean.name.endswith(f".{role.suffix}"):
            wanted = replace(wanted, clean=Path("/nowhere/at/all", wanted.clean.name))
        make(wanted, folder)

    monkeypatch.setattr(reframe, "make", spoilt)


def test_a_rendition_that_fails_leaves_the_others_and_says_why(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, Role.SQUARE)
    made = shaped(clip, tmp_path, renditions=["vertical", "square"])
    assert {role: size(path) for role, path in made.paths.items()} == {Role.VERTICAL: (404, 718)}
    assert list(made.framings) == ["vertical"]
    assert list(made.failed) == ["square"]
    assert made.failed["square"].startswith("media_tool_failed: ")
    assert "/nowhere" not in made.failed["square"]


def test_a_clip_that_cannot_be_looked_at_has_none_of_its_pictures(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x20ftypisom" + bytes(4000))
    made = shaped(broken, tmp_path, renditions=["vertical"], captions="plain")
    assert made.paths == {}
    assert made.failed.keys() == {"vertical", "vertical_captions"}


def test_only_a_picture_that_failed_is_made_by_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore.from_url("memory://")
    raw = raw_of(store, footage.talking(tmp_path / "talk.mp4", 6.0))
    raw = raw.model_copy(update={"options": Options.model_validate({"renditions": ["vertical", "square"]})})
    with monkeypatch.context() as for_now:
        spoil(for_now, Role.SQUARE)
        first, _ = rendered(store, raw, chosen_of((1.0, 3.0)), tmp_path / "work")
    assert set(first.clips[0].failed) == {"square"}
    assert first.outcome_reason == "One clip is without pictures that were asked for (square)."

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the clip is cut again")

    monkeypatch.setattr(cut, "make_clip", never)
    mended, _ = rendered(store, raw, chosen_of((1.0, 3.0)), tmp_path / "work")
    again, told = rendered(store, raw, chosen_of((1.0, 3.0)), tmp_path / "work")

    (before,), (after,) = first.clips, mended.clips
    assert (mended.outcome_reason, after.failed, set(after.framings)) == ("", {}, {"vertical", "square"})
    assert after.files == {**before.files, "square": after.files["square"]}
    assert (again, told) == (mended, [])


def test_what_a_submission_asks_for_is_in_the_store_and_in_the_clip_s_document(tmp_path: Path) -> None:
    talk = footage.talking(tmp_path / "talk.mp4", 6.0)
    asked = Options.model_validate({"min_clip_s": 1, "renditions": ["square"], "captions": "bold"})
    with open_harness(tmp_path, talk) as harness:
        harness.tools.words = SAID
        harness.submit(options=asked)
        harness.tick()
        made = read_current(harness.tools.store, Clips, "web-a")
        [clip] = made.clips
        files = {role: harness.tools.store.local_path(file.key) for role, file in clip.files.items()}
        sizes = {role: size(path) for role, path in files.items() if path and path.suffix == ".mp4"}
    assert set(files) == {"source", "captions", "thumbnail", "square", "square_captions"}
    assert sizes == {"source": (320, 180), "square": (360, 360), "square_captions": (360, 360)}
    assert clip.failed == {}
    assert clip.framings["square"].frames == round(clip.duration_s * 25)
    assert Clips.model_validate_json(made.model_dump_json()) == made
    assert list((tmp_path / "work").rglob("*.mp4")) == []
