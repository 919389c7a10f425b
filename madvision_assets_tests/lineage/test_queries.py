"""Claims about where results came from."""

import importlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import MissingInputError, UnknownClipError, UnknownVideoError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.lineage.queries import video_lineage
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests import stores
from madvision_assets_tests.stores import VIDEO_ID

ADDRESS = "http://example.org/talk.mp4"


@dataclass(frozen=True)
class Archive:
    """Store and database of one video, filled as the IO manager fills them."""

    store: ObjectStore
    database: Database

    def keep(self, *documents: Document) -> None:
        """Write each, with its row and its pointer."""
        for document in documents:
            uri = write_document(self.store, document)
            self.database.add_lineage(document, uri)
            point_current(self.store, document)


@dataclass(frozen=True)
class Stages:
    """One document per stage, each made from those before."""

    raw: RawVideo
    spoken: Transcript
    kind: ContentType
    candidates: ClipCandidates
    clips: Clips


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    database = Database(f"sqlite:///{tmp_path / 'm.db'}")
    database.ensure_schema()
    database.add_video(VIDEO_ID, ADDRESS)
    return Archive(ObjectStore.from_url("memory://"), database)


@pytest.fixture
def stages(archive: Archive) -> Stages:
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "zero", "one", "two", "three", cost_usd=0.5)
    kind = stores.content_type(raw, spoken)
    candidates = stores.clip_candidates(raw, spoken, kind)
    clips = stores.clips(raw, spoken, candidates)
    archive.keep(raw, spoken, kind, candidates, clips)
    return Stages(raw, spoken, kind, candidates, clips)


def test_every_stage_is_there_in_pipeline_order_with_what_made_it(archive: Archive, stages: Stages) -> None:
    found = video_lineage(archive.database, archive.store, VIDEO_ID)

    assert (found.video_id, found.address, found.clip) == (VIDEO_ID, ADDRESS, None)
    assert [stage.asset for stage in found.stages] == list(PipelineStep)
    candidates = found.stages[3]
    assert candidates.data_version == stages.candidates.origin.data_version
    assert candidates.uri == archive.store.uri(stages.candidates.key)
    assert (candidates.prompt_version, candidates.prompt_hash) == ("7", "ab" * 32)
    assert candidates.inputs == stages.candidates.origin.inputs
    assert candidates.created_at.utcoffset() is not None
    assert {stage.superseded for stage in found.stages} == {0}
    assert {stage.outdated_inputs for stage in found.stages} == {()}


def test_what_counts_is_what_the_pointers_say_and_the_rest_is_history(archive: Archive, stages: Stages) -> None:
    newer = stores.transcript(stages.raw, "zero", "uno", run_id="run-2", cost_usd=0.1)
    archive.keep(newer)

    found = video_lineage(archive.database, archive.store, VIDEO_ID)

    assert found.stages[1].data_version == newer.origin.data_version
    assert found.stages[1].superseded == 1
    assert len(found.materialisations) == 6
    outdated = {stage.asset: stage.outdated_inputs for stage in found.stages if stage.outdated_inputs}
    assert outdated == dict.fromkeys(["content_type", "clip_candidates", "clips"], (PipelineStep.TRANSCRIPT,))


def test_a_pointer_set_back_makes_the_older_version_count(archive: Archive, stages: Stages) -> None:
    archive.keep(stores.transcript(stages.raw, "newer"))
    point_current(archive.store, stages.spoken)

    found = video_lineage(archive.database, archive.store, VIDEO_ID)

    assert found.stages[1].data_version == stages.spoken.origin.data_version
    assert found.stages[1].superseded == 1


def test_costs_are_told_for_what_counts_and_for_all_that_was_ever_paid(archive: Archive, stages: Stages) -> None:
    archive.keep(stores.transcript(stages.raw, "again", run_id="run-2", cost_usd=0.1))

    found = video_lineage(archive.database, archive.store, VIDEO_ID)

    assert found.current_cost_usd == pytest.approx(0.1 + 0.25)
    assert found.total_cost_usd == pytest.approx(0.5 + 0.1 + 0.25)


@pytest.mark.usefixtures("stages")
def test_a_clip_leads_back_to_its_words(archive: Archive) -> None:
    found = video_lineage(archive.database, archive.store, f"{VIDEO_ID}.01")

    assert found.clip is not None
    assert (found.clip.clip_id, found.clip.start_s, found.clip.end_s) == (f"{VIDEO_ID}.01", 10, 30)
    assert found.clip.media == stores.object_ref("c.mp4")
    assert [segment.text for segment in found.clip.segments] == ["one", "two"]
    assert len(found.stages) == 5


def test_a_clips_words_are_of_the_transcript_that_it_was_cut_by(archive: Archive, stages: Stages) -> None:
    archive.keep(stores.transcript(stages.raw, "cero", "uno", "dos"))

    found = video_lineage(archive.database, archive.store, f"{VIDEO_ID}.01")

    assert found.clip is not None
    assert [segment.text for segment in found.clip.segments] == ["one", "two"]


@pytest.mark.usefixtures("stages")
@pytest.mark.parametrize("suffix", [".02", ".1", ".", ".x", ".01.01"])
def test_a_clip_that_does_not_exist_is_told_with_those_that_do(archive: Archive, suffix: str) -> None:
    with pytest.raises(UnknownClipError, match=rf"{VIDEO_ID}{suffix}; .*{VIDEO_ID}\.01"):
        video_lineage(archive.database, archive.store, VIDEO_ID + suffix)


def test_a_clip_of_a_video_that_is_not_cut_yet_is_told(archive: Archive) -> None:
    with pytest.raises(MissingInputError, match=f"clips of {VIDEO_ID} was not made yet"):
        video_lineage(archive.database, archive.store, f"{VIDEO_ID}.01")


@pytest.mark.parametrize("identity", ["nobody", "nobody.01", "", "a/b", "' OR 1=1"])
def test_a_video_that_nobody_submitted_is_told(archive: Archive, identity: str) -> None:
    with pytest.raises(UnknownVideoError):
        video_lineage(archive.database, archive.store, identity)


def test_a_video_of_which_nothing_is_done_yet_has_no_stages(archive: Archive) -> None:
    found = video_lineage(archive.database, archive.store, VIDEO_ID)

    assert (found.stages, found.materialisations, found.total_cost_usd) == ((), (), 0.0)


HEAVY = (
    "torch",
    "whisper",
    "yt_dlp",
    "openai",
    "boto3",
    "pandas",
    "av",
    "numpy",
    "obstore",
    "alembic",
    "dagster",
    "rich",
)


def test_importing_these_rooms_loads_nothing_heavy() -> None:
    names = ["lineage.queries", "lineage.frames", "lineage.render", "tools.store.documents", "tools.database"]
    modules = [importlib.import_module(f"madvision_assets.{name}").__name__ for name in names]
    program = f"import sys, {', '.join(modules)}; print(*(name for name in {HEAVY} if name in sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True)

    assert loaded.stdout.split() == []
