"""Files that are being sent to us, in the store: blocks, each an object of its own, that make one file in the end.

``incoming/<place>/<block>.<writer>``: who goes on after a cut is the next writer, and writes the last block again
with what came meanwhile. One who was overtaken and does not know it writes beside, never over. Of a block the one of
the last writer counts; all agree in what was confirmed.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from madvision_assets.domain.failures import FileChangedError, IncompleteDownloadError, MissingInputError
from madvision_assets.domain.received import BLOCK_BYTES, FOLDER, NO_CHAIN, ReceivedFile, chained, received_video_id
from madvision_assets.tools.store.files import suffix_of
from madvision_assets.tools.store.objects import ObjectStore

MIB = 1024 * 1024

OnProgress = Callable[[float, str], None]


class IncomingFiles:
    """Blocks of files in a store; raises what ``ObjectStore`` does.

    Args:
        store: where they lie.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, place: str, block: int, writer: int, data: bytes) -> None:
        """Keep a block, or as much of it as there is.

        Args:
            place: of the file.
            block: its number, from 0.
            writer: who writes; each has a higher number than all before.
            data: from the block's beginning.
        """
        self._store.put_bytes(_key(place, block, writer), data)

    def drop(self, place: str, block: int, writer: int) -> None:
        """Take back what this writer put."""
        self._store.delete([_key(place, block, writer)])

    def tail(self, place: str, offset_bytes: int) -> tuple[bytes, int]:
        """What is kept of the block that an offset lies in, and its writer; nothing, and 0, where a block begins there.

        Raises:
            MissingInputError: it is not there.
        """
        block, rest_bytes = divmod(offset_bytes, BLOCK_BYTES)
        if not rest_bytes:
            return b"", 0
        key = self._keys(place).get(block, _key(place, block, 0))
        return self._store.get_bytes(key)[:rest_bytes], int(key.rpartition(".")[2])

    def delete(self, place: str) -> None:
        """Delete all that is kept at a place."""
        self._store.delete(list(self._store.list_keys(f"{FOLDER}/{place}")))
        folder = self._store.local_path(f"{FOLDER}/{place}")
        if folder is not None:  # with what a writer that was killed had not yet put in its place
            shutil.rmtree(folder, ignore_errors=True)

    def fetch(self, address: str, video_id: str, folder: Path, progress: OnProgress) -> Path:
        """Put a file together in a folder, which is made where it is missing; memory is that of a few blocks.

        Args:
            address: of a ``ReceivedFile``.
            video_id: that its bytes must make.
            folder: for this video alone.
            progress: told the fraction done (0 to 1) and a text.

        Raises:
            MissingInputError: nothing is kept of it any more.
            IncompleteDownloadError: a block is missing, or not whole.
            FileChangedError: the bytes make another ID.
        """
        received = ReceivedFile.of(address)
        keys = self._keys(received.place)
        if not keys:
            raise MissingInputError(f"{FOLDER}/{received.place} is not in the store")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"video{suffix_of(received.name)}"
        with path.open("wb") as file:
            chain = self._join(received, keys, file, progress)
        if received_video_id(chain) != video_id:
            raise FileChangedError(received.name)
        return path

    def _join(self, received: ReceivedFile, keys: dict[int, str], file: BinaryIO, progress: OnProgress) -> str:
        chain, done_bytes = NO_CHAIN, 0
        while done_bytes < received.size_bytes:
            block = done_bytes // BLOCK_BYTES
            wanted_bytes = min(BLOCK_BYTES, received.size_bytes - done_bytes)
            data = self._store.get_bytes(keys[block])[:wanted_bytes] if block in keys else b""
            if len(data) != wanted_bytes:
                raise IncompleteDownloadError(f"{done_bytes + len(data)} of {received.size_bytes} bytes are kept")
            chain = chained(chain, data)
            done_bytes += file.write(data)
            said = f"{done_bytes / MIB:.1f} of {received.size_bytes / MIB:.1f} MiB"
            progress(done_bytes / received.size_bytes, said)
        return chain

    def _keys(self, place: str) -> dict[int, str]:
        """The object that counts for each block."""
        found: dict[int, tuple[int, str]] = {}
        for key in self._store.list_keys(f"{FOLDER}/{place}"):
            block, _, writer = key.rpartition("/")[2].partition(".")
            found[int(block)] = max(found.get(int(block), (0, "")), (int(writer), key))
        return {block: key for block, (_, key) in found.items()}


def _key(place: str, block: int, writer: int) -> str:
    return f"{FOLDER}/{place}/{block:06d}.{writer}"
