"""What the catalogue is made of: rows of the views, which videos have changed, and what was forgotten since.

What changed is found where an index leads to it, so that a look costs the same however many videos there are: new
materialisations and calls by their IDs, which grow; what ended, or is under way, by the attempts. Of the videos that
wait the database looks at each row, and tells those that moved: an index would have to be kept at every sign of life.
Whoever sees an ID may not see a smaller one yet, whose transaction is still under way: those that are missing right
below the newest are looked for again.
"""

import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Select, bindparam, func, select, text

from madvision_assets.domain.catalogue import OF_VIDEOS, TABLES, Manifest, rows_of_moments, value_of
from madvision_assets.domain.paying import CallState
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.tombstones import tombstone_key
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import (
    DUE_STATES,
    as_utc,
    installation,
    lineage,
    paid_calls,
    processing_attempts,
    tombstones,
    videos,
)
from madvision_assets.tools.database.tables import video_processing_queue as queue

# Name of the catalogue's row in `installation`, which says which state counts; and what those of its notes begin with.
COUNTS = "catalogue"
NOTES = "catalogue/forgotten/"
# IDs so far below the newest may still be missing.
UNSETTLED_IDS = 1000
# Clocks of different machines differ by less, and no transaction of ours that ends an attempt lasts as long.
OVERLAP = timedelta(minutes=10)
# A call that nobody has settled by then was lost.
CALL_LASTS = timedelta(days=1)
AT_ONCE = 500

# The views have other names where a table has theirs, and moments are told by the summaries.
VIEWS: Mapping[str, str] = {name: name for name in OF_VIDEOS if name != "moments"} | {"videos": "v_videos"}
KNOWN_SINCE = ("videos", "created_at")  # which no view has
# Held by whoever makes the row, alone, and until the transaction ends by whoever forgets: no forgetting that found no
# row is still under way once it is there. Any number, as long as nothing else in the database takes the same.
_POSTGRES_LOCK = 0x6D61_6476_6361


@dataclass(frozen=True)
class Notes:
    """What was noted when videos were forgotten, since somebody last took the notes away.

    Attributes:
        names: of the notes.
        followed: names of those that were left out, and are still there.
        videos: since when each was known that was forgotten, by the key of its tombstone; a video can be submitted
            again, and forgotten again.
        calls: that were paid for one of them.
        reused_after: IDs of materialisations from there on may have been given a second time.
    """

    names: frozenset[str] = frozenset()
    followed: frozenset[str] = frozenset()
    videos: Mapping[str, frozenset[datetime]] = field(default_factory=dict)
    calls: frozenset[int] = frozenset()
    reused_after: int | None = None


@dataclass(frozen=True)
class Changes:
    """What has changed since a state of the catalogue.

    Attributes:
        videos: when each was first known, by its ID.
        calls: IDs of paid calls.
        state: what the next state tells of how far the database was read.
    """

    videos: Mapping[str, datetime]
    calls: frozenset[int]
    state: Mapping[str, Any]


@contextmanager
def snapshot(database: Database) -> Iterator["Snapshot"]:
    """The tables as they are at one moment, however long it is read; raises as ``Database`` does."""
    with database.reading() as connection:
        if database.is_sqlite:
            connection.begin()
        else:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield Snapshot(connection)


class Snapshot:
    """Reads the tables as they are at one moment; counts the rows that it was given.

    Args:
        connection: in a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.rows = 0

    def notes(self, but: Collection[str]) -> Notes:
        """The notes on forgotten videos, but for these."""
        mine = installation.c.name.startswith(NOTES)
        found = self._connection.execute(select(installation.c.name, installation.c.value).where(mine)).all()
        left_out = frozenset(but)
        told = {name: json.loads(value) for name, value in found if name not in left_out}
        known: dict[str, set[datetime]] = {}
        for each in told.values():
            if "key" in each:
                known.setdefault(each["key"], set()).add(datetime.fromisoformat(each["at"]))
        return Notes(
            names=frozenset(told),
            followed=left_out.intersection(name for name, _ in found),
            videos={key: frozenset(since) for key, since in known.items()},
            calls=frozenset(call for each in told.values() for call in each.get("calls", ())),
            reused_after=min((each["reused_after"] for each in told.values() if "reused_after" in each), default=None),
        )

    def everything(self, now: datetime) -> Changes:
        """All there is, as a change."""
        known = self._all(select(videos.c.video_id, videos.c.created_at))
        newest = self._connection.execute(select(func.max(lineage.c.id))).scalar_one() or 0
        near = {row[0] for row in self._all(select(lineage.c.id).where(lineage.c.id > newest - UNSETTLED_IDS))}
        bare = select(lineage.c.id).where(lineage.c.summary.is_(None)).order_by(lineage.c.id).limit(UNSETTLED_IDS + 1)
        lineage_state = _read_so_far(0, near | {newest}, (), {row[0] for row in self._all(bare)})
        calls = self._all(select(*_CALL))
        return Changes(
            dict(known), frozenset(row[0] for row in calls), _state(lineage_state, _calls_so_far(0, calls, (), now))
        )

    def changes(self, since: Manifest, notes: Notes, now: datetime) -> Changes:
        """What has changed since a state; these notes were made since then."""
        floor = since.lineage_id if notes.reused_after is None else min(since.lineage_id, notes.reused_after)
        made = self._all(select(*_MADE).where(lineage.c.id > floor))
        made += self._named(select(*_MADE), lineage.c.id, since.lineage_again)
        seen, bare = {row[0] for row in made}, {row[0] for row in made if row[2]}
        lineage_state = _read_so_far(floor, seen, since.lineage_again, bare)
        calls = self._all(select(*_CALL).where(paid_calls.c.id > since.call_id))
        calls += self._named(select(*_CALL), paid_calls.c.id, since.calls_again)
        changed = {row[1] for row in made} | self._moved(since.read_at - OVERLAP)
        known = self._named(select(videos.c.video_id, videos.c.created_at), videos.c.video_id, changed)
        calls_state = _calls_so_far(since.call_id, calls, since.calls_again, now)
        return Changes(dict(known), frozenset(row[0] for row in calls), _state(lineage_state, calls_state))

    def of_videos(self, known: Mapping[str, datetime]) -> dict[str, list[dict[str, Any]]]:
        """The rows of these videos, table by table, in the forms of their columns.

        Args:
            known: when each was first known, by its ID.
        """
        found = {name: self._view(view, name, "video_id", known) for name, view in VIEWS.items()}
        made = [row for row in found["materialisations"] if row["asset"] == PipelineStep.CLIP_CANDIDATES.value]
        found["moments"] = [moment for row in made for moment in rows_of_moments(row)]
        for row in found["videos"]:
            row["created_at"] = known[row["video_id"]]
        return found

    def of_calls(self, ids: Collection[int]) -> list[dict[str, Any]]:
        """The rows of these paid calls."""
        return self._view("costs", "costs", "id", ids)

    def of_forgotten(self, keys: Collection[str] | None) -> list[dict[str, Any]]:
        """The tombstones of these keys; None is all of them."""
        columns = [tombstones.c[column.name] for column in TABLES["forgotten"]]
        query = select(*columns)
        rows = self._all(query) if keys is None else self._named(query, tombstones.c.video_key, keys)
        return [dict(zip(query.selected_columns.keys(), row, strict=True)) for row in rows]

    # --- details ---

    def _moved(self, since: datetime) -> set[str]:
        """The videos that moved in the queue, or whose attempts ended, since then, and those that are being processed.

        One that waits moves where it is queued, where it becomes more urgent, and where more is to be done again.
        """
        mine = select(processing_attempts.c.video_id)
        ended = self._all(mine.where(processing_attempts.c.ended_at >= since))
        under_way = self._all(mine.where(processing_attempts.c.ended_at.is_(None)))
        queued = self._all(select(queue.c.video_id).where(DUE_STATES, queue.c.updated_at >= since))
        return {row[0] for row in (*ended, *under_way, *queued)}

    def _view(self, view: str, table: str, column: str, wanted: Collection[Any]) -> list[dict[str, Any]]:
        columns = [each for each in TABLES[table] if (table, each.name) != KNOWN_SINCE]
        names = ", ".join(each.name for each in columns)  # a newer version's view may have more
        asks = f"SELECT {names} FROM {view} WHERE {column} IN :some"  # noqa: S608 - every name in it is written here
        query = text(asks).bindparams(bindparam("some", expanding=True))
        found = []
        for some in _batches(wanted):
            answer = self._connection.execute(query, {"some": some})
            found += [
                {each.name: value_of(each.kind, told) for each, told in zip(columns, row, strict=True)}
                for row in answer
            ]
        self.rows += len(found)
        return found

    def _all(self, query: Executable) -> list[Any]:
        found = list(self._connection.execute(query))
        self.rows += len(found)
        return found

    def _named(self, query: Select[Any], column: ColumnElement[Any], wanted: Collection[Any]) -> list[Any]:
        return [row for some in _batches(wanted) for row in self._all(query.where(column.in_(some)))]


class Notebook:
    """Which state of the catalogue is the newest, and the notes on forgotten videos; each method is a transaction.

    A database or a store that was put back to another moment is told by that.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> None:
        """From now on it is noted what is forgotten, if it was not before; waits for whoever forgets just now."""
        with self._database.reading() as connection:
            if _is_open(connection):
                return
        with self._database.writing() as connection:
            if not self._database.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
            if not _is_open(connection):
                connection.execute(installation.insert().values(name=COUNTS, value=" "))

    def counting(self) -> list[str]:
        """Names of the updates whose state may be the newest: the last one that said so, and one that was about to."""
        with self._database.reading() as connection:
            return (connection.execute(_COUNTING).scalar_one_or_none() or "").split()

    def intend(self, update: str) -> None:
        """An update is about to make its state the newest one."""
        with self._database.writing() as connection:
            counts, _ = self._told(connection)
            self._tell(connection, counts, update)

    def count(self, update: str, done_with: Collection[str] = ()) -> None:
        """It has, unless a later one was faster; these notes are not needed any more."""
        with self._database.writing() as connection:
            counts, intended = self._told(connection)
            self._tell(connection, max(update, counts), intended if intended > update else "")
            _delete_notes(connection, done_with)

    def discard(self, names: Collection[str]) -> None:
        """These notes are not needed any more."""
        with self._database.writing() as connection:
            _delete_notes(connection, names)

    @staticmethod
    def _told(connection: Connection) -> tuple[str, str]:
        counts, _, intended = connection.execute(_COUNTING.with_for_update()).scalar_one().partition(" ")
        return counts, intended

    @staticmethod
    def _tell(connection: Connection, counts: str, intended: str) -> None:
        row = installation.update().where(installation.c.name == COUNTS)
        connection.execute(row.values(value=f"{counts} {intended}"))


def note_forgotten(connection: Connection, video_ids: Collection[str]) -> None:
    """Note for the catalogue, where there is one, what is about to be forgotten, so that it goes there too.

    Args:
        connection: the transaction that deletes the rows, before it does.
        video_ids: a few.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock_shared(_POSTGRES_LOCK)))
    if not _is_open(connection):
        return
    known = select(videos.c.video_id, videos.c.created_at).where(videos.c.video_id.in_(video_ids))
    told: list[dict[str, Any]] = [
        {"key": tombstone_key(video_id), "at": as_utc(created_at).isoformat()}
        for video_id, created_at in connection.execute(known)
    ]
    calls = select(paid_calls.c.id).where(paid_calls.c.video_id.in_(video_ids))
    if paid := list(connection.execute(calls).scalars()):
        told.append({"calls": paid})  # by itself: nothing is to tell whose calls they were
    if connection.dialect.name == "sqlite":
        told += _reused_ids(connection, video_ids)
    if told:
        rows = [{"name": NOTES + secrets.token_hex(8), "value": json.dumps(each)} for each in told]
        connection.execute(installation.insert(), rows)


def _reused_ids(connection: Connection, video_ids: Collection[str]) -> list[dict[str, Any]]:
    """SQLite gives the ID of its last row, once that is deleted, to the next one."""
    newest = select(func.max(lineage.c.id))
    gone = connection.execute(newest.where(lineage.c.video_id.in_(video_ids))).scalar_one()
    stays = connection.execute(newest.where(lineage.c.video_id.not_in(video_ids))).scalar_one() or 0
    return [{"reused_after": stays}] if gone is not None and gone > stays else []


def _is_open(connection: Connection) -> bool:
    """Whether anybody has ever made a catalogue."""
    return connection.execute(_COUNTING).first() is not None


def _delete_notes(connection: Connection, names: Collection[str]) -> None:
    for some in _batches(names):
        connection.execute(installation.delete().where(installation.c.name.in_(some)))


_COUNTING = select(installation.c.value).where(installation.c.name == COUNTS)
_MADE = lineage.c.id, lineage.c.video_id, lineage.c.summary.is_(None)
_CALL = paid_calls.c.id, paid_calls.c.state, paid_calls.c.expires_at


def _read_so_far(
    floor: int, seen: set[int], again: Collection[int], unfinished: set[int]
) -> tuple[int, tuple[int, ...]]:
    """Up to which ID all has been read, and which others are to be read again.

    Args:
        floor: up to which it was before.
        seen: IDs that were read now.
        again: those that were to be read again.
        unfinished: those among the seen that are still going to change.
    """
    newest = max(seen | {floor})
    if len(unfinished) > UNSETTLED_IDS:
        return min(*unfinished, newest + 1) - 1, ()
    near = newest - UNSETTLED_IDS
    missing = {
        each for each in (*again, *range(max(floor, near) + 1, newest)) if each > max(0, near) and each not in seen
    }
    return newest, tuple(sorted(missing | unfinished))


def _calls_so_far(
    floor: int, calls: Sequence[Any], again: Collection[int], now: datetime
) -> tuple[int, tuple[int, ...]]:
    unsettled = {row[0] for row in calls if row[1] == CallState.RESERVED.value and row[2] > now - CALL_LASTS}
    return _read_so_far(floor, {row[0] for row in calls}, again, unsettled)


def _state(made: tuple[int, tuple[int, ...]], called: tuple[int, tuple[int, ...]]) -> dict[str, Any]:
    return {"lineage_id": made[0], "lineage_again": made[1], "call_id": called[0], "calls_again": called[1]}


def _batches(wanted: Collection[Any]) -> Iterator[list[Any]]:
    rest = iter(sorted(wanted))
    while some := list(islice(rest, AT_ONCE)):
        yield some
