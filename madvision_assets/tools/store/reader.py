"""An object as a file that can be sought, so that PyAV and others read only the parts they want."""

import io
from collections import OrderedDict
from typing import TYPE_CHECKING

from madvision_assets.tools.store.errors import store_failures

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from madvision_assets.tools.store.backends import Backend

# One request fetches so much; decoders read a few kilobytes at a time.
BUFFER_BYTES = 1024 * 1024
# Whoever opens a file looks at its beginning and its end, and comes back: these stay at hand.
KEPT_BLOCKS = 8


class _RangeReader(io.RawIOBase):
    """Blocks of ``BUFFER_BYTES``, each by one ranged request; the last few are kept."""

    def __init__(self, backend: "Backend", key: str, size_bytes: int) -> None:
        super().__init__()
        self._backend = backend
        self._key = key
        self._size_bytes = size_bytes
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"cannot seek to {start + offset}, before the start of {self._key}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer).cast("B")
        number, skipped = divmod(self._position, BUFFER_BYTES)
        data = memoryview(self._block(number))[skipped : skipped + len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _block(self, number: int) -> bytes:
        import obstore

        start = number * BUFFER_BYTES
        if start >= self._size_bytes:
            return b""
        if number not in self._blocks:
            end = min(start + BUFFER_BYTES, self._size_bytes)
            with store_failures(self._key):
                self._blocks[number] = bytes(obstore.get_range(self._backend, self._key, start=start, end=end))
        self._blocks.move_to_end(number)
        if len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[number]


def open_ranged(backend: "Backend", key: str, size_bytes: int) -> io.BufferedReader:
    """A buffered reader over ranged requests; it holds about ten megabytes whatever the object's size."""
    return io.BufferedReader(_RangeReader(backend, key, size_bytes), BUFFER_BYTES)
