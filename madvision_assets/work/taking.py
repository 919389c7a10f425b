"""Takes a package out of the store into a folder: whole files or none, and nothing twice."""

import hashlib
import json
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from madvision_assets.domain.sidecars import Sidecar
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.package import PackagedFile

_FACTS = f".{Sidecar.FACTS.suffix}"
ABANDONED_AFTER_S = 60.0  # whoever still writes a file changes it more often


@dataclass(frozen=True)
class Taken:
    """What came of it.

    Attributes:
        written: names of the files that were written.
        kept: names of those that were there already, byte for byte.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]


def take(files: Iterable[PackagedFile], store: ObjectStore, folder: Path) -> Taken:
    """Write files into a folder, which is made; one of the same name that differs is replaced.

    Raises:
        OSError: the folder cannot be written to. What was finished stays.
        Failure: of the store.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    kept: list[str] = []
    for each in files:
        path = folder / each.name
        _sweep(path)
        if _is_there(path, each):
            kept.append(each.name)
            continue
        if isinstance(each.content, bytes):
            _write(path, each.content)
        else:
            store.download(each.content.key, path)
        written.append(each.name)
    return Taken(tuple(written), tuple(kept))


def outdated(folder: Path, video_id: str, stems: Collection[str]) -> tuple[str, ...]:
    """Names of files in a folder that belong to clips which the video has no more, or under another name.

    A clip's facts say which video it is of; its other files are called as they are. Files of others are not named.

    Args:
        folder: where a package of the video was taken to.
        video_id: of the video.
        stems: what the files of its clips are called now, before their suffix.

    Raises:
        OSError: the folder cannot be read.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    facts = [name for name in names if name.endswith(_FACTS) and name.removesuffix(_FACTS) not in stems]
    gone = tuple(name.removesuffix(_FACTS) + "." for name in facts if _is_of(folder / name, video_id))
    return tuple(name for name in names if gone and name.startswith(gone))


def _is_of(path: Path, video_id: str) -> bool:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("video_id") == video_id


def _is_there(path: Path, wanted: PackagedFile) -> bool:
    if not path.is_file() or path.stat().st_size != wanted.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what a run that was killed left of this file; the store's downloads are named likewise."""
    oldest = time.time() - ABANDONED_AFTER_S
    beginning = f".{path.name}."
    for partial in path.parent.iterdir():
        if partial.name.startswith(beginning) and partial.name.endswith(".part"):
            with suppress(FileNotFoundError):
                if partial.stat().st_mtime < oldest:
                    partial.unlink()
