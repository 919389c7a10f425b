"""Claims about rendering: a clip that fails fails alone, what was rendered is not rendered again, little is read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.domain import disk
from madvision_assets.domain.clips import Clip, ClipCandidate, ClipCandidates, Clips, Method, Outcome, Role
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failures import BadClipError, DiskFullError, MissingInputError
from madvision_assets.domain.transcript import Segment, Transcript, Word
from madvision_assets.domain.video import Options, RawVideo, SourceMetadata
from madvision_assets.tools.media import apart, detector, ffmpeg
from madvision_assets.tools.media.probe import probe
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.render import ClipRenderer
from madvision_assets_tests import disks, footage

pytestmark = pytest.mark.whole


@pytest.fixture(autouse=True, scope="module")
def one_child() -> Iterator[None]:
    """Starting a child takes longer than most of its jobs here."""
    with apart.one_child():
        yield


VIDEO_ID = "web-1"
AVC = ("-c:v", "libx264", "-preset", "veryfast", "-g", "40")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("render") / "film.mp4"
    return footage.numbered(path, 12.0, video=AVC, mux=("-movflags", "+faststart"))


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return ObjectStore.from_url("memory://" if request.param == "memory" else (tmp_path / "store").as_uri())


def raw_of(store: ObjectStore, film: Path) -> RawVideo:
    media = store.store_media(film, VIDEO_ID, "mp4", "video/mp4")
    info, source = probe(film), SourceMetadata(extractor="file")
    return RawVideo(
        video_id=VIDEO_ID, address="https://example.org/1", media=media, audio=media, info=info, source=source
    )


def chosen_of(*spans_s: tuple[float, float]) -> ClipCandidates:
    candidates = tuple(
        ClipCandidate(
            rank=n, start_s=start_s, end_s=end_s, title=f"Moment {n}", reason="It matters.", quote="", score=0.5,
            first_segment=0, last_segment=0,
        )
        for n, (start_s, end_s) in enumerate(spans_s, start=1)
    )  # fmt: skip
    return ClipCandidates(video_id=VIDEO_ID, outcome=Outcome.CLIPS, outcome_reason="", candidates=candidates)


SILENT = Transcript(video_id=VIDEO_ID, language="en", duration_s=12.0, audible_s=0.0, covered_s=0.0, segments=())


def rendered(store: ObjectStore, raw: RawVideo, chosen: ClipCandidates, folder: Path) -> tuple[Clips, list[str]]:
    folder.mkdir(exist_ok=True)
    told: list[str] = []
    made = ClipRenderer(store).render(raw, SILENT, chosen, folder, lambda _, text: told.append(text))
    assert not list(folder.iterdir())  # nothing half-written is left
    return made.document, told


def numbers(store: ObjectStore, clip: Clip, folder: Path) -> Sequence[int]:
    file = clip.file(Role.SOURCE)
    assert file is not None
    path = folder / "looked-at.mp4"
    path.write_bytes(store.get_bytes(file.key))
    return [frame.number for frame in footage.shown_frames(path)]


def test_clips_are_copied_where_they_can_be_and_say_so(store: ObjectStore, film: Path, tmp_path: Path) -> None:
    raw = raw_of(store, film)

    made, _ = rendered(store, raw, chosen_of((1.0, 5.0), (6.0, 6.4)), tmp_path / "work")

    assert [clip.method for clip in made.clips] == [Method.COPIED, Method.CODED_ANEW]
    assert made.clips[0].copied_frames > 0
    assert "group of pictures" in made.clips[1].method_reason
    assert numbers(store, made.clips[0], tmp_path) == list(range(25, 125))
    assert numbers(store, made.clips[1], tmp_path) == list(range(150, 160))
    assert Clips.model_validate_json(made.model_dump_json()) == made


def test_a_clip_that_fails_names_itself_and_the_others_are_delivered(
    store: ObjectStore, film: Path, tmp_path: Path
) -> None:
    made, _ = rendered(store, raw_of(store, film), chosen_of((1.0, 5.0), (50.0, 60.0), (6.0, 9.0)), tmp_path / "work")

    assert [clip.rank for clip in made.clips] == [1, 3]
    (failed,) = made.failed
    assert (failed.rank, failed.title, failed.cause) == (2, "Moment 2", "bad_clip")
    assert "outside the video" in failed.details
    assert made.outcome_reason == "1 of 3 clips could not be made."


def test_where_all_clips_fail_the_stage_fails(store: ObjectStore, film: Path, tmp_path: Path) -> None:
    with pytest.raises(BadClipError):
        rendered(store, raw_of(store, film), chosen_of((50.0, 60.0)), tmp_path / "work")


def test_what_was_rendered_is_not_rendered_again(store: ObjectStore, film: Path, tmp_path: Path) -> None:
    raw, chosen = raw_of(store, film), chosen_of((1.0, 5.0), (6.0, 9.0))
    first, _ = rendered(store, raw, chosen, tmp_path / "work")

    again, told = rendered(store, raw, chosen, tmp_path / "work")
    assert (again, told) == (first, [])

    lost = first.clips[1].file(Role.SOURCE)
    assert lost is not None
    store.delete([lost.key])
    mended, told = rendered(store, raw, chosen, tmp_path / "work")
    assert mended == first
    assert set(told) <= {"clip 1 of 1"}
    assert store.exists(lost.key)


def test_a_retry_renders_only_the_clip_that_failed(store: ObjectStore, film: Path, tmp_path: Path) -> None:
    raw, chosen = raw_of(store, film), chosen_of((1.0, 5.0), (50.0, 60.0), (6.0, 9.0))
    first, _ = rendered(store, raw, chosen, tmp_path / "work")
    notes = {key for key, _ in store.list_sizes("rendered")}

    mended, _ = rendered(store, raw, chosen_of((1.0, 5.0), (9.5, 11.0), (6.0, 9.0)), tmp_path / "work")

    assert [clip.rank for clip in mended.clips] == [1, 2, 3]
    assert [mended.clips[0], mended.clips[2]] == list(first.clips)
    assert len({key for key, _ in store.list_sizes("rendered")} - notes) == 1
    assert mended.failed == ()


def test_what_a_clip_is_called_and_its_number_are_not_in_its_pictures(
    store: ObjectStore, film: Path, tmp_path: Path
) -> None:
    raw, chosen = raw_of(store, film), chosen_of((1.0, 5.0), (6.0, 9.0))
    first, _ = rendered(store, raw, chosen, tmp_path / "work")
    changed = {"rank": 7, "title": "Another", "reason": "A person says so.", "quote": "Said.", "score": 1.0}
    other = chosen.model_copy(update={"candidates": (chosen.candidates[1].model_copy(update=changed),)})

    notes = set(store.list_sizes("rendered"))

    made, _ = rendered(store, raw, other, tmp_path / "work")

    (clip,) = made.clips
    assert set(store.list_sizes("rendered")) == notes
    assert clip.files == first.clips[1].files
    assert (clip.clip_id, clip.rank, clip.title, clip.score) == (f"{VIDEO_ID}.07", 7, "Another", 1.0)


@pytest.mark.parametrize(("said_at_s", "is_rendered"), [(2.0, True), (10.0, False)])
def test_other_words_render_a_clip_in_which_they_are_said_and_no_other(
    film: Path, tmp_path: Path, said_at_s: float, is_rendered: bool
) -> None:
    store = ObjectStore.from_url("memory://")
    raw, chosen = raw_of(store, film), chosen_of((1.0, 5.0))
    rendered(store, raw, chosen, tmp_path / "work")
    notes = len(list(store.list_sizes("rendered")))
    word = Word(text="Hello", start_s=said_at_s, end_s=said_at_s + 0.5)
    segment = Segment(id=0, start_s=word.start_s, end_s=word.end_s, text=word.text, words=(word,))
    said = SILENT.model_copy(update={"segments": (segment,)})

    ClipRenderer(store).render(raw, said, chosen, tmp_path / "work", lambda *_: None)

    assert (len(list(store.list_sizes("rendered"))) > notes) is is_rendered


def test_what_is_done_on_a_clip_has_time_by_its_length_where_its_bytes_give_it_none(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore.from_url("memory://")
    raw = raw_of(store, film).model_copy(update={"options": Options.model_validate({"renditions": ["square"]})})
    for name in ("BUDGET_FLOOR_S", "BUDGET_S_PER_MB"):
        monkeypatch.setattr(ffmpeg, name, 0.0)

    made, _ = rendered(store, raw, chosen_of((1.0, 3.0)), tmp_path / "work")

    (clip,) = made.clips
    assert (clip.method_reason, clip.failed) == ("", {})
    assert set(clip.files) == {"source", "captions", "thumbnail", "square"}


@pytest.mark.parametrize(("shapes", "again"), [((), False), (("square",), True)])
def test_pictures_that_follow_faces_are_made_again_once_faces_are_found(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shapes: Sequence[str], *, again: bool
) -> None:
    store = ObjectStore.from_url("memory://")
    raw = raw_of(store, film).model_copy(update={"options": Options.model_validate({"renditions": shapes})})
    with monkeypatch.context() as without:
        without.setattr(detector, "weights", lambda: None)
        detector.name.cache_clear()
        rendered(store, raw, chosen_of((1.0, 3.0)), tmp_path / "work")
    detector.name.cache_clear()

    _, told = rendered(store, raw, chosen_of((1.0, 3.0)), tmp_path / "work")

    assert bool(told) is again


def test_a_clip_of_another_moment_is_rendered(store: ObjectStore, film: Path, tmp_path: Path) -> None:
    raw = raw_of(store, film)
    first, _ = rendered(store, raw, chosen_of((1.0, 5.0)), tmp_path / "work")

    other, _ = rendered(store, raw, chosen_of((1.0, 5.4)), tmp_path / "work")

    assert other.clips[0].files != first.clips[0].files
    assert numbers(store, other.clips[0], tmp_path) == list(range(25, 135))


def test_a_store_that_fails_fails_all(film: Path, tmp_path: Path) -> None:
    store = ObjectStore.from_url("memory://")
    gone = ObjectRef(key="media/web-1/gone.mp4", sha256="0", size_bytes=film.stat().st_size, media_type="video/mp4")
    raw = raw_of(store, film).model_copy(update={"media": gone})

    with pytest.raises(MissingInputError):
        rendered(store, raw, chosen_of((1.0, 5.0), (6.0, 9.0)), tmp_path / "work")


@pytest.mark.parametrize(("full", "left_bytes"), [("scratch", 0), ("scratch", 4096), ("store", 0), ("store", 20_480)])
def test_a_disk_that_fills_in_the_middle_fails_the_stage_and_a_retry_renders_what_is_missing(
    film: Path, tmp_path: Path, full: str, left_bytes: int
) -> None:
    chosen = chosen_of((1.0, 5.0), (5.0, 9.0), (6.0, 9.5))
    with disks.small_disk(tmp_path / "small", 4) as small:
        store = ObjectStore.from_url((small / "store").as_uri() if full == "store" else "memory://")
        raw, work = raw_of(store, film), (small if full == "scratch" else tmp_path) / "work"
        work.mkdir()

        class Filling(ClipRenderer):
            def _one(self, wanted: Any, *others: Any) -> Clip:
                if wanted.rank == 2:
                    disks.fill(small, left_bytes)
                return super()._one(wanted, *others)

        with pytest.raises((DiskFullError, OSError)) as failed:
            Filling(store).render(raw, SILENT, chosen, work, lambda *_: None)

        leaf = disk.home_failure(failed.value) if isinstance(failed.value, OSError) else failed.value
        assert isinstance(leaf, DiskFullError)
        assert not list(work.iterdir())
        assert not [path for path in small.rglob("*#*") if path.is_file()]  # where obstore writes before it renames
        before = {key for key, _ in store.list_sizes("rendered")}
        (small / "filling").unlink()
        made, told = rendered(store, raw, chosen, work)
        assert (len(made.clips), made.failed) == (3, ())
        assert set(told) <= {f"clip {n + 1} of {3 - len(before)}" for n in range(3)}
        assert 1 <= len(before) < 3
