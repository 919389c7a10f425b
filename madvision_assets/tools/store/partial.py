"""A local copy of an object that holds only what was read of it; the rest of the file is a hole."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from madvision_assets.tools.store.errors import store_failures

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from madvision_assets.tools.store.backends import Backend

BLOCK_BYTES = 256 * 1024  # of what is read without having been asked for
PART_BYTES = 8 * 1024 * 1024


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
        self._held: list[tuple[int, int]] = []
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
        self.fetch(blocks[0], min(blocks[1], self._size_bytes))
        self._file.seek(self._at)
        count = self._file.readinto(view[: end - self._at])  # type: ignore[attr-defined]
        self._at += count
        return int(count)

    def fetch(self, begin: int, end: int) -> None:
        """Makes the bytes from ``begin`` to before ``end`` be in the file.

        Raises:
            Failure: of the store.
            OSError: of the disk.
        """
        import obstore

        for first, last in self._missing(begin, min(end, self._size_bytes)):
            for at in range(first, last, PART_BYTES):
                stop = min(at + PART_BYTES, last)
                with store_failures(self._key):
                    data = obstore.get_range(self._backend, self._key, start=at, end=stop)
                    self._file.seek(at)
                    self._file.write(data)
                self.fetched_bytes += stop - at
        self._file.flush()
        self._hold(begin, end)

    def _missing(self, begin: int, end: int) -> list[tuple[int, int]]:
        found, at = [], begin
        for first, last in self._held:
            if last <= at or first >= end:
                continue
            if first > at:
                found.append((at, first))
            at = max(at, last)
        return [*found, (at, end)] if at < end else found

    def _hold(self, begin: int, end: int) -> None:
        held: list[tuple[int, int]] = []
        for first, last in sorted([*self._held, (begin, end)]):
            if held and first <= held[-1][1]:
                held[-1] = held[-1][0], max(last, held[-1][1])
            else:
                held.append((first, last))
        self._held = held
