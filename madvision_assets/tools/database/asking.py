"""Questions in SQL that somebody writes: one statement that reads, and nothing else, whatever it says."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ResourceClosedError

from madvision_assets.tools.database import Database

ROWS_AT_ONCE = 1000
# What reading takes: SQLite asks about every single thing that a statement wants to do.
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# PostgreSQL opens a cursor for one statement that gives rows, and for nothing else; what it is, nobody has to parse.
_KEEP = text("SELECT set_config('madvision.asked', :asked, true)")
_OPEN = """
DO $$ DECLARE told refcursor := 'madvision_answer';
BEGIN OPEN told FOR EXECUTE current_setting('madvision.asked'); END $$
"""
_FETCH = f"FETCH {ROWS_AT_ONCE} FROM madvision_answer"


class QuestionRefusedError(ValueError):
    """The statement is wrong, or does something else than reading; the message says what."""


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        columns: their names.
        rows: one after the other, as they come; to be read while the question is open.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def asked(database: Database, sql: str) -> Iterator[Answer]:
    """The answer to a question, which nothing can be changed by.

    Args:
        database: who is asked.
        sql: one statement that gives rows, in the words of this database.

    Raises:
        QuestionRefusedError: it is wrong, writes, gives no rows, or is more than one statement.
        Failure: as ``Database`` raises it.
    """
    ask = _ask_sqlite if database.is_sqlite else _ask_postgres
    with database.reading() as connection, ask(connection, sql.strip().rstrip(";")) as answer:
        yield answer


@contextmanager
def _ask_sqlite(connection: Connection, sql: str) -> Iterator[Answer]:
    raw = cast("sqlite3.Connection", connection.connection.driver_connection)
    connection.begin()  # one state of affairs, however long the answer is
    raw.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY)
    try:
        with _refused(sqlite3.Error, sqlite3.Warning):
            cursor = raw.execute(sql)
        yield Answer(_names(cursor.description), _stepped(cursor))
    finally:
        raw.set_authorizer(None)


def _stepped(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    with _refused(sqlite3.Error):
        yield from cursor


@contextmanager
def _ask_postgres(connection: Connection, sql: str) -> Iterator[Answer]:
    with _refused(DBAPIError, ResourceClosedError, ValueError):
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        connection.execute(_KEEP, {"asked": sql})
        connection.exec_driver_sql(_OPEN)
        first = connection.exec_driver_sql(_FETCH)
    yield Answer(tuple(first.keys()), _fetched(connection, [tuple(row) for row in first]))


def _fetched(connection: Connection, rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    while rows:
        yield from rows
        with _refused(DBAPIError):
            rows = [tuple(row) for row in connection.exec_driver_sql(_FETCH)]


@contextmanager
def _refused(*kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError):  # it is the database's trouble
        raise
    except kinds as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise QuestionRefusedError(_sentence(said[0] if said else type(error).__name__)) from error


def _sentence(said: str) -> str:
    words = said.lower()
    if any(each in words for each in ("not authorized", "read-only transaction", "cannot open", "prohibited")):
        return f"Only one statement that reads can be asked, such as a SELECT ({said})."
    if "vtable constructor failed" in words:  # SQLite opens such a table by writing
        return "The index of the search cannot be asked in SQL. Ask spoken_passages, or use: madvision search WORDS."
    return f"The database does not understand it: {said}."


def _names(description: Any) -> tuple[str, ...]:
    if description is None:
        raise QuestionRefusedError("Only one statement that reads can be asked, such as a SELECT.")
    return tuple(column[0] for column in description)
