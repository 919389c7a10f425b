"""Claims about the form of documents: that of every released version is read, and writing is strict."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from madvision_assets.domain.clips import Clips, Role
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document, Envelope
from madvision_assets.domain.failures import NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.released import VERSIONS, sample_document

KEY = "content_type/v/1.json"
SAMPLES = [pytest.param(version, step, id=f"{version}-{step}") for version in VERSIONS for step in PipelineStep]


def data(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def verdict(**changed: Any) -> dict[str, Any]:
    return {**sample_document("v0_2_0", "content_type"), **changed}


@pytest.mark.parametrize(("version", "step"), SAMPLES)
def test_every_document_of_every_released_version_is_read(version: str, step: PipelineStep) -> None:
    kept = sample_document(version, step)

    document = step.stage.document.read(data(kept), "key")

    assert document.origin.data_version == kept["provenance"]["data_version"]
    assert document.schema_version == step.stage.document.newest_version()
    assert json.loads(document.model_dump_json())["video_id"] == kept["video_id"]


@pytest.mark.parametrize("step", PipelineStep)
def test_every_released_form_has_a_way_to_the_newest(step: PipelineStep) -> None:
    kind = step.stage.document

    assert sorted(kind.upcasters) == list(range(1, kind.newest_version()))


def test_the_three_files_of_a_clip_of_version_1_are_files_by_role() -> None:
    kept = sample_document("v0_2_0", "clips")

    clips = Clips.read(data(kept), "key").clips

    for clip, before in zip(clips, kept["clips"], strict=True):
        files = {role: file.model_dump() for role, file in clip.files.items()}
        assert files == {
            Role.SOURCE: before["media"], Role.CAPTIONS: before["captions"], Role.THUMBNAIL: before["thumbnail"],
        }  # fmt: skip
        assert clip.title == before["title"]


def test_keys_that_are_not_known_are_passed_over_at_any_depth() -> None:
    kept = verdict()
    wider = {**kept, "mood": "cheerful", "provenance": {**kept["provenance"], "region": {"name": "eu"}}}

    assert ContentType.read(data(wider), KEY) == ContentType.read(data(kept), KEY)


def test_writing_is_strict() -> None:
    with pytest.raises(ValidationError, match="mood"):
        ContentType.model_validate(verdict(mood="cheerful"))


@pytest.mark.parametrize("wrong", [{"kind": "a kind to come"}, {"kind": None}, {"topics": 3}, {"provenance": []}])
def test_what_a_newer_version_wrote_and_cannot_be_read_is_told_as_that(wrong: dict[str, Any]) -> None:
    with pytest.raises(NewerDocumentError, match=f"{KEY} is of schema version 7"):
        ContentType.read(data(verdict(schema_version=7, **wrong)), KEY)
    with pytest.raises(UnreadableDocumentError, match=KEY):
        ContentType.read(data(verdict(**wrong)), KEY)


@pytest.mark.parametrize("version", [0, -1, "2", None, 1.5])
def test_a_version_that_never_was_is_unreadable(version: object) -> None:
    with pytest.raises(UnreadableDocumentError, match=KEY):
        ContentType.read(data(verdict(schema_version=version)), KEY)


def test_one_from_before_versions_were_written_is_of_the_first() -> None:
    kept = sample_document("v0_2_0", "clips")
    del kept["schema_version"]

    assert Clips.read(data(kept), "key").clips


def test_a_form_that_its_upcaster_cannot_read_is_unreadable() -> None:
    kept = sample_document("v0_2_0", "clips")
    for clip in kept["clips"]:
        del clip["captions"]

    with pytest.raises(UnreadableDocumentError, match="the-key"):
        Clips.read(data(kept), "the-key")
    with pytest.raises(UnreadableDocumentError, match="the-key"):
        Clips.read(data({**kept, "clips": ["x"]}), "the-key")


@pytest.mark.parametrize("step", PipelineStep)
def test_an_envelope_needs_nothing_of_the_contents_but_the_objects_that_they_name(step: PipelineStep) -> None:
    kind: type[Document] = step.stage.document
    kept = sample_document("v0_2_0", step)
    hollow = {**{name: kept[name] for name in ("schema_version", "video_id", "provenance")}, "objects": "of their own"}

    whole, bare = Envelope.read(kind, data(kept), "key"), Envelope.read(kind, data(hollow), "key")

    assert whole.provenance == bare.provenance == kind.read(data(kept), "key").origin
    named = data(kept).count(b'"sha256"')
    assert (len(whole.objects), len(bare.objects)) == (named, 0)
    assert {ref.key.partition("/")[0] for ref in whole.objects} <= {"media"}
