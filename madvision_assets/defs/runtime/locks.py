"""Files that are locked for as long as their process is at work, and say which one that is.

The system lets a lock go with its process, however that ends; one that hangs keeps it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.domain.failures import StageHeldError

POLL_S = 0.2


@dataclass(frozen=True)
class LockLimits:
    """How long a lock is waited for.

    Attributes:
        grace_s: for a holder whose lease on the video is over, to notice that by itself; then it is ended.
        limit_s: for all others, seconds.
    """

    grace_s: float = 10.0
    limit_s: float = 60.0


@contextmanager
def locked(path: Path, owner: Owner, limits: LockLimits, waits: Callable[[], None]) -> Iterator[None]:
    """Hold the lock; ``waits`` is called again and again while another process does.

    Raises:
        StageHeldError: the other one is still at it, and cannot be ended from here.
    """
    with _awaited(path, owner, limits, waits) as file:
        write_owner(file, owner)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def announced(path: Path, owner: Owner | None = None) -> Iterator[IO[str]]:
    """A file that is there and locked for as long as this lasts; nobody sees it before it is locked."""
    hidden = path.with_name(f".{path.name}")
    with _alone_in(hidden) as file:
        if owner is not None:
            write_owner(file, owner)
        # Only now under its name: a file that nobody holds is taken for that of a lost process.
        hidden.rename(path)
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _alone_in(path: Path) -> Iterator[IO[str]]:
    """The file of that name, locked; what it was before, a process that died has left."""
    while True:
        with open_lock(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_there(path, file):  # else it was swept just before it was locked
                yield file
                return


def sweep_unseen(folder: Path, suffix: str = "") -> None:
    """Remove what processes left that died before their file was seen under its name."""
    for path in folder.glob(f".*{suffix}"):
        with suppress(OSError), path.open("r+") as file:
            if locked_at_once(file):
                path.unlink()


def is_lost(path: Path) -> bool:
    """Whether nobody holds the lock; a file that is gone meanwhile belonged to a process that ended well."""
    try:
        with path.open() as file:
            return locked_at_once(file, shared=True)  # others may look at the same time
    except FileNotFoundError:
        return False


def locked_at_once(file: IO[str], *, shared: bool = False) -> bool:
    """Whether the lock could be had without a wait; it goes when the file is closed."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock(path: Path) -> IO[str]:
    """The file of a lock; what its holder wrote stays."""
    return path.open("a+")


def write_owner(file: IO[str], owner: Owner) -> None:
    """Say who holds a lock."""
    file.seek(0)
    file.truncate()
    file.write(owner.model_dump_json())
    file.flush()


def read_owner(path: Path) -> Owner | None:
    """Who holds a lock; None where it does not say so, as one of an older version."""
    try:
        return Owner.model_validate_json(path.read_bytes(), extra="ignore")
    except (OSError, ValidationError):
        return None


@contextmanager
def _awaited(path: Path, owner: Owner, limits: LockLimits, waits: Callable[[], None]) -> Iterator[IO[str]]:
    began_s = noticed_s = time.monotonic()
    holder: Owner | None = None
    while True:
        with open_lock(path) as file:
            if locked_at_once(file):
                # Whoever had it before has removed it; then somebody else may hold the one that is there now.
                if not _is_there(path, file):
                    continue
                yield file
                return
        waits()  # it may find that our own lease is over
        now_s, seen = time.monotonic(), read_owner(path)
        if seen != holder:
            holder, noticed_s = seen, now_s
        if holder and holder.process and owner.has_superseded(holder) and now_s - noticed_s >= limits.grace_s:
            holder.process.end()
        if now_s - began_s >= max(limits.limit_s, limits.grace_s):
            raise StageHeldError(holder.place if holder else "an unknown process")
        time.sleep(POLL_S)


def _is_there(path: Path, file: IO[str]) -> bool:
    return path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino
