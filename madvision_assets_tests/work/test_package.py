"""Claims about what editors take: every file of every clip, under names of ours, and nothing that the source says."""

import json
from fractions import Fraction
from pathlib import Path

import pysubs2
import pytest

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.edit_list import EditForm
from madvision_assets.domain.sidecars import Sidecar
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.package import Package, PackagedFile
from madvision_assets.work.taking import take
from madvision_assets_tests import editing
from madvision_assets_tests.editing import VIDEO_ID

NAMES = {
    "01-größe-maß", "02-the-first-one", "03-a-quoted-one", "04-what-touches-it", "05-結論-the-end",
}  # fmt: skip
SUFFIXES = {"mp4", "srt", "jpg", "tall-captions.mp4", "vtt", "ass", "words.json", "facts.json"}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.from_url((tmp_path / "store").as_uri())


@pytest.fixture
def made(store: ObjectStore) -> Clips:
    return editing.published(store, VIDEO_ID)


@pytest.fixture
def package(store: ObjectStore, made: Clips) -> Package:
    return Package.read(store, made.video_id)


def content(store: ObjectStore, file: PackagedFile) -> bytes:
    return file.content if isinstance(file.content, bytes) else store.get_bytes(file.content.key)


def test_every_clip_has_every_file_and_the_video_its_timelines(package: Package) -> None:
    names = [file.name for file in package.files()]

    wanted = {f"{name}.{suffix}" for name in NAMES for suffix in SUFFIXES}
    assert set(names) == wanted | {f"{VIDEO_ID}.{form}" for form in EditForm}
    assert len(names) == len(set(names))


def test_a_rendition_alone_leaves_the_other_pictures_out(package: Package) -> None:
    assert package.renditions == ["source", "tall_captions"]
    pictures = [file.name for file in package.files("source") if file.rendition]
    assert sorted(pictures) == sorted(f"{name}.mp4" for name in NAMES)
    assert len(list(package.files("source"))) == len(list(package.files())) - len(NAMES)


def test_nothing_that_the_source_says_travels(store: ObjectStore, package: Package) -> None:
    for file in package.files():
        data = content(store, file)
        assert not [word for word in editing.SOURCE_WORDS if word.encode() in data], file.name
    facts = json.loads(package.sidecar(package.clips.clips[0], Sidecar.FACTS) or b"")
    assert facts["source"].startswith("https://media.example.org/talk.mp4?token=***")


def test_the_folder_of_a_file_that_was_processed_does_not_travel(store: ObjectStore) -> None:
    package = Package.read(
        store, editing.published(store, VIDEO_ID, address="file:///home/somebody/my%20talk.mov").video_id
    )

    for file in package.files():
        assert b"somebody" not in content(store, file)
    assert b"my talk.mov" in (package.timeline(EditForm.EDL) or b"")


def test_words_have_their_times_in_clip_and_source(package: Package) -> None:
    clip = package.clips.clips[2]
    told = json.loads(package.sidecar(clip, Sidecar.WORDS) or b"")

    assert (told["clip_id"], told["language"]) == (clip.clip_id, "en")
    assert " ".join(word["word"] for word in told["words"]) == clip.title
    for word in told["words"]:
        assert word["source_start_s"] - word["start_s"] == pytest.approx(clip.start_s, abs=0.05)
        assert 0 <= word["start_s"] < word["end_s"] <= clip.end_s - clip.start_s + 0.001
        assert word["probability"] == 1.0


def test_facts_say_what_a_clip_is_and_what_it_was_made_by(package: Package) -> None:
    clip = package.clips.clips[0]
    facts = json.loads(package.sidecar(clip, Sidecar.FACTS) or b"")

    assert {name: facts[name] for name in ("clip_id", "video_id", "rank", "title", "quote", "provisional")} == {
        "clip_id": clip.clip_id, "video_id": VIDEO_ID, "rank": 1, "title": clip.title, "quote": clip.title,
        "provisional": False,
    }  # fmt: skip
    assert (facts["in_s"], facts["out_s"], facts["score"]) == (clip.start_s, clip.end_s, clip.score)
    assert list(facts["versions"]) == ["raw_video", "transcript", "content_type", "clip_candidates", "clips"]
    assert facts["versions"]["transcript"]["model"] == "tiny.en@abc"
    assert facts["versions"]["clips"]["data_version"] == package.clips.origin.data_version
    assert facts["words"][0]["word"] == "Größe"


def test_each_word_lights_up_when_it_is_said(package: Package) -> None:
    clip = package.clips.clips[2]
    text = (package.sidecar(clip, Sidecar.STYLED) or b"").decode()
    words = json.loads(package.sidecar(clip, Sidecar.WORDS) or b"")["words"]

    file = pysubs2.SSAFile.from_string(text)
    lit_s, shown = [], []
    for event in file.events:
        at_s = event.start / 1000
        for syllable in event.text.replace(r"\N", " ").split("{")[1:]:
            tag, _, said = syllable.partition("}")
            if said.strip():
                lit_s.append(at_s)
                shown.append(said.strip())
            at_s += int(tag.removeprefix(r"\k")) / 100
        assert at_s <= event.end / 1000 + 0.011
    assert shown == [word["word"] for word in words]
    assert lit_s == pytest.approx([word["start_s"] for word in words], abs=0.011)
    assert file.info["PlayResX"] == "1920"


def test_what_was_made_of_documents_that_are_gone_is_left_out(store: ObjectStore, made: Clips) -> None:
    store.delete(store.list_keys(f"transcript/{VIDEO_ID}"))
    package = Package.read(store, VIDEO_ID)

    names = {file.name.partition(".")[2] for file in package.files() if file.name.startswith("01-")}
    assert names == SUFFIXES - {"ass", "words.json"}
    assert b"Weak one" not in (package.timeline(EditForm.OTIO) or b"")
    store.delete(store.list_keys(f"raw_video/{VIDEO_ID}"))
    assert Package.read(store, made.video_id).timeline(EditForm.OTIO) is None


def test_the_package_is_of_the_words_that_the_clips_were_cut_by(store: ObjectStore, made: Clips) -> None:
    from madvision_assets.domain.transcript import Transcript
    from madvision_assets.tools.store.documents import point_current, read_current, write_document
    from madvision_assets_tests.stores import sealed

    newer = read_current(store, Transcript, VIDEO_ID).model_copy(update={"language": "de", "provenance": None})
    write_document(store, sealed(newer))
    point_current(store, sealed(newer))

    said = Package.read(store, made.video_id).said
    assert said is not None
    assert said.language == "en"


# --- into a folder ---


def test_taken_twice_nothing_is_written_again_and_nothing_half_written_is_left(
    store: ObjectStore, package: Package, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    first = take(package.files(), store, folder)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "01-größe-maß.mp4").write_bytes(b"another")

    second = take(package.files(), store, folder)

    assert (len(first.kept), second.written) == (0, ("01-größe-maß.mp4",))
    assert set(second.kept) == set(first.written) - {"01-größe-maß.mp4"}
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in after if after[name] != times[name]} == {"01-größe-maß.mp4"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        file.name: content(store, file) for file in package.files()
    }


def test_a_file_that_cannot_be_fetched_leaves_nothing_of_itself(
    store: ObjectStore, package: Package, tmp_path: Path
) -> None:
    from madvision_assets.domain.failures import Failure

    store.delete([package.clips.clips[1].files["source"].key])

    with pytest.raises(Failure):
        take(package.files(), store, tmp_path / "out")

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names
    assert not [name for name in names if name.endswith(".part") or name.startswith("02-")]


def test_what_a_killed_run_left_is_removed(store: ObjectStore, package: Package, tmp_path: Path) -> None:
    import os

    abandoned, other = tmp_path / f".{VIDEO_ID}.otio.0a1b2c3d.part", tmp_path / ".mine.part"
    for path in (abandoned, other):
        path.write_bytes(b"half")
        os.utime(path, (0, 0))

    take(package.files(), store, tmp_path)

    assert (abandoned.exists(), other.exists()) == (False, True)


def test_the_edit_is_at_the_rate_of_the_source(package: Package) -> None:
    assert package.edit is not None
    assert package.edit.rate.fps == Fraction(30000, 1001)
