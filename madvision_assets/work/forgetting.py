"""Forgetting videos: what is kept of them, and deleting it in an order that can be broken off and taken up again."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.store.objects import ObjectStore

MEDIA = "media"
# Videos whose objects are listed or deleted at once.
AT_ONCE = 16
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
KEYS_AT_ONCE = 1000


@dataclass(frozen=True)
class Belongings:
    """What is kept of some videos.

    Attributes:
        video_ids: those that can be forgotten.
        running: those that are being processed and are left alone.
        unknown: those of which nothing is kept.
        objects: in the store, of those that can be forgotten.
        size_bytes: of these.
        tokens: that follow them.
        rows: in the database.
    """

    video_ids: frozenset[str]
    running: frozenset[str]
    unknown: frozenset[str]
    objects: int
    size_bytes: int
    tokens: int
    rows: int

    @property
    def sentence(self) -> str:
        """For a person."""
        counts = {"video": len(self.video_ids), "object": self.objects, "row": self.rows, "token": self.tokens}
        videos, objects, rows, tokens = (f"{n:,} {name}{'s' * (n != 1)}" for name, n in counts.items())
        return f"{videos}: {objects} ({decimal(self.size_bytes)}), {rows}, {tokens} leading nowhere then."


def find(database: Database, store: ObjectStore, video_ids: Collection[str]) -> Belongings:
    """What is kept of these videos."""
    operations = Operations(database)
    extent = operations.extent(video_ids)
    idle = sorted(set(video_ids) - extent.running)
    folders = store.folders()  # those too of stages that only another version knows
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = dict(zip(idle, pool.map(lambda each: _sizes(store, folders, each), idle), strict=True))
    there = frozenset(each for each in idle if each in extent.known or sizes[each])
    of_idle = operations.extent(there)
    return Belongings(
        video_ids=there,
        running=extent.running,
        unknown=frozenset(idle) - there,
        objects=sum(map(len, sizes.values())),
        size_bytes=sum(sum(each) for each in sizes.values()),
        tokens=of_idle.tokens,
        rows=of_idle.rows,
    )


def forget(database: Database, store: ObjectStore, work_folder: Path, video_ids: Collection[str]) -> frozenset[str]:
    """Delete all that is kept of them, the rows last, so that they still name what is left where this is broken off.

    Dagster's partitions are not ours to delete, and go before.

    Args:
        database: where the rows are.
        store: where documents and media are.
        work_folder: where their tries have left something on this machine.
        video_ids: which videos.

    Returns:
        Those that somebody started meanwhile: they keep their rows, and are made anew.
    """
    folders = store.folders()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lambda each: _delete_objects(store, folders, each), sorted(video_ids)):
            pass
    for video_id in video_ids:
        shutil.rmtree(work_folder / video_id, ignore_errors=True)
    operations = Operations(database)
    operations.forget(video_ids)
    return operations.extent(video_ids).known


def _sizes(store: ObjectStore, folders: Sequence[str], video_id: str) -> list[int]:
    return [size for folder in folders for _, size in store.list_sizes(f"{folder}/{video_id}")]


def _delete_objects(store: ObjectStore, folders: Sequence[str], video_id: str) -> None:
    keys = [key for folder in folders for key in store.list_keys(f"{folder}/{video_id}")]
    # What points at others goes first: a document never names what is gone.
    keys.sort(key=lambda key: (not key.endswith("/current.json"), key.startswith(f"{MEDIA}/"), key))
    for batch in _batches(keys):
        store.delete(batch)
    for folder in folders:
        path = store.local_path(f"{folder}/{video_id}")
        if path is not None:
            with suppress(OSError):  # it is not there, or somebody has put something into it
                path.rmdir()


def _batches(keys: list[str]) -> Iterator[Iterable[str]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
