"""What the operating system says of a disk: that it is full, or that it refuses us.

Its numbers (``errno``) are known here and nowhere else, and its words count for nothing: they stand in what sites and
files say as easily. An adapter adds what its own outside thing says ("database or disk is full"), and decides itself
whose fault a refusal is: the store's folder, the database's, or our home.
"""

import errno  # noqa: TID251 - this is the file that reads it
import os
from pathlib import Path

from madvision_assets.domain.failures import DiskFullError, Failure, HomeUnusableError

_FULL = {errno.ENOSPC, errno.EDQUOT}
# No such folder, a file in the place of a folder, read-only, not ours: somebody has to mend them.
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR}
# Said of one's own folder alone: elsewhere it is no fault of the disk that something is there already.
_REFUSED_AT_HOME = _REFUSED | {errno.EEXIST}
# Said of a name that cannot be had there, as of a key in the folder underneath a store.
_REFUSED_BY_NAME = {errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}


def is_full(number: int | None) -> bool:
    """Whether an ``errno`` says that a disk is full, or a quota used up."""
    return number in _FULL


def is_refused(number: int | None) -> bool:
    """Whether a file cannot be used where it was asked for, and another try will not mend it."""
    return number in _REFUSED | _REFUSED_BY_NAME


def reason(number: int | None) -> str:
    """The operating system's words for an ``errno``, without a path."""
    return os.strerror(number or 0)


def home_failure(error: OSError, folder: Path | None = None) -> Failure | None:
    """The leaf for what the disk says of ``MADVISION_HOME``; None where it speaks neither of room nor of access.

    Args:
        error: of the system.
        folder: our own, of which alone a refusal is told; None where nothing but our own was worked on.
    """
    words = reason(error.errno)
    if is_full(error.errno):
        return DiskFullError(words)
    if error.errno in _REFUSED_AT_HOME and (folder is None or _concerns(error, folder)):
        return HomeUnusableError(f"{Path(os.fsdecode(error.filename)).name}: {words}" if error.filename else words)
    return None


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether it names what lies in a folder, the folder, or one above, without which it cannot be made."""
    if not isinstance(error.filename, (str, bytes)):
        return False
    named, ours = Path(os.fsdecode(error.filename)).absolute(), folder.absolute()
    return named.is_relative_to(ours) or ours.is_relative_to(named)
