"""Files of this machine: copies that need not pass through this process, and the endings of names."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import BinaryIO

BLOCK_BYTES = 4 * 1024 * 1024
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


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


def suffix_of(name: str) -> str:
    """The ending of a name, with its dot, in lower case; empty where it is none that we would give a file."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _copy_block(source: BinaryIO, target: BinaryIO, start: int) -> int:
    if sys.platform == "linux":
        return os.sendfile(target.fileno(), source.fileno(), start, BLOCK_BYTES)
    source.seek(start)
    return target.write(source.read(BLOCK_BYTES))
