"""The stages' documents in the store: immutable versions, and a pointer to the newest, replaced last.

``<asset>/<video_id>/<data_version>.json`` never changes; ``<asset>/<video_id>/current.json`` says which version counts.
A reader therefore sees a stage complete or not at all.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import AwareDatetime, ValidationError

from madvision_assets.domain.clips import Clip, ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.failures import MissingInputError, UnreadableDocumentError
from madvision_assets.domain.provenance import Document, Provenance, Value, document_key, pointer_key
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import ObjectRef, RawVideo
from madvision_assets.tools.store.objects import ObjectStore

JSON_MEDIA_TYPE = "application/json"

DOCUMENTS: Mapping[PipelineStep, type[Document]] = {
    kind.asset: kind for kind in (RawVideo, Transcript, ContentType, ClipCandidates, Clips)
}

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
        UnreadableDocumentError: what is there is damaged, or of another version of this program.
    """
    pointer = read_pointer(store, kind.asset, video_id)
    if pointer is None:
        raise MissingInputError(f"{kind.asset} of {video_id} was not made yet")
    return read_version(store, kind, video_id, pointer.data_version)


def read_version(store: ObjectStore, kind: type[D], video_id: str, data_version: str) -> D:
    """One version of a document.

    Raises:
        MissingInputError: there is no such version.
        UnreadableDocumentError: it is damaged, or of another version of this program.
    """
    key = document_key(kind.asset, video_id, data_version)
    try:
        data = store.get_bytes(key)
    except MissingInputError as error:
        raise MissingInputError(f"{kind.asset} of {video_id}: {key} is not in the store") from error
    try:
        document = kind.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(key, error) from error
    if document.schema_version != kind.model_fields["schema_version"].default:
        raise UnreadableDocumentError(f"{key} is of schema version {document.schema_version}")
    version = document.provenance and document.provenance.data_version
    if (document.video_id, version) != (video_id, data_version):
        raise UnreadableDocumentError(f"{key} holds another document")
    return document


def current_version(store: ObjectStore, asset: PipelineStep, video_id: str) -> str | None:
    """Data version of the document that counts; None where the stage was not done, or its document is gone."""
    pointer = read_pointer(store, asset, video_id)
    return pointer.data_version if pointer and store.exists(pointer.key) else None


def current_document(store: ObjectStore, asset: PipelineStep, video_id: str) -> Document | None:
    """The document of a stage that counts; None where the stage must be done (again), for whatever reason.

    Unlike ``read_current`` it takes a damaged document for none, since doing the stage again mends both.
    """
    try:
        return read_current(store, DOCUMENTS[asset], video_id)
    except (MissingInputError, UnreadableDocumentError):
        return None


def current_provenance(store: ObjectStore, asset: PipelineStep, video_id: str) -> Provenance | None:
    """Provenance of ``current_document``; None also where media that it names are gone or cut short."""
    document = current_document(store, asset, video_id)
    return document.origin if document and _has_its_media(store, document) else None


def read_pointer(store: ObjectStore, asset: PipelineStep, video_id: str) -> Pointer | None:
    """What ``current.json`` of a stage and video says; None where there is none.

    Raises:
        UnreadableDocumentError: it is damaged.
    """
    key = pointer_key(asset, video_id)
    try:
        data = store.get_bytes(key)
    except MissingInputError:
        return None
    try:
        return Pointer.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(key, error) from error


def _has_its_media(store: ObjectStore, document: Document) -> bool:
    try:
        return all(store.size_bytes(ref.key) == ref.size_bytes for ref in _references(document))
    except MissingInputError:
        return False


def _references(value: object) -> Iterator[ObjectRef]:
    """Every object that a document names."""
    if isinstance(value, ObjectRef):
        yield value
    elif isinstance(value, (RawVideo, Clips, Clip)):
        for _, part in value:
            yield from _references(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _references(part)


def _unreadable(key: str, error: ValidationError) -> UnreadableDocumentError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return UnreadableDocumentError(f"{key}: {f'{place}: ' if place else ''}{first['msg']}")
