"""The next state of the catalogue while it is written: which parts are put in the place of which.

The rows of what has changed are read, and lie in new parts with those of their neighbours; every other part is taken
over as it is.
"""

from bisect import insort
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from madvision_assets.domain.catalogue import (
    BEGINNING,
    COSTS,
    FORGOTTEN,
    OF_VIDEOS,
    TABLES,
    TOMBSTONES_OF_A_PART,
    Manifest,
    Part,
    call_part,
    cut_up,
    name_of,
    part_of,
    tombstone_part,
)
from madvision_assets.domain.tombstones import tombstone_key
from madvision_assets.tools import parquet
from madvision_assets.tools.store.catalogue import Shelf

if TYPE_CHECKING:
    import pyarrow as pa

    from madvision_assets.tools.database.catalogue import Changes, Notes, Snapshot

K = TypeVar("K", bound=Hashable)


class Draft:
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
            erased=tuple(sorted(notes.names | notes.followed)),
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
            self._change(tables, changes.videos, notes.videos)
        for part, ids in _grouped(changes.calls | notes.calls, call_part):
            self._put(COSTS, part, *self._replaced(COSTS, part, "id", ids, tables.of_calls(ids)))
        self._bury(tables.of_forgotten(None if is_anew else notes.videos))

    # --- details ---

    def _change(
        self, tables: "Snapshot", videos: Mapping[str, datetime], forgotten: Mapping[str, Collection[datetime]]
    ) -> None:
        """Read these videos anew, and leave out those that were forgotten, in each part that has one."""
        touched: dict[datetime, tuple[dict[str, datetime], dict[str, datetime]]] = {}
        for video_id, known_since in videos.items():
            touched.setdefault(part_of(self._bounds, known_since), ({}, {}))[0][video_id] = known_since
        for key, moments in forgotten.items():
            for known_since in sorted(moments):  # of one part the last one counts: the others were forgotten before
                touched.setdefault(part_of(self._bounds, known_since), ({}, {}))[1][key] = known_since
        for bound, (known, gone) in sorted(touched.items()):
            self._put_videos(tables, bound, known, gone)

    def _fill(self, tables: "Snapshot", videos: Mapping[str, datetime]) -> None:
        in_order = sorted(videos.items(), key=lambda each: (each[1], each[0]))
        for piece in cut_up([known_since for _, known_since in in_order]):
            known = dict(in_order[piece])
            bound = self._bound(BEGINNING, piece, in_order[piece.start][1])
            for table, rows in tables.of_videos(known).items():
                self._put(table, name_of(bound), None, _ordered(table, [parquet.table_of(TABLES[table], rows)]))

    def _put_videos(
        self, tables: "Snapshot", bound: datetime, known: Mapping[str, datetime], forgotten: Mapping[str, datetime]
    ) -> None:
        """Read these videos of a part anew, and leave out others; a part that is too large then is divided.

        Args:
            tables: where they are read.
            bound: of the part.
            known: when each was first known, by its ID.
            forgotten: since when each was known that is left out, by the key of its tombstone. One that is known since
                later was submitted again.
        """
        old = {table: self._read(table, name_of(bound)) for table in OF_VIDEOS}
        there = zip(parquet.values(old["videos"], "video_id"), parquet.values(old["videos"], "created_at"), strict=True)
        gone = {*known, *(each for each, since in there if _is_forgotten(each, since, forgotten))}
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

    def _bury(self, rows: Collection[Mapping[str, Any]]) -> None:
        """Put these tombstones in their places."""
        told, names = {row["video_key"]: row for row in rows}, frozenset(self._parts[FORGOTTEN])
        for part, keys in _grouped(told, partial(tombstone_part, names)):
            self._put_tombstones(part, *self._replaced(FORGOTTEN, part, "video_key", keys, [told[key] for key in keys]))

    def _put_tombstones(self, part: str, old: "pa.Table | None", new: "pa.Table") -> None:
        """A part that is too large is divided by the next digit of the keys."""
        if new.num_rows <= TOMBSTONES_OF_A_PART:
            self._put(FORGOTTEN, part, old, new)
            return
        self._parts[FORGOTTEN].pop(part, None)
        for piece, keys in _grouped(parquet.values(new, "video_key"), lambda key: key[: len(part) + 1]):
            self._put_tombstones(piece, None, parquet.only(new, "video_key", keys))

    def _replaced(
        self, table: str, part: str, column: str, replaced: Collection[Any], rows: Collection[Mapping[str, Any]]
    ) -> "tuple[pa.Table, pa.Table]":
        """A part as it is, and with these rows in the place of others."""
        old = self._read(table, part)
        kept = parquet.only(old, column, replaced, but=True)
        return old, parquet.joined([kept, parquet.table_of(TABLES[table], rows)], (column,))

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


def _is_forgotten(video_id: str, known_since: datetime, forgotten: Mapping[str, datetime]) -> bool:
    gone = forgotten.get(tombstone_key(video_id)) if forgotten else None
    return gone is not None and known_since <= gone


def _ordered(table: str, parts: "Sequence[pa.Table]") -> "pa.Table":
    return parquet.joined(parts, ("video_id", *OF_VIDEOS[table]))


def _grouped(named: Iterable[K], part: Callable[[K], str]) -> Iterator[tuple[str, set[K]]]:
    """Names by the part that they lie in."""
    found: dict[str, set[K]] = {}
    for each in named:
        found.setdefault(part(each), set()).add(each)
    yield from sorted(found.items())
