"""Forgetting videos: what is kept of them, and deleting it in an order that can be broken off and taken up again.

Who is asked first is told what there is; which of it goes is decided when it goes.
"""

import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from rich.filesize import decimal

from madvision_assets.domain.failures import Failure
from madvision_assets.domain.received import FOLDER
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.spoken import erase_deleted
from madvision_assets.tools.database.withdrawing import IS_WITHDRAWN
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.catalogue import Catalogue

MEDIA = "media"
# Videos that are held, and whose objects are listed or deleted, at once.
AT_ONCE = 16
# SQLite has one writer at a time, and those that wait look every 0.1 s whether it is their turn.
PAUSE_ON_SQLITE_S = 0.15
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
    places = operations.places(idle)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = dict(zip(idle, pool.map(lambda each: _sizes(store, _where(folders, places, each)), idle), strict=True))
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


class Partitions(Protocol):
    """What Dagster has of videos."""

    def in_flight(self, video_ids: Collection[str]) -> frozenset[str]:
        """Those of them that a run is about which has not ended."""

    def delete(self, video_ids: Collection[str]) -> None:
        """Make them unknown to it."""


@dataclass(frozen=True)
class Forgotten:
    """What is gone.

    Attributes:
        videos: how many.
        objects: of these.
        size_bytes: of the objects.
        left_alone: videos that are not, since they are being processed.
    """

    videos: int = 0
    objects: int = 0
    size_bytes: int = 0
    left_alone: frozenset[str] = frozenset()

    def __add__(self, other: "Forgotten") -> "Forgotten":
        """Both together."""
        return Forgotten(
            self.videos + other.videos,
            self.objects + other.objects,
            self.size_bytes + other.size_bytes,
            self.left_alone | other.left_alone,
        )

    @property
    def sentence(self) -> str:
        """For a person."""
        counts = {"video": self.videos, "object": self.objects}
        videos, objects = (f"{n:,} {name}{'s' * (n != 1)}" for name, n in counts.items())
        return f"{videos} forgotten: {objects} ({decimal(self.size_bytes)})."


def forget(
    database: Database,
    store: ObjectStore,
    work_folder: Path,
    partitions: Partitions,
    video_ids: Collection[str],
    *,
    only_withdrawn: bool = False,
) -> Iterator[Forgotten]:
    """Delete all that is kept of those that are idle at that moment, a few at once; tells what it did after each.

    A video is held from before it is looked at until its rows are gone, which go last: where this is broken off, they
    still name what is left. On SQLite it is one at a time, and others write in between; the words of what was
    said go out of its file at the end, and the videos out of the catalogue, also where this is broken off.

    Args:
        database: where the rows are.
        store: where documents and media are.
        work_folder: where their tries have left something on this machine.
        partitions: Dagster's.
        video_ids: which videos.
        only_withdrawn: leave those alone that somebody wants by now.

    Raises:
        Failure: as ``Database`` and ``ObjectStore`` raise it; or they are forgotten, and the catalogue, which is to be
            made anew, still has them (see ``Catalogue.erase``).
    """
    pause_s = PAUSE_ON_SQLITE_S if database.is_sqlite else 0.0
    are_gone = False
    at_work = _forgotten(database, store, work_folder, partitions, video_ids, pause_s, only_withdrawn=only_withdrawn)
    try:
        for done in at_work:
            are_gone |= done.videos > 0
            yield done
    except BaseException as error:
        if are_gone:
            try:
                _erase(database, store, pause_s)
            except Failure as later:  # what broke it off is told, and housekeeping goes on
                error.add_note(f"Then {type(later).__name__}: {later}")
        raise
    if are_gone:
        _erase(database, store, pause_s)


def _erase(database: Database, store: ObjectStore, pause_s: float) -> None:
    """Take what was forgotten out of where it is after its rows are gone."""
    erase_deleted(database, pause_s)
    Catalogue(database, store).erase()


def _forgotten(
    database: Database,
    store: ObjectStore,
    work_folder: Path,
    partitions: Partitions,
    video_ids: Collection[str],
    pause_s: float,
    *,
    only_withdrawn: bool,
) -> Iterator[Forgotten]:
    left = iter(sorted(set(video_ids)))
    at_once = 1 if database.is_sqlite else AT_ONCE
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while batch := list(islice(left, at_once)):
            with held(database, batch, IS_WITHDRAWN if only_withdrawn else None) as these:
                # One launched by hand is about to write, and one that was taken over may not have noticed yet.
                doomed = sorted(these.idle - partitions.in_flight(these.idle))
                partitions.delete(doomed)
                folders, places = store.folders(), these.places(doomed)
                where = [_where(folders, places, each) for each in doomed]
                gone = list(pool.map(lambda each: _delete_objects(store, each), where))
                for video_id in doomed:
                    shutil.rmtree(work_folder / video_id, ignore_errors=True)
                these.delete_rows(doomed)
            yield Forgotten(
                videos=sum(each in these.known or bool(sizes) for each, sizes in zip(doomed, gone, strict=True)),
                objects=sum(map(len, gone)),
                size_bytes=sum(map(sum, gone)),
                left_alone=frozenset(batch) - frozenset(doomed),
            )
            time.sleep(pause_s)


def _where(folders: Sequence[str], places: Mapping[str, Sequence[str]], video_id: str) -> list[str]:
    """The prefixes of all keys of a video, with those of the files that were sent of it."""
    return [
        *(f"{folder}/{video_id}" for folder in folders),
        *(f"{FOLDER}/{place}" for place in places.get(video_id, ())),
    ]


def _sizes(store: ObjectStore, prefixes: Sequence[str]) -> list[int]:
    return [size for prefix in prefixes for _, size in store.list_sizes(prefix)]


def _delete_objects(store: ObjectStore, prefixes: Sequence[str]) -> list[int]:
    """Delete them; gives the size of each."""
    sizes = dict(pair for prefix in prefixes for pair in store.list_sizes(prefix))
    # What points at others goes first: a document never names what is gone.
    keys = sorted(sizes, key=lambda key: (not key.endswith("/current.json"), key.startswith(f"{MEDIA}/"), key))
    for batch in _batches(keys):
        store.delete(batch)
    for prefix in prefixes:
        path = store.local_path(prefix)
        if path is not None:
            with suppress(OSError):  # it is not there, or somebody has put something into it
                path.rmdir()
    return list(sizes.values())


def _batches(keys: list[str]) -> Iterator[Iterable[str]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
