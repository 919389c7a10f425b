"""Copying a whole store into another one: for backups, for restores, and for a move from one place to another.

What a store holds is immutable and named by its contents, but for the pointers (``current.json``). So an object that is
there with the same size is not copied again, and a copy that was broken off goes on where it stopped. Pointers are
read first and written last: whatever the copy points at is in the copy, also where the source grows meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeVar

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import MissingInputError, StoreUnavailableError
from madvision_assets.tools.store.backends import Location, connect
from madvision_assets.tools.store.errors import folder_failure, store_failures

if TYPE_CHECKING:
    from obstore import Attributes, GetResult

    from madvision_assets.tools.store.backends import Backend

# Small objects wait for answers, not for the line: many at once.
AT_ONCE = 16
BATCH = 1000
# Larger objects go in parts, few at once: each keeps some parts in memory.
PART_BYTES = 8 * 1024 * 1024
LARGE_AT_ONCE = 2
PARTS_AT_ONCE = 4
MAX_PARTS = 9_000
READ_BYTES = 1024 * 1024
POINTER = "current.json"
Entry = TypeVar("Entry")
# A folder keeps no media types, and S3 hands on the one that an object was written with.
MEDIA_TYPES = {
    "flac": "audio/flac",
    "jpg": "image/jpeg",
    "json": "application/json",
    "mkv": "video/x-matroska",
    "mp4": "video/mp4",
    "parquet": "application/vnd.apache.parquet",
    "srt": "application/x-subrip",
    "webm": "video/webm",
}


@dataclass
class Copied:
    """What a copy came to.

    Attributes:
        objects: in the source.
        size_bytes: of these.
        sent_objects: those that were not there yet, and the pointers.
        sent_bytes: of these.
    """

    objects: int = 0
    size_bytes: int = 0
    sent_objects: int = 0
    sent_bytes: int = 0

    def add(self, sizes: Collection[int], sent: Collection[int]) -> None:
        """Count more objects of these sizes, and those among them that were sent."""
        self.objects += len(sizes)
        self.size_bytes += sum(sizes)
        self.sent_objects += len(sent)
        self.sent_bytes += sum(sent)


@dataclass(frozen=True)
class Place:
    """Where a store is, and how to reach it.

    Attributes:
        location: a parsed URL.
        s3: credentials and endpoint, for S3.
    """

    location: Location
    s3: AwsAccess

    def open(self) -> "Backend":
        """The backend; a folder is made."""
        try:
            return connect(self.location, self.s3)
        except OSError as error:
            raise folder_failure(error) from error


def copy_objects(source: Place, target: Place, without: Collection[str] = ()) -> Copied:
    """Copy every object that the target has not got with the same size; nothing is ever deleted.

    Memory grows by about half a kilobyte an object (what is there, and the pointers), not with their sizes.

    Args:
        source: what is copied.
        target: where to.
        without: folders right below the source that stay where they are.

    Raises:
        ValueError: the target is the source, or lies inside it.
        StoreDeniedError: credentials, permission, no such bucket.
        DiskFullError: the target's disk is full.
        StoreUnavailableError: one of them does not answer.
    """
    if f"{target.location.url}/".startswith(f"{source.location.url}/"):
        raise ValueError(f"{target.location.url} lies inside {source.location.url}: a copy needs a place of its own")
    return _Copy(source.open(), target.open(), frozenset(without)).run()


class _Copy:
    """One copy, from its first look to its last pointer."""

    def __init__(self, source: "Backend", target: "Backend", without: frozenset[str]) -> None:
        self._source = source
        self._target = target
        self._without = without
        self._large = BoundedSemaphore(LARGE_AT_ONCE)

    def run(self) -> Copied:
        copied = Copied()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            named = (key for key, _ in self._wanted() if _is_pointer(key))
            read = (pair for batch in batched(named) for pair in pool.map(self._read, batch))
            pointers = {key: data for key, data in read if data is not None}
            there = dict(_listed(self._target))
            for batch in batched(entry for entry in self._wanted() if not _is_pointer(entry[0])):
                missing = [(key, size_bytes) for key, size_bytes in batch if there.get(key) != size_bytes]
                sent = [size_bytes for size_bytes in pool.map(self._send, missing) if size_bytes is not None]
                copied.add([size_bytes for _, size_bytes in batch], sent)
            for some in batched(pointers.items()):
                list(pool.map(self._write, some))
        written = [len(data) for data in pointers.values()]
        copied.add(written, written)
        return copied

    def _wanted(self) -> Iterator[tuple[str, int]]:
        return (entry for entry in _listed(self._source) if entry[0].partition("/")[0] not in self._without)

    def _read(self, key: str) -> tuple[str, bytes | None]:
        """A pointer; None where its video was forgotten since it was listed."""
        import obstore

        with suppress(MissingInputError), store_failures(key):
            return key, bytes(obstore.get(self._source, key).bytes())
        return key, None

    def _write(self, pointer: tuple[str, bytes]) -> None:
        self._put(*pointer, {})

    def _send(self, entry: tuple[str, int]) -> int | None:
        """Copy an object and give its size; None where its video was forgotten since it was listed."""
        import obstore

        key, size_bytes = entry
        with suppress(MissingInputError):
            if size_bytes <= PART_BYTES:
                with store_failures(key):
                    result = obstore.get(self._source, key)
                    data = result.bytes()
                self._put(key, data, result.attributes)
            else:
                with self._large, store_failures(key):
                    asyncio.run(self._stream(key, size_bytes))
            return size_bytes
        return None

    def _put(self, key: str, data: Any, told: "Attributes") -> None:
        import obstore

        with store_failures(key):
            obstore.put(self._target, key, data, attributes=self._attributes(key, told), use_multipart=False)

    async def _stream(self, key: str, size_bytes: int) -> None:
        """From one store to the other part by part; obstore reads inside a write only where both are asynchronous."""
        import obstore

        result = await obstore.get_async(self._source, key)
        await obstore.put_async(
            self._target,
            key,
            _whole(result, key),
            attributes=self._attributes(key, result.attributes),
            use_multipart=True,
            chunk_size=max(PART_BYTES, size_bytes // MAX_PARTS + 1),
            max_concurrency=PARTS_AT_ONCE,
        )

    def _attributes(self, key: str, told: "Attributes") -> "Attributes | None":
        from obstore.store import LocalStore

        if isinstance(self._target, LocalStore):
            return None
        suffix = key.rpartition(".")[2]
        return {"Content-Type": told.get("Content-Type") or MEDIA_TYPES.get(suffix, "application/octet-stream")}


def list_objects(place: Place) -> Iterator[tuple[str, int]]:
    """Every key with its size in bytes, in no particular order."""
    return _listed(place.open())


def _listed(backend: "Backend") -> Iterator[tuple[str, int]]:
    import obstore

    with store_failures("the list of keys"):
        for batch in obstore.list(backend, chunk_size=BATCH):
            yield from ((meta["path"], meta["size"]) for meta in batch)


async def _whole(result: "GetResult", key: str) -> AsyncIterator[bytes]:
    """The bytes of an object; broken off before its end, the copy fails as a whole."""
    size_bytes, done_bytes = result.meta["size"], 0
    async for chunk in result.stream(min_chunk_size=READ_BYTES):
        done_bytes += len(chunk)
        yield bytes(chunk)
    if done_bytes != size_bytes:
        raise StoreUnavailableError(f"{key}: {done_bytes} of {size_bytes} bytes arrived")


def _is_pointer(key: str) -> bool:
    return key.rpartition("/")[2] == POINTER


def batched(items: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The items in lists of at most a thousand: a pool of threads would take in all of them at once."""
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
