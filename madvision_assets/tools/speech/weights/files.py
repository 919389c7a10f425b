"""Files and folders that are there whole or not at all, however many processes make them at once."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from madvision_assets.domain import disk
from madvision_assets.domain.failures import DiskFullError


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """What lies at ``path``, made first where nothing does.

    Args:
        path: a file or a folder.
        make: writes it at the path that it is given.

    Raises:
        DiskFullError: there is no room for it.
        Exception: whatever ``make`` raises; nothing is left of it.
    """
    if path.exists():
        return path
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(part)
        try:
            part.rename(path)
        except OSError:
            if not path.exists():  # else another process was quicker, and made the same
                raise
    except OSError as error:
        if disk.is_full(error.errno):
            raise DiskFullError(f"{path}: {error}") from error
        raise
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
    return path
