"""Claims about documents in the store, on every backend."""

import json
from pathlib import Path

import pytest

from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document, pointer_key
from madvision_assets.domain.failures import MissingInputError, NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.store.documents import (
    Pointer,
    current_envelope,
    current_provenance,
    current_version,
    point_current,
    read_current,
    read_version,
    write_document,
)
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.stores import BACKENDS, VIDEO_ID, content_type, make_store, raw_video, transcript

STEP = PipelineStep.CONTENT_TYPE


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return make_store(request.param, request, tmp_path)


def verdict(reason: str = "it says so", run_id: str = "run-1") -> ContentType:
    raw = raw_video()
    return content_type(raw, transcript(raw, "one"), reason=reason, run_id=run_id)


def test_a_document_counts_once_it_is_pointed_at(store: ObjectStore) -> None:
    document = verdict()

    uri = write_document(store, document)
    assert current_envelope(store, STEP, VIDEO_ID) is None
    point_current(store, document)

    assert uri == store.uri(f"content_type/{VIDEO_ID}/{document.origin.data_version}.json")
    assert read_current(store, ContentType, VIDEO_ID) == document
    assert current_provenance(store, STEP, VIDEO_ID) == document.origin


def test_the_pointer_says_version_key_and_when(store: ObjectStore) -> None:
    document = verdict()
    write_document(store, document)
    point_current(store, document)

    pointer = Pointer.model_validate_json(store.get_bytes(pointer_key(STEP, VIDEO_ID)))

    assert (pointer.data_version, pointer.key) == (document.origin.data_version, document.key)
    assert pointer.updated_at.utcoffset() is not None
    assert current_version(store, STEP, VIDEO_ID) == document.origin.data_version


def test_a_newer_version_counts_and_the_older_one_stays(store: ObjectStore) -> None:
    older, newer = verdict("older"), verdict("newer")
    for document in (older, newer):
        write_document(store, document)
        point_current(store, document)

    assert read_current(store, ContentType, VIDEO_ID) == newer
    assert read_version(store, ContentType, VIDEO_ID, older.origin.data_version) == older


def test_the_same_version_again_keeps_the_first_writing(store: ObjectStore) -> None:
    first, again = verdict(run_id="run-1"), verdict(run_id="run-2")
    assert first.key == again.key

    assert write_document(store, first) == write_document(store, again)
    point_current(store, again)

    assert read_current(store, ContentType, VIDEO_ID) == first


def test_a_version_that_was_half_written_is_mended(store: ObjectStore) -> None:
    document = verdict()
    store.put_bytes(document.key, document.model_dump_json().encode()[:100])

    write_document(store, document)
    point_current(store, document)

    assert read_current(store, ContentType, VIDEO_ID) == document


def test_nothing_may_point_at_a_document_that_is_not_there(store: ObjectStore) -> None:
    with pytest.raises(MissingInputError):
        point_current(store, verdict())

    assert not store.exists(pointer_key(STEP, VIDEO_ID))


def test_a_stage_that_was_not_done_is_named(store: ObjectStore) -> None:
    with pytest.raises(MissingInputError, match=f"transcript of {VIDEO_ID} was not made yet"):
        read_current(store, Transcript, VIDEO_ID)

    assert current_provenance(store, PipelineStep.TRANSCRIPT, VIDEO_ID) is None


def test_a_pointer_to_a_document_that_is_gone_is_no_document(store: ObjectStore) -> None:
    document = verdict()
    write_document(store, document)
    point_current(store, document)
    store.delete([document.key])

    with pytest.raises(MissingInputError, match=f"content_type of {VIDEO_ID}"):
        read_current(store, ContentType, VIDEO_ID)
    assert current_envelope(store, STEP, VIDEO_ID) is None
    assert current_provenance(store, STEP, VIDEO_ID) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"video_id": "x"}', b"\xff\xfe"])
def test_a_damaged_document_is_refused_by_its_key(data: bytes) -> None:
    store = ObjectStore.from_url("memory://")
    document = verdict()
    write_document(store, document)
    point_current(store, document)
    store.put_bytes(document.key, data)

    with pytest.raises(UnreadableDocumentError, match=document.origin.data_version):
        read_current(store, ContentType, VIDEO_ID)
    assert current_provenance(store, STEP, VIDEO_ID) is None


def test_a_damaged_pointer_is_refused_by_its_key() -> None:
    store = ObjectStore.from_url("memory://")
    store.put_bytes(pointer_key(STEP, VIDEO_ID), b'{"data_version": ')

    with pytest.raises(UnreadableDocumentError, match=r"current\.json"):
        read_current(store, ContentType, VIDEO_ID)


def test_a_document_under_the_name_of_another_is_refused() -> None:
    store = ObjectStore.from_url("memory://")
    document, other = verdict("one"), verdict("other")
    store.put_bytes(document.key, other.model_dump_json().encode())

    with pytest.raises(UnreadableDocumentError, match="another document"):
        read_version(store, ContentType, VIDEO_ID, document.origin.data_version)


def test_a_document_without_provenance_is_refused() -> None:
    store = ObjectStore.from_url("memory://")
    document = verdict()
    store.put_bytes(document.key, document.model_copy(update={"provenance": None}).model_dump_json().encode())

    with pytest.raises(UnreadableDocumentError):
        read_version(store, ContentType, VIDEO_ID, document.origin.data_version)


def stored_as(store: ObjectStore, document: Document, **changed: object) -> None:
    """Have a document in the store, and count, in the form that another version of the program wrote."""
    write_document(store, document)
    point_current(store, document)
    store.put_bytes(document.key, json.dumps({**json.loads(document.model_dump_json()), **changed}).encode())


def test_a_document_of_a_newer_form_is_read_as_far_as_it_can_be(store: ObjectStore) -> None:
    document = verdict()
    stored_as(store, document, schema_version=99, mood="cheerful")

    assert read_current(store, ContentType, VIDEO_ID) == document.model_copy(update={"schema_version": 99})


def test_one_that_cannot_be_read_is_told_as_newer_and_counts_as_made(store: ObjectStore) -> None:
    document = verdict()
    stored_as(store, document, schema_version=99, kind=["a list", "of kinds"])

    with pytest.raises(NewerDocumentError, match=f"{document.key} is of schema version 99: kind"):
        read_current(store, ContentType, VIDEO_ID)
    assert current_provenance(store, STEP, VIDEO_ID) == document.origin


def test_one_of_which_nothing_can_be_read_is_told_and_not_taken_for_absent(store: ObjectStore) -> None:
    document = verdict()
    stored_as(store, document, schema_version=99, provenance={"origin": "elsewhere"})

    with pytest.raises(NewerDocumentError, match=document.key):
        current_provenance(store, STEP, VIDEO_ID)


def test_a_form_that_no_version_wrote_is_unreadable_and_not_absent(store: ObjectStore) -> None:
    document = verdict()
    stored_as(store, document, kind="a kind that there never was")

    with pytest.raises(UnreadableDocumentError, match=document.key):
        read_current(store, ContentType, VIDEO_ID)
    assert current_provenance(store, STEP, VIDEO_ID) == document.origin


@pytest.mark.parametrize("changed", [{"schema_version": "99"}, {"schema_version": None}, {"video_id": 7}])
def test_one_that_was_sealed_is_never_absent_for_its_form(changed: dict[str, object]) -> None:
    store = ObjectStore.from_url("memory://")
    document = verdict()
    stored_as(store, document, **changed)

    with pytest.raises(UnreadableDocumentError, match=document.key):
        current_provenance(store, STEP, VIDEO_ID)


@pytest.mark.parametrize(
    "odd", [{"key": None, "sha256": None, "size_bytes": None, "media_type": None}, {"key": "a b"}, {"key": "../a"}]
)
def test_what_only_looks_like_an_object_is_not_asked_for(odd: dict[str, object]) -> None:
    store = ObjectStore.from_url("memory://")
    document = verdict()
    reference = {"key": "media/v/a", "sha256": "0", "size_bytes": 1, "media_type": "video/mp4"}
    stored_as(store, document, renditions=[{**reference, **odd}])

    assert current_provenance(store, STEP, VIDEO_ID) == document.origin


def test_a_pointer_of_a_newer_form_is_told_and_its_document_not_taken_for_absent(store: ObjectStore) -> None:
    document = verdict()
    stored_as(store, document)
    store.put_bytes(pointer_key(STEP, VIDEO_ID), b'{"version": {"id": "1"}, "at": 5}')

    for look in (lambda: read_current(store, ContentType, VIDEO_ID), lambda: current_provenance(store, STEP, VIDEO_ID)):
        with pytest.raises(NewerDocumentError, match=r"current\.json"):
            look()


@pytest.mark.parametrize("version", ["a b", "../x", "a/b", ""])
def test_a_pointer_to_what_is_no_version_leads_nowhere(version: str) -> None:
    store = ObjectStore.from_url("memory://")
    store.put_bytes(pointer_key(STEP, VIDEO_ID), json.dumps({"data_version": version}).encode())

    with pytest.raises(NewerDocumentError, match=r"current\.json"):
        read_current(store, ContentType, VIDEO_ID)


def test_a_pointer_with_a_key_that_is_not_known_points(store: ObjectStore) -> None:
    document = verdict()
    stored_as(store, document)
    key = pointer_key(STEP, VIDEO_ID)
    store.put_bytes(key, json.dumps({**json.loads(store.get_bytes(key)), "reason": "later"}).encode())

    assert read_current(store, ContentType, VIDEO_ID) == document


@pytest.mark.parametrize("spoil", ["gone", "cut short"])
def test_a_stage_whose_media_are_gone_or_cut_short_is_to_be_done_again(store: ObjectStore, spoil: str) -> None:
    document = raw_video()
    for ref in (document.media, document.audio):
        store.put_bytes(ref.key, bytes(ref.size_bytes))
    write_document(store, document)
    point_current(store, document)
    assert current_provenance(store, PipelineStep.RAW_VIDEO, VIDEO_ID) == document.origin

    if spoil == "gone":
        store.delete([document.audio.key])
    else:
        store.put_bytes(document.audio.key, bytes(document.audio.size_bytes - 1))

    assert current_provenance(store, PipelineStep.RAW_VIDEO, VIDEO_ID) is None
