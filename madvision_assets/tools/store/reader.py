"""An object as a file that can be sought, so that PyAV and others read only the parts they want."""

import io
from typing import TYPE_CHECKING

from madvision_assets.tools.store.errors import store_failures

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from madvision_assets.tools.store.backends import Backend

# One request fetches so much; decoders read a few kilobytes at a time.
BUFFER_BYTES = 1024 * 1024


class _RangeReader(io.RawIOBase):
    """Each read is one ranged request."""

    def __init__(self, backend: "Backend", key: str, size_bytes: int) -> None:
        super().__init__()
        self._backend = backend
        self._key = key
        self._size_bytes = size_bytes
        self._position = 0

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
        import obstore

        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._size_bytes)
        if end <= self._position:
            return 0
        with store_failures(self._key):
            data = obstore.get_range(self._backend, self._key, start=self._position, end=end)
        view[: len(data)] = memoryview(data)
        self._position += len(data)
        return len(data)


def open_ranged(backend: "Backend", key: str, size_bytes: int) -> io.BufferedReader:
    """A buffered reader over ranged requests; it holds about a megabyte whatever the object's size."""
    return io.BufferedReader(_RangeReader(backend, key, size_bytes), BUFFER_BYTES)
