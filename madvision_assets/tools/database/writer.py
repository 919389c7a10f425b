"""Writers for what is written all the time: each keeps its connections, and spares what a careful one costs."""

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.engines import WRITES, make_statement_engine
from madvision_assets.tools.database.errors import database_failures

T = TypeVar("T")
Work = Callable[[Connection], Any]

# So much work at most waits for one commit.
MAX_TOGETHER = 50


class StatementWriter:
    """Single statements on PostgreSQL, each a transaction by itself.

    Args:
        database: PostgreSQL; connected to at the first use.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do work of one statement; again where the connection turns out to be broken, so twice must do no harm.

        Raises as ``Database.writing`` does.
        """
        with database_failures():
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            with self._engine.connect() as connection:
                return work(connection)

    @cached_property
    def _engine(self) -> Engine:
        return make_statement_engine(self._database.engine.url)


class KeptWriter:
    """Work on SQLite, from any thread of this process; what waits meanwhile goes into one transaction.

    A new connection reads the whole schema before its first statement; this one is kept. SQLite has one writer at a
    time, and others wait for it by sleeping; in here they queue up instead.

    Args:
        database: a SQLite file; opened at the first use.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[Work, Future[Any]]] = deque()
        self._turn = threading.Lock()
        self._kept: Connection | None = None
        self._file: tuple[int, int] | None = None

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do work in a transaction, committed before this returns; again where work beside it failed.

        Raises as ``Database.writing`` does.
        """
        done: Future[T] = Future()
        self._waiting.append((work, done))
        with self._turn:
            while not done.done():  # else whoever had the turn before has done ours too
                self._do([self._waiting.popleft() for _ in range(min(MAX_TOGETHER, len(self._waiting)))])
        return done.result()

    def _do(self, together: list[tuple[Work, "Future[Any]"]]) -> None:
        try:
            with database_failures():
                connection = self._connection()
                with connection.begin():
                    results = [work(connection) for work, _ in together]
        except BaseException as error:  # noqa: BLE001 - each caller gets his own
            self.close()
            if len(together) == 1:
                together[0][1].set_exception(error)
                return
            for each in together:
                self._do([each])
            return
        for (_, done), result in zip(together, results, strict=True):
            done.set_result(result)

    def close(self) -> None:
        """Let the connection go; the next transaction makes another."""
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def _connection(self) -> Connection:
        # A file that was moved away would take what is written, and nobody would ever read it.
        if self._kept is not None and self._file != self._identity():
            self.close()
        if self._kept is None:
            self._kept = self._database.engine.connect().execution_options(**{WRITES: True})
            self._file = self._identity()
        return self._kept

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._database.engine.url.database or "")  # noqa: PTH116 - once for each submission
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
