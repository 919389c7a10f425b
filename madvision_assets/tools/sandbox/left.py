"""What a child left in a folder of its own, as far as its parent touches it: plain files, under no other name.

Its parent is not confined. A link or a pipe in the place of a file would lead it elsewhere, or have it wait for ever.
The controls refuse to make them; what is here holds where a kernel has no such control. Only for what lies still: the
child has ended.
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

NOTE_BYTES = 4096


class NotPlainError(OSError):
    """It is a link, a folder, a pipe or a device, or a file that is known by other names too."""


def opened(path: Path, *, change: bool = False) -> BinaryIO:
    """Opens a plain file to read it, or to change it.

    Raises:
        NotPlainError: it is something else.
        OSError: there is none, or it is not ours.
    """
    flags = (os.O_RDWR if change else os.O_RDONLY) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise NotPlainError from error
        raise
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(fd)
        raise NotPlainError
    return os.fdopen(fd, "r+b" if change else "rb", buffering=0 if change else -1)


def size_bytes(path: Path) -> int:
    """Size of a plain file; 0 where there is none."""
    with suppress(OSError), opened(path) as file:
        return os.fstat(file.fileno()).st_size
    return 0


def text(path: Path) -> str:
    """What a plain file says, as far as it is a short note; empty where there is none."""
    with suppress(OSError), opened(path) as file:
        return file.read(NOTE_BYTES).decode("utf-8", "replace")
    return ""


def write(path: Path, words: str) -> None:
    """Writes a file of our own in the place of whatever is there."""
    remove(path)
    with path.open("x", encoding="utf-8") as file:  # "x" goes through no link
        file.write(words)


def move(path: Path, to: Path) -> None:
    """Moves a plain file to another place on the same disk, in the place of whatever is there.

    Raises:
        OSError: as ``opened`` does.
    """
    opened(path).close()
    if to.is_dir():
        remove(to)
    path.replace(to)


def remove(path: Path) -> None:
    """Removes whatever has this name, and nothing that it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
