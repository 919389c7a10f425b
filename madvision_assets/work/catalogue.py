"""The catalogue: the views of all videos as Parquet in the store, brought up to date by what has changed alone.

An update reads the videos that have changed, whole, puts their rows in the place of the old ones, and leaves every
other part as it is. Killed anywhere, the last whole state counts; of two at once the second to end begins again.
"""

import secrets
from bisect import insort
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from madvision_assets.domain.catalogue import (
    BEGINNING,
    COSTS,
    FORGOTTEN,
    OF_VIDEOS,
    SCHEMA_VERSION,
    TABLES,
    Manifest,
    Part,
    call_part,
    cut_up,
    name_of,
    part_of,
)
from madvision_assets.domain.failures import (
    MissingInputError,
    NewerDocumentError,
    StoreUnavailableError,
    UnreadableDocumentError,
)
from madvision_assets.domain.tombstones import tombstone_key
from madvision_assets.tools import parquet
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.catalogue import Shelf, name_of_update, number_of
from madvision_assets.tools.store.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

    from madvision_assets.tools.database.catalogue import Changes, Notebook, Notes, Snapshot

# So often an update begins again where others were there first.
TRIES = 10
# So often a reader begins again where an update has replaced what it was about to read.
READ_TRIES = 5
AT_ONCE = 16

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Updated:
    """What an update came to.

    Attributes:
        state: that counts now.
        videos: read again, since something of them had changed.
        erased: notes on forgotten videos that were followed.
        rows_read: from the database.
        rows_written: into parts; some of them stayed as they were.
        files: written.
        is_anew: whether all was read.
    """

    state: Manifest
    videos: int = 0
    erased: int = 0
    rows_read: int = 0
    rows_written: int = 0
    files: int = 0
    is_anew: bool = False

    @property
    def sentence(self) -> str:
        """For a person."""
        told = sum(self.state.rows().values())
        if not self.files and not self.erased:
            return f"Nothing has changed; {told:,} rows."
        how = "made anew" if self.is_anew else "brought up to date"
        return f"{how.capitalize()}: {self.videos:,} videos read, {self.files:,} files written; {told:,} rows in all."


class Catalogue:
    """Keeps the catalogue. Every method raises as ``Database`` and ``ObjectStore`` do.

    Args:
        database: what is asked.
        store: where it lies.
        now: the clock, timezone-aware.
    """

    def __init__(
        self, database: Database, store: ObjectStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._shelf = Shelf(store)
        self._now = now

    @property
    def uri(self) -> str:
        """Where it lies."""
        return self._shelf.uri

    def current(self) -> Manifest | None:
        """The state that counts; None where there is none.

        Raises:
            NewerDocumentError: a newer version of this program keeps it.
            UnreadableDocumentError: it is damaged.
        """
        return self._shelf.current()

    def update(self, *, anew: bool = False) -> Updated:
        """Bring it up to date, or make it where there is none, or none that can be gone on from.

        Args:
            anew: read everything again.

        Raises:
            NewerDocumentError: a newer version of this program keeps it, and ``anew`` does not say to make it anew.
        """
        from madvision_assets.tools.database.catalogue import Notebook

        notebook = Notebook(self._database)
        notebook.open()
        for _ in range(TRIES):
            before = None
            try:
                before = None if anew else self._standing()
                done = self._tried(before, notebook)
            except (MissingInputError, UnreadableDocumentError):
                # Another update has replaced what was to be read; or it was lost, and there is nothing to go on from.
                anew = before is not None and self._shelf.current_number() == before.number
                continue
            if done is not None:
                notebook.count(done.state.update, before.erased if before else ())
                return done
        raise StoreUnavailableError("other updates of the catalogue were always faster")

    def erase(self) -> Updated | None:
        """Take out of it what was forgotten since; None where there is no catalogue, or nothing to take out."""
        from madvision_assets.tools.database.catalogue import Notebook, snapshot

        with snapshot(self._database) as tables:
            noted = tables.notes(()).names
        if not noted:
            return None
        try:
            standing = self._standing()
        except NewerDocumentError:  # which sees to it by itself
            return None
        if standing is None or noted - set(standing.erased):
            return self.update()
        self._shelf.sweep(standing, self._now())  # whoever took it out may have been killed before he had tidied up
        Notebook(self._database).count(standing.update, standing.erased)
        return None

    # --- details ---

    def _standing(self) -> Manifest | None:
        """The state that counts, where one can go on from it."""
        try:
            found = self._shelf.current()
        except UnreadableDocumentError:
            return None
        return found if found and found.schema_version == SCHEMA_VERSION else None

    def _tried(self, before: Manifest | None, notebook: "Notebook") -> Updated | None:
        """One try; None where another update was there first."""
        from madvision_assets.tools.database.catalogue import snapshot

        now = self._now()
        self._shelf.sweep(before, now)
        with snapshot(self._database) as tables:
            counting = tables.counting()
            # Where database or store was put back to another moment, what one says of the other means nothing.
            fits = before is not None and before.update in counting
            number = max([self._shelf.current_number(), *map(number_of, counting)]) + 1
            if before is not None and fits:
                number = before.number + 1
            update = name_of_update(number, secrets.token_hex(4))
            self._shelf.begin(update, now)
            since = before if before is not None and fits else Manifest()
            notes = tables.notes(since.erased)
            changes = tables.changes(since, notes, now) if fits else tables.everything(now)
            draft = _Draft(self._shelf, update, since)
            try:
                draft.write(tables, changes, notes, is_anew=not fits)
            except (MissingInputError, UnreadableDocumentError):
                self._give_up(draft)
                raise
            told = Updated(
                since, len(changes.videos), len(notes.names), tables.rows, draft.rows, len(draft.written), not fits
            )
        if fits and not draft.has_changed and not notes.names:
            self._shelf.end(update)
            return told
        state = draft.state(number, now, changes, notes)
        notebook.intend(update)
        if not self._shelf.has_begun(update) or not self._shelf.commit(state):
            self._give_up(draft)
            return None
        self._shelf.sweep(state, now)
        return replace(told, state=state)

    def _give_up(self, draft: "_Draft") -> None:
        self._shelf.drop(draft.written)
        self._shelf.end(draft.update)


class _Draft:
    """The next state while it is written.

    Args:
        shelf: where its parts are put.
        update: that makes it.
        before: what it is made from.
    """

    def __init__(self, shelf: Shelf, update: str, before: Manifest) -> None:
        self._shelf, self.update, self._before = shelf, update, before
        self._bounds = list(before.bounds) or [BEGINNING]
        self._parts = {table: dict(before.parts.get(table, {})) for table in TABLES}
        self.written: list[str] = []
        self.rows = 0

    @property
    def has_changed(self) -> bool:
        """Whether a part is another one than before, or there is one more or less."""
        before = {table: dict(self._before.parts.get(table, {})) for table in TABLES}
        return self._parts != before

    def state(self, number: int, now: datetime, changes: "Changes", notes: "Notes") -> Manifest:
        """The state that it has become."""
        state = Manifest(
            number=number,
            update=self.update,
            read_at=now,
            bounds=tuple(self._bounds),
            parts=self._parts,
            erased=tuple(sorted(notes.names)),
            **changes.state,
        )
        # What is made anew replaces whatever lies there.
        before = self._before.keys() if self._before.update else set(self._shelf.parts())
        return state.model_copy(update={"replaced": tuple(sorted(before - state.keys()))})

    def write(self, tables: "Snapshot", changes: "Changes", notes: "Notes", *, is_anew: bool) -> None:
        """Put what has changed in its place."""
        if is_anew:
            self._fill(tables, changes.videos)
        else:
            touched: dict[datetime, tuple[dict[str, datetime], set[str]]] = {}
            for video_id, known_since in changes.videos.items():
                touched.setdefault(part_of(self._bounds, known_since), ({}, set()))[0][video_id] = known_since
            for key, known_since in notes.videos.items():
                touched.setdefault(part_of(self._bounds, known_since), ({}, set()))[1].add(key)
            for bound, (known, forgotten) in sorted(touched.items()):
                self._put_videos(tables, bound, known, forgotten)
        for part, ids in _grouped(changes.calls | notes.calls, call_part):
            self._put_rows(COSTS, part, "id", ids, tables.of_calls(ids))
        buried = tables.of_forgotten(None if is_anew else notes.videos)
        for part, rows in _grouped({row["video_key"]: row for row in buried}, lambda key: key[0]):
            self._put_rows(FORGOTTEN, part, "video_key", rows, [row for row in buried if row["video_key"] in rows])

    # --- details ---

    def _fill(self, tables: "Snapshot", videos: Mapping[str, datetime]) -> None:
        in_order = sorted(videos.items(), key=lambda each: (each[1], each[0]))
        for piece in cut_up([known_since for _, known_since in in_order]):
            known = dict(in_order[piece])
            bound = self._bound(BEGINNING, piece, in_order[piece.start][1])
            for table, rows in tables.of_videos(known).items():
                self._put(table, name_of(bound), None, _ordered(table, [parquet.table_of(TABLES[table], rows)]))

    def _put_videos(
        self, tables: "Snapshot", bound: datetime, known: Mapping[str, datetime], forgotten: Collection[str]
    ) -> None:
        """Read these videos of a part anew, and leave out others; a part that is too large then is divided."""
        old = {table: self._read(table, name_of(bound)) for table in OF_VIDEOS}
        there = parquet.values(old["videos"], "video_id")
        gone = {*known, *(each for each in there if forgotten and tombstone_key(each) in forgotten)}
        fresh = tables.of_videos(known)
        new = {
            table: _ordered(
                table, [parquet.only(rows, "video_id", gone, but=True), parquet.table_of(TABLES[table], fresh[table])]
            )
            for table, rows in old.items()
        }
        in_order = sorted(
            zip(parquet.values(new["videos"], "created_at"), parquet.values(new["videos"], "video_id"), strict=True)
        )
        pieces = list(cut_up([known_since for known_since, _ in in_order])) or [slice(0, 0)]
        for piece in pieces:
            here = self._bound(bound, piece, in_order[piece.start][0] if piece.start else bound)
            ids = {video_id for _, video_id in in_order[piece]}
            for table, rows in new.items():
                some = rows if len(pieces) == 1 else parquet.only(rows, "video_id", ids)
                self._put(table, name_of(here), old[table] if here == bound else None, some)

    def _bound(self, first: datetime, piece: slice, known_since: datetime) -> datetime:
        """Where a piece of what lies from a bound on begins."""
        if not piece.start:
            return first
        insort(self._bounds, known_since)
        return known_since

    def _put_rows(
        self, table: str, part: str, column: str, replaced: Collection[Any], rows: Collection[Mapping[str, Any]]
    ) -> None:
        old = self._read(table, part)
        kept = parquet.only(old, column, replaced, but=True)
        self._put(table, part, old, parquet.joined([kept, parquet.table_of(TABLES[table], rows)], (column,)))

    def _read(self, table: str, part: str) -> "pa.Table":
        found = self._parts[table].get(part)
        if found is None:
            return parquet.table_of(TABLES[table], ())
        return parquet.read(self._shelf.store.get_bytes(found.key), found.key)

    def _put(self, table: str, part: str, old: "pa.Table | None", new: "pa.Table") -> None:
        if old is not None and old.equals(new):
            return
        if not new.num_rows:
            self._parts[table].pop(part, None)
            return
        key, data = self._shelf.part_key(self.update, table, part), parquet.write(new)
        self._shelf.store.put_bytes(key, data, media_type=parquet.MEDIA_TYPE)
        self.written.append(key)
        self.rows += new.num_rows
        self._parts[table][part] = Part(key=key, rows=new.num_rows, size_bytes=len(data))


def read(store: ObjectStore, table: str) -> "list[pa.Table]":
    """The parts of a table, as of one state.

    Raises:
        LookupError: there is no catalogue yet, or it has no such table.
        MissingInputError: a part of it was lost; it is to be made anew.
    """
    if table not in TABLES:
        raise LookupError(f"{table!r}; tables of the catalogue: {', '.join(TABLES)}")
    shelf = Shelf(store)
    for _ in range(READ_TRIES):
        with suppress(MissingInputError):  # replaced since: a state that is whole is there
            return _read(shelf, table)
    return _read(shelf, table)


def _read(shelf: Shelf, table: str) -> "list[pa.Table]":
    state = shelf.current()
    if state is None:
        raise LookupError("There is no catalogue yet; madvision catalogue makes it.")
    keys = [part.key for _, part in sorted(state.parts.get(table, {}).items())]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [parquet.read(data, key) for key, data in zip(keys, pool.map(shelf.store.get_bytes, keys), strict=True)]


def _ordered(table: str, parts: "Sequence[pa.Table]") -> "pa.Table":
    return parquet.joined(parts, ("video_id", *OF_VIDEOS[table]))


def _grouped(named: Iterable[K], part: Callable[[K], str]) -> Iterator[tuple[str, set[K]]]:
    """Names by the part that they lie in."""
    found: dict[str, set[K]] = {}
    for each in named:
        found.setdefault(part(each), set()).add(each)
    yield from sorted(found.items())
