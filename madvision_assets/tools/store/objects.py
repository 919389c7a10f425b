"""The object store: one face for a folder, memory and S3.

Every write is atomic: a reader sees the old object, the new one or none, never a part. No object is ever held in
memory whole, but for those that are given or asked for as ``bytes``.
"""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failures import MissingInputError, StoreUnavailableError
from madvision_assets.tools.store.backends import Location, connect, parse_store_url, validate_key
from madvision_assets.tools.store.errors import folder_failure, store_failures
from madvision_assets.tools.store.files import copy_bytes
from madvision_assets.tools.store.links import NamedLinks
from madvision_assets.tools.store.partial import PartialCopy
from madvision_assets.tools.store.reader import open_ranged

if TYPE_CHECKING:
    from obstore import Attributes

    from madvision_assets.tools.store.backends import Backend

__all__ = ["ObjectStore", "Progress"]

# Bytes done, bytes in all.
Progress = Callable[[int, int], None]

PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 8
# S3 allows 10,000; https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 9_000
READ_BYTES = 1024 * 1024
# A live writer touches its staged file all the time; one that is so old was left by a writer that was killed.
ABANDONED_AFTER_S = 3600.0
_STAGED = re.compile(r".+#\d+")


class ObjectStore:
    """Objects by key, below one root. Cheap to make (nothing is touched before the first use) and thread-safe.

    Every method that touches the store raises ``MissingInputError`` (nothing there to read), ``StoreDeniedError``
    (credentials, permission, no such bucket), ``DiskFullError`` or ``StoreUnavailableError``, each naming the key; and
    ``ValueError`` for a key that cannot be (see ``validate_key``).

    Args:
        location: where.
        s3: how to reach S3; ignored by the other schemes.
    """

    def __init__(self, location: Location, s3: AwsAccess | None = None) -> None:
        self._location = location
        self._s3 = s3 or AwsAccess()

    @classmethod
    def from_url(cls, url: str, *, s3: AwsAccess | None = None) -> Self:
        """A store at ``file:///…``, ``s3://bucket/prefix`` or ``memory://`` (each of the last kind is a new one).

        Raises:
            ValueError: the URL is none of these; the message names MADVISION_STORE_URL.
        """
        return cls(parse_store_url(url), s3)

    def __repr__(self) -> str:
        """Shows the URL only."""
        return f"ObjectStore({self.url!r})"

    @property
    def url(self) -> str:
        """Where the store is, without secrets."""
        return self._location.url

    def uri(self, key: str) -> str:
        """Address of an object, whether it is there or not."""
        return self._location.uri(validate_key(key))

    @cached_property
    def _backend(self) -> "Backend":
        try:
            return connect(self._location, self._s3)
        except OSError as error:
            raise folder_failure(error) from error

    @cached_property
    def _named_links(self) -> NamedLinks:
        return NamedLinks(self._location, self._s3)

    # --- writing ---

    def put_bytes(
        self, key: str, data: bytes, *, if_absent: bool = False, media_type: str = "application/octet-stream"
    ) -> bool:
        """Write a small object.

        Args:
            key: its key.
            data: what it shall hold.
            if_absent: leave an object that is there already as it is. The store decides, so of writers at once one wins
                (on AWS, in a folder and in memory; Swift for one decides before the bytes arrive, and several may).
            media_type: MIME type, kept where the store keeps one.

        Returns:
            False where ``if_absent`` found an object there, else True.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        validate_key(key)
        with store_failures(key):
            try:
                obstore.put(
                    self._backend,
                    key,
                    data,
                    mode="create" if if_absent else "overwrite",
                    attributes=self._attributes(media_type),
                    use_multipart=False,
                )
            except AlreadyExistsError:
                return False
        self._sweep_abandoned(key)
        return True

    def put_file(self, path: Path, key: str, media_type: str, progress: Progress | None = None) -> None:
        """Stream a file into the store; memory stays under about 100 MB whatever its size.

        Args:
            path: the file; it must not change meanwhile.
            key: its key; an object there is replaced once the last byte has arrived.
            media_type: MIME type, kept where the store keeps one.
            progress: called with bytes read and bytes in all, from a thread of the store.

        Raises:
            OSError: the file cannot be read.
        """
        validate_key(key)
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            kept = self.local_path(key)
            with store_failures(key):
                if kept is not None:
                    _keep(file, kept, progress)
                else:
                    self._send(file, size_bytes, key, media_type, progress)
        self._verify_size(key, size_bytes)
        self._sweep_abandoned(key)

    def store_media(
        self, path: Path, video_id: str, extension: str, media_type: str, progress: Progress | None = None
    ) -> ObjectRef:
        """Put a media file under the name of its contents, ``media/<video_id>/<sha256>.<extension>``.

        One that is there already, of the same size, is not sent again.

        Args:
            path: the file.
            video_id: the video it belongs to.
            extension: without the dot.
            media_type: MIME type.
            progress: as for ``put_file``; not called where nothing is sent.

        Returns:
            The reference that goes into a document.
        """
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = os.fstat(file.fileno()).st_size
        key = f"media/{video_id}/{sha256}.{extension}"
        if self._size_or_none(key) != size_bytes:
            self.put_file(path, key, media_type, progress)
        return ObjectRef(key=key, sha256=sha256, size_bytes=size_bytes, media_type=media_type)

    def copy_media(self, media: ObjectRef, video_id: str) -> ObjectRef:
        """Put a media file of one video beside those of another one, which then may be deleted by itself.

        The store copies it itself.

        Raises:
            Failure: it is not there, or is too large for the store to copy (S3: 5 GB).
        """
        import obstore

        key = f"media/{video_id}/{media.key.rpartition('/')[2]}"
        with store_failures(media.key):
            obstore.copy(self._backend, validate_key(media.key), validate_key(key))
        self._verify_size(key, media.size_bytes)
        return media.model_copy(update={"key": key})

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are none the worse."""
        import obstore

        wanted = [validate_key(key) for key in keys]
        batches = [wanted] if self._location.scheme == "s3" else [[key] for key in wanted]
        for batch in batches:
            with suppress(MissingInputError), store_failures(", ".join(batch[:3])):
                obstore.delete(self._backend, batch)

    # --- reading ---

    def get_bytes(self, key: str) -> bytes:
        """The whole of a small object."""
        import obstore

        validate_key(key)
        with store_failures(key):
            return bytes(obstore.get(self._backend, key).bytes())

    def exists(self, key: str) -> bool:
        """Whether there is an object."""
        return self._size_or_none(key) is not None

    def size_bytes(self, key: str) -> int:
        """How many bytes an object has."""
        import obstore

        validate_key(key)
        with store_failures(key):
            return obstore.head(self._backend, key)["size"]

    def download(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Stream an object into a file, which appears whole or not at all; memory stays under about 64 MB.

        Args:
            key: what to fetch.
            path: where to; its folder must exist, and a file there is replaced.
            progress: called with bytes written and bytes in all.

        Raises:
            OSError: the file cannot be made.
        """
        kept = self.local_path(key)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with partial.open("xb", buffering=0) as file, store_failures(key):
                if kept is not None:
                    with kept.open("rb") as stored:
                        copy_bytes(stored, file, progress)
                else:
                    self._receive(key, file, progress)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def open(self, key: str) -> BinaryIO:
        """An object as a seekable file that fetches what is read; close it after use. PyAV's ``av.open`` takes it."""
        path = self.local_path(key)
        if path is not None:
            with store_failures(key):
                return path.open("rb")
        return open_ranged(self._backend, key, self.size_bytes(key))

    def partial(self, key: str, path: Path) -> PartialCopy:
        """A copy that holds only what is read of it, for objects of which little is needed.

        Raises:
            OSError: the file cannot be made.
        """
        return PartialCopy(self._backend, key, self.size_bytes(key), path)

    def local_path(self, key: str) -> Path | None:
        """Path of an object in a folder store, whether it is there or not, for reading only; None elsewhere."""
        validate_key(key)
        return self._location.root / key if self._location.root is not None else None

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """Keys below a prefix of whole parts (``a/b`` finds ``a/b/c``, not ``a/bc``), in no particular order."""
        yield from (key for key, _ in self.list_sizes(prefix))

    def list_sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Likewise, each with its size in bytes."""
        import obstore

        wanted = validate_key(prefix.rstrip("/")) if prefix else None
        with store_failures(prefix or "the list of keys"):
            for batch in obstore.list(self._backend, prefix=wanted):
                yield from ((meta["path"], meta["size"]) for meta in batch)

    def folders(self) -> list[str]:
        """First parts of the keys that have several: one for each stage that ever wrote, and the media."""
        import obstore

        with store_failures("the list of folders"):
            return sorted(obstore.list_with_delimiter(self._backend)["common_prefixes"])

    def presigned_url(self, key: str, expires_s: float, disposition: str = "", media_type: str = "") -> str | None:
        """A link that lets anybody read the object for so many seconds; None where the store is not S3.

        With a ``Content-Disposition`` the object is sent with that, and with the media type that is given.
        """
        import obstore
        from obstore.store import S3Store

        validate_key(key)
        if not isinstance(self._backend, S3Store):
            return None
        if disposition:
            return self._named_links.sign(key, expires_s, disposition, media_type)
        with store_failures(key):
            return obstore.sign(self._backend, "GET", key, timedelta(seconds=expires_s))

    def check(self) -> None:
        """Write, read back and delete a small object; raises what goes wrong, returns when all is well."""
        key = f"check-{secrets.token_hex(8)}.txt"
        written = key.encode()
        self.put_bytes(key, written, media_type="text/plain")
        try:
            if self.get_bytes(key) != written:
                raise StoreUnavailableError(f"{key}: other bytes came back than were written")
        finally:
            self.delete([key])

    # --- details ---

    def _send(self, file: BinaryIO, size_bytes: int, key: str, media_type: str, progress: Progress | None) -> None:
        """A file in parts, several at once."""
        import obstore

        chunks = _chunks(file, size_bytes, progress)
        small = size_bytes <= PART_BYTES
        obstore.put(
            self._backend,
            key,
            b"".join(chunks) if small else chunks,
            attributes=self._attributes(media_type),
            use_multipart=not small,
            chunk_size=max(PART_BYTES, size_bytes // MAX_PARTS + 1),
            max_concurrency=PARTS_AT_ONCE,
        )

    def _receive(self, key: str, file: BinaryIO, progress: Progress | None) -> None:
        """An object in one stream."""
        import obstore

        result = obstore.get(self._backend, key)
        size_bytes = result.meta["size"]
        done_bytes = 0
        for chunk in result.stream(min_chunk_size=READ_BYTES):
            done_bytes += file.write(chunk)
            if progress:
                progress(done_bytes, size_bytes)
        if done_bytes != size_bytes:
            raise StoreUnavailableError(f"{key}: {done_bytes} of {size_bytes} bytes arrived")

    def _attributes(self, media_type: str) -> "Attributes | None":
        # obstore refuses attributes on a folder, which has no place for them.
        return None if self._location.scheme == "file" else {"Content-Type": media_type}

    def _size_or_none(self, key: str) -> int | None:
        try:
            return self.size_bytes(key)
        except MissingInputError:
            return None

    def _verify_size(self, key: str, size_bytes: int) -> None:
        stored_bytes = self.size_bytes(key)
        if stored_bytes != size_bytes:
            raise StoreUnavailableError(f"{key}: {stored_bytes} of {size_bytes} bytes are stored")

    def _sweep_abandoned(self, key: str) -> None:
        """Remove what killed writers left beside this object: obstore stages ``<name>#<n>`` before it renames."""
        path = self.local_path(key)
        if path is None:
            return
        oldest = time.time() - ABANDONED_AFTER_S
        for staged in path.parent.glob("*#*"):
            with suppress(FileNotFoundError):  # another writer sweeps as well
                if _STAGED.fullmatch(staged.name) and staged.stat().st_mtime < oldest:
                    staged.unlink()


def _keep(file: BinaryIO, path: Path, progress: Progress | None) -> None:
    """A file in a folder: beside its place under a name as obstore stages them, which is never listed, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}#{secrets.randbits(32)}")
    try:
        with staged.open("xb", buffering=0) as copy:
            copy_bytes(file, copy, progress)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def _chunks(file: BinaryIO, size_bytes: int, progress: Progress | None) -> Iterator[bytes]:
    done_bytes = 0
    while chunk := file.read(READ_BYTES):
        done_bytes += len(chunk)
        if progress:
            progress(done_bytes, size_bytes)
        yield chunk
