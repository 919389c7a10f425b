"""The catalogue: the views of all videos as Parquet in the store, brought up to date by what has changed alone.

An update reads the videos that have changed, whole, puts their rows in the place of the old ones, and leaves every
other part as it is. Killed anywhere, the last whole state counts; of two at once the second to end begins again.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from madvision_assets.domain.catalogue import SCHEMA_VERSION, TABLES, Manifest
from madvision_assets.domain.failures import (
    DamagedDocumentError,
    MissingInputError,
    NewerDocumentError,
    StoreUnavailableError,
    UnreadableDocumentError,
)
from madvision_assets.tools import parquet
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.catalogue import READ_TRIES, Shelf, name_of_update, number_of
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.catalogue_draft import Draft

if TYPE_CHECKING:
    import pyarrow as pa

    from madvision_assets.tools.database.catalogue import Notebook

# So often an update begins again where others were there first.
TRIES = 10
AT_ONCE = 16
MAKE_ANEW = (
    "the catalogue is of another version, of another moment than the database, or has lost a file; madvision catalogue "
    "makes it anew, and what was forgotten is in its files until then"
)


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
        return self._brought(anew=anew, may_make=True)

    def erase(self) -> Updated | None:
        """Take out of it what was forgotten since; None where there is no catalogue, or nothing to take out.

        It may have to be made anew first, which takes long, and which whoever calls ``update`` does.

        Raises:
            UnreadableDocumentError: so it is; what was forgotten is in it until then.
        """
        from madvision_assets.tools.database.catalogue import Notebook, snapshot

        with snapshot(self._database) as tables:
            noted = tables.notes(()).names
        if not noted:
            return None
        # Asked first: one that has ended since has left its state.
        is_begun, is_there = self._shelf.is_begun(), self._shelf.current_number() > 0
        try:
            standing = self._standing()
        except NewerDocumentError:  # which sees to it by itself
            return None
        notebook = Notebook(self._database)
        if standing is None and is_there:
            raise UnreadableDocumentError(MAKE_ANEW)
        if standing is None:
            self._shelf.sweep(None, self._now())
            if not is_begun:  # whoever makes one from now on finds nothing of it
                notebook.discard(noted)
        elif noted - set(standing.erased):
            return self._brought(anew=False, may_make=False)
        elif standing.update in notebook.counting():  # whoever took it out was killed before he had tidied up
            self._shelf.sweep(standing, self._now())
            notebook.count(standing.update, standing.erased)
        return None

    # --- details ---

    def _brought(self, *, anew: bool, may_make: bool) -> Updated:
        """Up to date, or made anew, which must be allowed."""
        from madvision_assets.tools.database.catalogue import Notebook

        notebook = Notebook(self._database)
        notebook.open()
        for _ in range(TRIES):
            before = None if anew else self._standing()
            try:
                done = self._tried(before, notebook, may_make=may_make)
            except (MissingInputError, DamagedDocumentError):
                # Another update has replaced what was to be read; or it was lost, and there is nothing to go on from.
                is_lost = before is not None and self._shelf.current_number() == before.number
                if is_lost and not may_make:
                    raise UnreadableDocumentError(MAKE_ANEW) from None
                anew = anew or is_lost
                continue
            if done is not None:
                notebook.count(done.state.update, before.erased if before else ())
                return done
        raise StoreUnavailableError("other updates of the catalogue were always faster")

    def _standing(self) -> Manifest | None:
        """The state that counts, where one can go on from it."""
        try:
            found = self._shelf.current()
        except UnreadableDocumentError:
            return None
        return found if found and found.schema_version == SCHEMA_VERSION else None

    def _tried(self, before: Manifest | None, notebook: "Notebook", *, may_make: bool) -> Updated | None:
        """One try; None where another update was there first."""
        from madvision_assets.tools.database.catalogue import snapshot

        # The number is chosen, and it is said that this has begun, before the tables are read: no state that was read
        # later has a smaller number, and whoever sees no sign of this is seen by it.
        counting, newest = notebook.counting(), self._shelf.current_number()
        # Where database or store was put back to another moment, what one says of the other means nothing.
        since = before if before is not None and before.update in counting else Manifest()
        fits = since is before
        if before is not None and not fits and newest != before.number:
            return None
        if not fits and not may_make:
            raise UnreadableDocumentError(MAKE_ANEW)
        now = self._now()
        self._shelf.sweep(before, now)
        number = since.number + 1 if fits else max([newest, *map(number_of, counting)]) + 1
        draft = Draft(self._shelf, name_of_update(number, secrets.token_hex(4)), since)
        self._shelf.begin(draft.update, now)
        with snapshot(self._database) as tables:
            notes = tables.notes(since.erased)
            changes = tables.changes(since, notes, now) if fits else tables.everything(now)
            try:
                draft.write(tables, changes, notes, is_anew=not fits)
            except (MissingInputError, UnreadableDocumentError):
                self._give_up(draft)
                raise
            told = Updated(
                since, len(changes.videos), len(notes.names), tables.rows, draft.rows, len(draft.written), not fits
            )
        if fits and not draft.has_changed and not notes.names:
            self._shelf.end(draft.update)
            return told
        state = draft.state(number, now, changes, notes)
        notebook.intend(draft.update)
        if not self._shelf.has_begun(draft.update) or not self._shelf.commit(state):
            self._give_up(draft)
            return None
        self._shelf.sweep(state, now)
        return replace(told, state=state)

    def _give_up(self, draft: Draft) -> None:
        """Delete what it has written, unless it came to count for a moment, and the next state has taken it over."""
        state = self._shelf.current()
        self._shelf.drop(set(draft.written) - (state.keys() if state else frozenset()))
        self._shelf.end(draft.update)


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
