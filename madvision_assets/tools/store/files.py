"""Copies between files of this machine, which need not pass through this process."""

import os
import sys
from collections.abc import Callable
from typing import BinaryIO

BLOCK_BYTES = 4 * 1024 * 1024


def copy_bytes(source: BinaryIO, target: BinaryIO, progress: Callable[[int, int], None] | None = None) -> int:
    """Copy an open file to the end of another, unbuffered one; on Linux the kernel does it by itself.

    Args:
        source: read from its beginning.
        target: new, opened without a buffer.
        progress: called with bytes copied and bytes in all.

    Returns:
        How many bytes were copied.
    """
    size_bytes = os.fstat(source.fileno()).st_size
    done_bytes = 0
    while copied := _copy_block(source, target, done_bytes):
        done_bytes += copied
        if progress:
            progress(done_bytes, size_bytes)
    return done_bytes


def _copy_block(source: BinaryIO, target: BinaryIO, start: int) -> int:
    if sys.platform == "linux":
        return os.sendfile(target.fileno(), source.fileno(), start, BLOCK_BYTES)
    source.seek(start)
    return target.write(source.read(BLOCK_BYTES))
