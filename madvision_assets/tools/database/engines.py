"""Engines of SQLAlchemy for the two databases that we speak to."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from madvision_assets.tools.database.errors import database_failures
from madvision_assets.tools.database.kept import ask_before_use

CONNECT_TIMEOUT_S = 10
# Connections that are kept once they were needed; ten more are made for a moment.
POOL_SIZE = 20
# How long a writer waits for another one; SQLite has one at a time.
BUSY_TIMEOUT_S = 30.0
# Option of a connection whose transaction is going to write.
WRITES = "madvision_writes"

# A server that fell silent is noticed within a minute or so: the heartbeat of a run must not wait for it for ever.
SILENCE_MS = 30_000
_POSTGRES_ARGUMENTS: dict[str, str | int] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "madvision",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENCE_MS,
}
_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
_SUPPORTED = {"sqlite", "postgresql+psycopg2"}
_EXAMPLES = "sqlite:////var/lib/madvision/madvision.db or postgresql://user:password@host/database"


def parse(url: str) -> URL:
    """The URL of a database that we speak to.

    Raises:
        ValueError: it is of no such database; the message names MADVISION_DATABASE_URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        # `from None`: SQLAlchemy's own message shows the URL, password included.
        raise ValueError(f"MADVISION_DATABASE_URL is not a URL. Write for example {_EXAMPLES}.") from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in _SUPPORTED:
        raise ValueError(f"MADVISION_DATABASE_URL: {parsed.drivername!r} is not known. Write for example {_EXAMPLES}.")
    if parsed.drivername == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ValueError(f"MADVISION_DATABASE_URL: SQLite needs a file. Write for example {_EXAMPLES}.")
    return parsed


def make_engine(url: URL, *, keep_none: bool = False) -> Engine:
    """An engine for a URL that ``parse`` gave; one that keeps no connections makes each anew."""
    if is_sqlite(url):
        return _sqlite_engine(url)
    return (
        create_engine(url, poolclass=NullPool, connect_args=_POSTGRES_ARGUMENTS) if keep_none else _postgres_engine(url)
    )


def make_statement_engine(url: URL) -> Engine:
    """An engine for PostgreSQL on which every statement is a transaction by itself, so that it is one way and back.

    A connection that has broken shows only at its next statement, which the caller tries again.
    """
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        pool_size=POOL_SIZE,
        connect_args=_POSTGRES_ARGUMENTS,
    )


def keep_one(make: Callable[..., Engine], url: str) -> Engine:
    """An engine for another program's PostgreSQL that keeps one connection, and makes more for a moment.

    Args:
        make: ``create_engine``, or what does the same.
        url: of that database; what it says of connections counts.
    """
    said = make_url(url).query
    arguments = {**_POSTGRES_ARGUMENTS, "application_name": "madvision-dagster"}
    engine = make(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=-1,
        pool_use_lifo=True,
        connect_args={name: value for name, value in arguments.items() if name not in said},
    )
    ask_before_use(engine)
    return engine


def is_sqlite(url: URL) -> bool:
    """Whether it is a SQLite file rather than PostgreSQL."""
    return url.get_backend_name() == "sqlite"


def empty_log(engine: Engine) -> None:
    """Move what SQLite's write-ahead log has into the database, and leave it empty, unless somebody reads in it."""
    connection = engine.raw_connection()  # not inside a transaction
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=0")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _postgres_engine(url: URL) -> Engine:
    return create_engine(url, pool_pre_ping=True, pool_size=POOL_SIZE, connect_args=_POSTGRES_ARGUMENTS)


def _sqlite_engine(url: URL) -> Engine:
    with database_failures():
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    # A connection costs less than a millisecond, and one that is not kept is never left open nor shared.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # else what was deleted stays readable in the file
        cursor.execute("PRAGMA synchronous=NORMAL")  # safe with a write-ahead log; a lost minute is done again
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would find its snapshot stale.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
