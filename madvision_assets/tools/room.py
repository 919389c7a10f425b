"""Room on the disk of one machine, promised to what all its processes download before they take it.

Each promise is a file that its process holds locked: the operating system lets go of it when the process dies.
"""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from madvision_assets.domain.failures import RoomShortError

FOLDER = ".room"
SUFFIX = ".promise"
GB = 10**9
# Promised while nobody tells how large a video is; of a small disk a part.
UNKNOWN_BYTES = GB
# While a download is put together or made an MP4, it is there twice, and its audio beside it.
TIMES = 2.2
# Left to everything else; of a small disk a part.
SPARE_BYTES = GB // 4
SMALL_PART = 20
WAIT_S = 120.0
# Who is alone is so for milliseconds. One that hangs is to hold up no other process for ever.
ALONE_S, POLL_S = 60.0, 0.05


@dataclass(frozen=True)
class DiskRoom:
    """The promises on one disk.

    Attributes:
        root: the folder below which all downloads of this machine lie.
    """

    root: Path

    @contextmanager
    def promised(self, folder: Path) -> Iterator["Promise"]:
        """Have a promise for what comes into a folder, until the end of the block or of the process."""
        with self.alone():
            self._promises.mkdir(exist_ok=True)
            path = self._promises / f"{secrets.token_hex(8)}{SUFFIX}"
            file = path.open("w+")
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield Promise(self, path, file, folder)
        finally:
            path.unlink(missing_ok=True)
            file.close()
            with suppress(RoomShortError), self.alone(0.0):  # else another one, or the sweep, tidies
                self._tidy()

    @contextmanager
    def alone(self, limit_s: float = ALONE_S) -> Iterator[None]:
        """Nobody else promises anything meanwhile; it takes milliseconds.

        Args:
            limit_s: another process is waited for so long, seconds.

        Raises:
            RoomShortError: it stands still.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.root, os.O_RDONLY)
        try:
            _lock_within(lock, limit_s)
            yield
        finally:
            os.close(lock)

    def promised_to_others(self, mine: Path) -> int:
        """Bytes that others still have to come; promises of the dead are removed."""
        return sum(_outstanding(path) for path in self._promises.glob(f"*{SUFFIX}") if path != mine)

    def sweep(self) -> None:
        """Remove what processes that died have left, at once or not at all; they are counted no more in any case."""
        if self._promises.is_dir():
            with suppress(RoomShortError), self.alone(0.0):
                self.promised_to_others(self._promises)
                self._tidy()

    def _tidy(self) -> None:
        with suppress(OSError):  # it holds promises
            self._promises.rmdir()

    @property
    def _promises(self) -> Path:
        return self.root / FOLDER


@dataclass(frozen=True)
class Promise:
    """One download's promise."""

    room: DiskRoom
    path: Path
    file: IO[str]
    folder: Path

    def need(self, size_bytes: int, times: float = TIMES) -> None:
        """Have so many bytes promised in place of what was before, with what comes of them on the way.

        Args:
            size_bytes: of what comes; 0 where that is not known.
            times: how often it is there at once; by default as a download is.

        Raises:
            RoomShortError: there is not so much beside what others were promised; what was promised before stays.
                Where nobody else was promised any, waiting makes no room: it is tried, and may find the disk full.
        """
        with self.room.alone():
            disk = shutil.disk_usage(self.room.root)
            part = disk.total // SMALL_PART
            wanted = int(times * size_bytes) if size_bytes else min(UNKNOWN_BYTES, part)
            others = self.room.promised_to_others(self.path)
            free = disk.free - min(SPARE_BYTES, part) - others
            missing = wanted - _size_bytes(self.folder)
            if missing > free and others:
                told = (
                    f"{missing / GB:.1f} GB are needed, and {max(0, free) / GB:.1f} GB are left beside other downloads"
                )
                raise RoomShortError(told, retry_after_s=WAIT_S)
            self.file.seek(0)
            self.file.truncate()
            json.dump({"bytes": wanted, "folder": str(self.folder)}, self.file)
            self.file.flush()


def _lock_within(lock: int, limit_s: float) -> None:
    ends_s = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= ends_s:
                told = "another process that promises room stands still"
                raise RoomShortError(told, retry_after_s=WAIT_S) from error
            time.sleep(POLL_S)
        else:
            return


def _outstanding(path: Path) -> int:
    """What is still to come of a promise."""
    with suppress(OSError), path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            said: dict[str, Any] = json.loads(text) if text else {"bytes": 0, "folder": str(path)}
            return max(0, int(said["bytes"]) - _size_bytes(Path(said["folder"])))
        path.unlink()  # its process is gone
    return 0


def _size_bytes(folder: Path) -> int:
    total_bytes = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total_bytes += path.stat().st_size if path.is_file() else 0
    return total_bytes
