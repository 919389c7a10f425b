"""Small disks of their own, for tests of what happens when one is full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCK_BYTES = 4096


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A folder on a disk of so many megabytes; the test is skipped where nobody may mount one."""
    if os.geteuid() != 0:
        pytest.skip("it takes root to have a small disk")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True, timeout=30)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=30)


def fill(disk: Path, left_bytes: int = 0) -> Path:
    """Takes all room of a disk but so many bytes; gives the file that does."""
    filling = disk / "filling"
    room = os.statvfs(disk)
    filling.write_bytes(bytes(room.f_bavail * room.f_frsize - left_bytes // BLOCK_BYTES * BLOCK_BYTES))
    return filling
