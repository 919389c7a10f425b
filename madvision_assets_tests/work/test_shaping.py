"""Claims about the pictures that a submission asks for: all are made, and one that fails leaves the others."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import pytest

from madvision_assets.domain.clips import Clip, Clips, Role
from madvision_assets.domain.renditions import CaptionStyle, PictureOptions, Shape
from madvision_assets.domain.transcript import Segment, Word
from madvision_assets.domain.video import Options
from madvision_assets.tools.media import cut, reframe
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import shaping
from madvision_assets.work.render import ClipRenderer
from madvision_assets_tests import footage, speakers
from madvision_assets_tests.harness import open_harness
from madvision_assets_tests.speakers import FPS, Shot, Speaker, standing
from madvision_assets_tests.work.test_render import SILENT, chosen_of, raw_of, rendered

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


SPOKEN = SILENT.model_copy(
    update={"segments": (Segment(id=0, start_s=0.5, end_s=1.5, text="measure it first", words=tuple(
        word.model_copy(update={"start_s": word.start_s + 0.5, "end_s": word.end_s + 0.5}) for word in WORDS
    )),)}
)  # fmt: skip


class Studio:
    """Renders a clip of a talk, and counts what is rendered: clips that are cut, and files that are made of them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> None:
        self.cuts, self.files = 0, list[str]()
        self.store, self.folder = ObjectStore.from_url("memory://"), folder
        raw = raw_of(self.store, footage.talking(folder / "talk.mp4", 4.0))
        self.raw = raw.model_copy(update={"options": Options.model_validate(asked)})
        make_clip, make = cut.make_clip, reframe.make

        def counted_cut(*told: Any, **more: Any) -> Any:
            self.cuts += 1
            return make_clip(*told, **more)

        def counted(wanted: reframe.Pictures, folder: Path) -> None:
            self.files += [path.name.split(".", 2)[2] for path in (wanted.clean, wanted.captioned) if path]
            make(wanted, folder)

        monkeypatch.setattr(cut, "make_clip", counted_cut)
        monkeypatch.setattr(reframe, "make", counted)

    def clip(self, pictures: PictureOptions | None = None) -> tuple[Clip, tuple[int, list[str]]]:
        """The clip with the pictures that an editor chose, and how many cuts and which files were made for it."""
        self.cuts, self.files = 0, []
        chosen = chosen_of((0.5, 1.5)).model_copy(update={"pictures": pictures})
        with TemporaryDirectory(dir=self.folder) as work:
            made = ClipRenderer(self.store).render(self.raw, SPOKEN, chosen, Path(work), lambda *_: None)
            assert not list(Path(work).glob("*.mp4"))
        (clip,) = made.document.clips
        assert clip.failed == {}
        return clip, (self.cuts, sorted(self.files))


def test_only_the_pictures_that_another_choice_asks_for_and_that_are_missing_are_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio(tmp_path, monkeypatch, renditions=["square"])
    square, vertical = Shape.SQUARE, Shape.VERTICAL
    two = PictureOptions(renditions=(vertical, square), captions=CaptionStyle.BOLD)

    first, first_made = studio.clip()
    more, more_made = studio.clip(two)
    other, other_made = studio.clip(PictureOptions(renditions=(vertical,), captions=CaptionStyle.PLAIN))
    none, none_made = studio.clip(PictureOptions())
    back, back_made = studio.clip(two)

    assert first_made == (1, ["square.mp4"])
    assert more_made == (0, ["square.captions.mp4", "vertical.captions.mp4", "vertical.mp4"])
    assert other_made == (0, ["vertical.captions.mp4"])
    assert none_made == back_made == (0, [])
    usual = {role: more.files[role] for role in ("source", "captions", "thumbnail")}
    assert none.files == usual
    assert first.files == {**usual, "square": more.files["square"]}
    assert other.files == {
        **usual,
        "vertical": more.files["vertical"],
        "vertical_captions": other.files["vertical_captions"],
    }
    assert (set(more.framings), set(other.framings), none.framings) == ({"vertical", "square"}, {"vertical"}, {})
    assert back == more
    assert list(back.files) == [role.value for role in Role if role.value in back.files]


def test_a_picture_that_is_lost_is_made_again_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(tmp_path, monkeypatch, renditions=["square"], captions="bold")
    first, _ = studio.clip()
    studio.store.delete([first.files["square_captions"].key])

    mended, made = studio.clip()

    assert made == (0, ["square.captions.mp4"])
    assert mended.files.keys() == first.files.keys()
    assert studio.store.exists(mended.files["square_captions"].key)


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
