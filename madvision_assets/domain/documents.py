"""Documents: what the stages hand on, the name that its content gives each, and how one of any version is read.

A document is immutable and named by its *data version*: a hash of what it says and of what it was made from (the
versions of its inputs, the code version, engine, model and prompt), but not of when, where or at what cost it was made.
The same work done twice gives the same name.

Documents live longer than code, so reading is lenient where writing is strict: keys that are not known are passed over,
an older form is *upcast*, version by version, and a newer one is read as far as it can be.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from madvision_assets.domain.failures import (
    DamagedDocumentError,
    Failure,
    NewerDocumentError,
    UnreadableDocumentError,
)
from madvision_assets.domain.provenance import InputRef, Provenance, Recipe, Value, VideoId

DATA_VERSION_HEX_DIGITS = 32
D_co = TypeVar("D_co", bound="Document", covariant=True)

# Of letters, digits and ._=+@-, in parts that single slashes separate: what every store takes as it stands.
_KEY = re.compile(r"[A-Za-z0-9._=+@-]+(/[A-Za-z0-9._=+@-]+)*")
# Whatever validation, an upcaster that finds another form than it knows, or JSON itself may raise.
_UNREADABLE = (ValidationError, LookupError, TypeError, ValueError, AttributeError, RecursionError)

Json = dict[str, Any]
# From one version's form to the next one's; it may change what it is given.
Upcaster = Callable[[Json], Json]


def is_key(text: str) -> bool:
    """Whether it can be the key of an object: no empty part, and none of dots alone, which a folder would follow."""
    return _KEY.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


def _require_key(text: str) -> str:
    if not is_key(text):
        raise ValueError("it is no key of an object")
    return text


class ObjectRef(Value):
    """An object in the store.

    Attributes:
        key: key below the store's root; a store can move without its documents changing.
        sha256: of the bytes, hex.
        size_bytes: how many.
        media_type: MIME type.
    """

    key: Annotated[str, AfterValidator(_require_key)]
    sha256: str
    size_bytes: int
    media_type: str


class Document(Value):
    """Base of what the stages hand on.

    Attributes:
        asset: the stage that makes it (``domain.stages``).
        upcasters: by version, what makes the next version's form of it.
        schema_version: of its form; raised, together with an upcaster, whenever an older program could not read it.
    """

    asset: ClassVar[str]
    upcasters: ClassVar[Mapping[int, Upcaster]] = {}

    schema_version: int = 1
    video_id: VideoId
    provenance: Provenance | None = None

    @property
    def origin(self) -> Provenance:
        """The provenance block.

        Raises:
            ValueError: the document was not sealed yet.
        """
        if self.provenance is None:
            msg = f"{self.asset} of {self.video_id} has no provenance: seal it before you use it."
            raise ValueError(msg)
        return self.provenance

    @property
    def key(self) -> str:
        """Key in the store: ``<asset>/<video_id>/<data_version>.json``."""
        return document_key(self.asset, self.video_id, self.origin.data_version)

    @classmethod
    def newest_version(cls) -> int:
        """The version of its form that this program writes."""
        version: int = cls.model_fields["schema_version"].default
        return version

    @classmethod
    def upcast(cls, document: Json, from_version: int) -> Json:
        """The form that this program writes, of a document of an older one.

        Raises:
            LookupError: no released version wrote that form, or its upcaster finds another one.
        """
        for version in range(from_version, cls.newest_version()):
            if version not in cls.upcasters:
                raise LookupError(f"{cls.asset} never had the schema version {version}")
            document = {**cls.upcasters[version](document), "schema_version": version + 1}
        return document

    @classmethod
    def read(cls, data: bytes, key: str) -> Self:
        """A stored document, whichever version of this program wrote it.

        Args:
            data: as it is stored.
            key: where, for a person.

        Raises:
            NewerDocumentError: a newer version wrote it, in a form that cannot be read; names the key.
            DamagedDocumentError: its bytes are no document; names the key.
            UnreadableDocumentError: it is of a form that no version wrote; names the key.
        """
        version = 0
        try:
            version = _Versioned.model_validate_json(data, extra="ignore").schema_version
            if version < cls.newest_version():
                return cls.model_validate(cls.upcast(json.loads(data), version), extra="ignore")
            return cls.model_validate_json(data, extra="ignore")
        except _UNREADABLE as error:
            raise _unreadable(cls, version, data, key, error) from error

    def seal(
        self,
        recipe: Recipe,
        *,
        run_id: str,
        code_version: str,
        inputs: tuple[InputRef, ...],
        wall_s: float,
        created_at: AwareDatetime,
    ) -> Self:
        """This document with its provenance block, and so with its name."""
        version = self._data_version(recipe, code_version, inputs)
        provenance = Provenance(
            **recipe.model_dump(),
            asset=self.asset,
            run_id=run_id,
            code_version=code_version,
            data_version=version,
            inputs=inputs,
            wall_s=round(wall_s, 3),
            created_at=created_at,
        )
        return self.model_copy(update={"provenance": provenance})

    def _data_version(self, recipe: Recipe, code_version: str, inputs: tuple[InputRef, ...]) -> str:
        identity = {
            "content": self.model_dump(mode="json", exclude={"provenance"}),
            "recipe": recipe.identity(),
            "code_version": code_version,
            "inputs": [[i.asset, i.data_version] for i in inputs],
        }
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:DATA_VERSION_HEX_DIGITS]


@dataclass(frozen=True)
class Made(Generic[D_co]):
    """What a stage's work comes to: a document, not sealed yet, and what made it."""

    document: D_co
    recipe: Recipe


class _Versioned(Value):
    """All that every version of every document has."""

    schema_version: Annotated[int, Field(strict=True, ge=1)] = 1


class _Sealed(_Versioned):
    """All that every version of every finished document has."""

    video_id: VideoId
    provenance: Provenance


@dataclass(frozen=True)
class Envelope:
    """What is known of a stored document without its contents, whatever their form: that it was made, and of what.

    Attributes:
        video_id: of which video.
        provenance: its block.
        objects: the media that it names, wherever it does.
    """

    video_id: str
    provenance: Provenance
    objects: tuple[ObjectRef, ...] = ()

    @property
    def key(self) -> str:
        """Key in the store."""
        return document_key(self.provenance.asset, self.video_id, self.provenance.data_version)

    @classmethod
    def read(cls, kind: type[Document], data: bytes, key: str) -> Self:
        """The envelope of a stored document of a kind; raises as ``Document.read`` does."""
        version = 0
        try:
            version = _Versioned.model_validate_json(data, extra="ignore").schema_version
            sealed = _Sealed.model_validate_json(data, extra="ignore")
            objects = tuple(objects_in(json.loads(data))) if b'"sha256"' in data else ()
        except _UNREADABLE as error:
            raise _unreadable(kind, version, data, key, error) from error
        return cls(sealed.video_id, sealed.provenance, objects)


def document_key(asset: str, video_id: str, data_version: str) -> str:
    """Key of one version of a document."""
    return f"{asset}/{video_id}/{data_version}.json"


def pointer_key(asset: str, video_id: str) -> str:
    """Key of the small object that points at a document's newest version."""
    return f"{asset}/{video_id}/current.json"


def objects_in(value: object) -> Iterator[ObjectRef]:
    """Every object that a document's JSON names, at any depth."""
    if isinstance(value, dict):
        if ObjectRef.model_fields.keys() <= value.keys():
            with suppress(ValidationError):  # of a newer form, of which nothing can be asked
                yield ObjectRef.model_validate(value, extra="ignore")
            return
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from objects_in(part)


def _unreadable(kind: type[Document], version: int, data: bytes, key: str, error: Exception) -> Failure:
    """What a document is that cannot be read: of a newer version, damaged, or of a form that no version wrote."""
    if version > kind.newest_version():
        return NewerDocumentError(f"{key} is of schema version {version}: {_first_fault(error)}")
    leaf = UnreadableDocumentError if _is_sealed(data) else DamagedDocumentError
    return leaf(f"{key}: {_first_fault(error)}")


def _is_sealed(data: bytes) -> bool:
    """Whether somebody finished it: JSON that says which data version it is, in whatever form the rest is."""
    try:
        provenance = json.loads(data)["provenance"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return False
    return isinstance(provenance, dict) and isinstance(provenance.get("data_version"), str)


def _first_fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
