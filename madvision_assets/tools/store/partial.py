"""A local copy of an object that holds only what was read of it; the rest of the file is a hole."""

import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from madvision_assets.tools.store.errors import store_failures

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from madvision_assets.tools.store.backends import Backend

BLOCK_BYTES = 256 * 1024  # of what is read without having been asked for
PART_BYTES = 8 * 1024 * 1024
BATCH_BYTES, BATCH_PARTS = 32 * 1024 * 1024, 200  # that are asked for, and held in memory, at a time

Stretch = tuple[int, int]


class PartialCopy(io.RawIOBase):
    """A sparse file as long as the object; ``fetch`` fills stretches of it, and reading fills what it meets.

    Args:
        backend: of the store.
        key: of the object.
        size_bytes: of the object.
        path: of the copy; a file there is replaced.
    """

    def __init__(self, backend: "Backend", key: str, size_bytes: int, path: Path) -> None:
        super().__init__()
        self._backend, self._key, self._size_bytes = backend, key, size_bytes
        self.path = path
        self.fetched_bytes = 0
        self._held: list[Stretch] = []
        self._at = 0
        self._file: BinaryIO = path.open("w+b")
        self._file.truncate(size_bytes)

    def __enter__(self) -> Self:  # noqa: D105
        return self

    def close(self) -> None:
        """Closes the copy; its file stays."""
        if not self.closed:
            self._file.close()
        super().close()

    def readable(self) -> bool:  # noqa: D102 - as in io
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:  # noqa: D102
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def readinto(self, buffer: "Buffer") -> int:  # noqa: D102
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size_bytes)
        if end <= self._at:
            return 0
        blocks = self._at // BLOCK_BYTES * BLOCK_BYTES, -(-end // BLOCK_BYTES) * BLOCK_BYTES
        self.fetch(blocks)
        self._file.seek(self._at)
        count = self._file.readinto(view[: end - self._at])  # type: ignore[attr-defined]
        self._at += count
        return int(count)

    def fetch(self, *stretches: Stretch) -> None:
        """Makes the bytes of each stretch, from its first to before its end, be in the file; several at a time.

        Raises:
            Failure: of the store.
            OSError: of the disk.
        """
        import obstore

        for parts in self._batches(stretches):
            starts, ends = zip(*parts, strict=True)
            with store_failures(self._key):
                found = obstore.get_ranges(self._backend, self._key, starts=starts, ends=ends, coalesce=0)
            for (begin, end), data in zip(parts, found, strict=True):
                self._file.seek(begin)
                self._file.write(data)
                self.fetched_bytes += end - begin
                self._hold(begin, end)
        self._file.flush()

    def _batches(self, stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
        """What is missing of them, in parts, as many as are asked for and held in memory at a time."""
        batch: list[Stretch] = []
        size_bytes = 0
        for wanted, until in _merged(stretches):
            for first, last in self._missing(wanted, min(until, self._size_bytes)):
                for begin in range(first, last, PART_BYTES):
                    end = min(begin + PART_BYTES, last)
                    if batch and (size_bytes + end - begin > BATCH_BYTES or len(batch) == BATCH_PARTS):
                        yield batch
                        batch, size_bytes = [], 0
                    batch.append((begin, end))
                    size_bytes += end - begin
        if batch:
            yield batch

    def _missing(self, begin: int, end: int) -> list[Stretch]:
        found, at = [], begin
        for number in range(bisect_right(self._held, begin, key=itemgetter(1)), len(self._held)):
            first, last = self._held[number]
            if first >= end:
                break
            if first > at:
                found.append((at, first))
            at = max(at, last)
        return [*found, (at, end)] if at < end else found

    def _hold(self, begin: int, end: int) -> None:
        """Adds a stretch; those that are held lie apart, in order."""
        first = bisect_left(self._held, begin, key=itemgetter(1))
        after = bisect_right(self._held, end, key=itemgetter(0))
        touched = self._held[first:after]
        if touched:
            begin, end = min(begin, touched[0][0]), max(end, touched[-1][1])
        self._held[first:after] = [(begin, end)]


def _merged(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The same bytes, each once."""
    begin = end = 0
    for first, last in sorted(stretches):
        if first <= end:
            end = max(end, last)
            continue
        if begin < end:
            yield begin, end
        begin, end = first, last
    if begin < end:
        yield begin, end
