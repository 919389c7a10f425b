"""The stages' documents in the store: immutable versions, and a pointer to the newest, replaced last.

``<asset>/<video_id>/<data_version>.json`` never changes; ``<asset>/<video_id>/current.json`` says which version counts.
A reader therefore sees a stage complete or not at all. A document that another version of this program wrote counts as
made, whether or not it can be read here: only one that is gone or damaged is made again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, StringConstraints, ValidationError

from madvision_assets.domain.documents import Document, Envelope, ObjectRef, document_key, pointer_key
from madvision_assets.domain.failures import (
    DamagedDocumentError,
    MissingInputError,
    NewerDocumentError,
    UnreadableDocumentError,
)
from madvision_assets.domain.provenance import Provenance, Value
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.store.objects import ObjectStore

JSON_MEDIA_TYPE = "application/json"
# What ``read_current`` raises where the document is not to be had here, for whoever can do without it.
ABSENT = (MissingInputError, DamagedDocumentError, NewerDocumentError, UnreadableDocumentError)

D = TypeVar("D", bound=Document)


class Pointer(Value):
    """What ``current.json`` says.

    Attributes:
        data_version: the version that counts.
        key: its key in the store.
        updated_at: when it came to count, timezone-aware.
    """

    data_version: str
    key: str
    updated_at: AwareDatetime


class _Counting(Value):
    """All that is asked of a pointer, whichever version wrote it."""

    data_version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]


def write_document(store: ObjectStore, document: Document) -> str:
    """Store one version of a document; the same version again is fine, and mends one that is damaged.

    Args:
        store: where.
        document: a sealed document.

    Returns:
        Its URI. It does not count before ``point_current``.

    Raises:
        ValueError: the document was not sealed.
    """
    data = document.model_dump_json().encode()
    if not store.put_bytes(document.key, data, if_absent=True, media_type=JSON_MEDIA_TYPE):
        try:
            read_version(store, type(document), document.video_id, document.origin.data_version)
        except UnreadableDocumentError:
            store.put_bytes(document.key, data, media_type=JSON_MEDIA_TYPE)
    return store.uri(document.key)


def point_current(store: ObjectStore, document: Document) -> None:
    """Make a stored document the one that counts.

    Raises:
        MissingInputError: the document is not in the store.
    """
    if not store.exists(document.key):
        raise MissingInputError(f"{document.key} is not in the store, so nothing may point at it")
    pointer = Pointer(data_version=document.origin.data_version, key=document.key, updated_at=datetime.now(UTC))
    key = pointer_key(document.asset, document.video_id)
    store.put_bytes(key, pointer.model_dump_json().encode(), media_type=JSON_MEDIA_TYPE)


def read_current(store: ObjectStore, kind: type[D], video_id: str) -> D:
    """The document that counts.

    Args:
        store: where.
        kind: which document, such as ``Transcript``.
        video_id: of which video.

    Raises:
        MissingInputError: the stage was not done for this video; names both.
        UnreadableDocumentError: what is there is damaged; names its key.
        NewerDocumentError: a newer version of this program wrote it, and it cannot be read here; names its key.
    """
    data_version = current_version(store, kind.asset, video_id)
    if data_version is None:
        raise MissingInputError(f"{kind.asset} of {video_id} was not made yet")
    return read_version(store, kind, video_id, data_version)


def read_version(store: ObjectStore, kind: type[D], video_id: str, data_version: str) -> D:
    """One version of a document; raises as ``read_current`` does."""
    key = document_key(kind.asset, video_id, data_version)
    document = kind.read(_bytes(store, key, kind.asset, video_id), key)
    version = document.provenance and document.provenance.data_version
    if document.provenance is None and document.schema_version > kind.newest_version():
        raise NewerDocumentError(f"{key} is of schema version {document.schema_version}, without provenance")
    if (document.video_id, version) != (video_id, data_version):
        raise DamagedDocumentError(f"{key} holds another document")
    return document


def read_envelope(store: ObjectStore, step: PipelineStep, video_id: str, data_version: str) -> Envelope:
    """What is known of one version of a document whatever its form; raises as ``read_current`` does."""
    key = document_key(step, video_id, data_version)
    envelope = Envelope.read(step.stage.document, _bytes(store, key, step, video_id), key)
    if envelope.key != key:
        raise DamagedDocumentError(f"{key} holds another document")
    return envelope


def current_envelope(store: ObjectStore, step: PipelineStep, video_id: str) -> Envelope | None:
    """Envelope of the document of a stage that counts; None where the stage must be done (again).

    Unlike ``read_current`` it takes a damaged document for none, since doing the stage again mends both.

    Raises:
        NewerDocumentError: there is one, of which not even that can be read; names its key.
        UnreadableDocumentError: likewise, and no version wrote it so.
    """
    try:
        data_version = current_version(store, step, video_id)
        return read_envelope(store, step, video_id, data_version) if data_version else None
    except (MissingInputError, DamagedDocumentError):
        return None


def current_provenance(store: ObjectStore, step: PipelineStep, video_id: str) -> Provenance | None:
    """Provenance in ``current_envelope``; None also where media that the document names are gone or cut short."""
    envelope = current_envelope(store, step, video_id)
    return envelope.provenance if envelope and are_whole(store, envelope.objects) else None


def current_version(store: ObjectStore, asset: str, video_id: str) -> str | None:
    """Data version of the document of a stage that counts, as its pointer says; None where there is no pointer.

    Raises:
        DamagedDocumentError: the pointer is no JSON object; names its key.
        NewerDocumentError: it is of a form that this version does not know; names its key.
    """
    key = pointer_key(asset, video_id)
    try:
        data = store.get_bytes(key)
    except MissingInputError:
        return None
    try:
        return _Counting.model_validate_json(data, extra="ignore").data_version
    except ValidationError as error:
        fault = f"{key}: {error.errors(include_url=False, include_input=False)[0]['msg']}"
        is_object = all(each["type"] not in {"json_invalid", "model_type"} for each in error.errors())
        raise (NewerDocumentError if is_object else DamagedDocumentError)(fault) from error


def _bytes(store: ObjectStore, key: str, asset: str, video_id: str) -> bytes:
    try:
        return store.get_bytes(key)
    except MissingInputError as error:
        raise MissingInputError(f"{asset} of {video_id}: {key} is not in the store") from error


def are_whole(store: ObjectStore, objects: Iterable[ObjectRef]) -> bool:
    """Whether all these are in the store, in full."""
    try:
        return all(store.size_bytes(ref.key) == ref.size_bytes for ref in objects)
    except MissingInputError:
        return False
