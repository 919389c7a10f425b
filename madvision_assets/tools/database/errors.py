"""What SQLAlchemy raises, turned into leaves of the taxonomy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    DatabaseDeniedError,
    DatabaseUnavailableError,
    DiskFullError,
    Failure,
    MigrationFailedError,
    SchemaOutdatedError,
    UnexpectedError,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined table, column, function, object; datatype.
_OUTDATED_SQLSTATES = {"42P01", "42703", "42883", "42704", "42804"}
_DISK_FULL_SQLSTATES = {"53100"}
# Invalid authorisation, password, database name; insufficient privilege.
_DENIED_SQLSTATES = {"28000", "28P01", "3D000", "42501"}
# Who is turned away at the door has no SQLSTATE in psycopg2; the last is what Supabase's pooler says.
_TURNED_AWAY = re.compile(
    r"authentication failed|no password supplied|(role|database) \".*\" does not exist|pg_hba\.conf"
    r"|not permitted to log in|permission denied for database|Tenant or user not found"
)
_OUTDATED_IN_SQLITE = ("no such table", "no such column", "has no column named")
_DISK_FULL_IN_SQLITE = ("database or disk is full",)
_UNREACHABLE = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,
    exc.DisconnectionError,
    exc.InvalidatePoolError,
    exc.TimeoutError,
    exc.PendingRollbackError,
    exc.ResourceClosedError,
)


@contextmanager
def database_failures() -> Iterator[None]:
    """Turn whatever the database, or the disk below it, raises inside into a leaf."""
    try:
        yield
    except (exc.SQLAlchemyError, OSError) as error:
        raise classify_database(error) from error


def classify_database(error: BaseException) -> Failure:
    """The leaf for an exception of SQLAlchemy or of the disk.

    Args:
        error: any ``sqlalchemy.exc.SQLAlchemyError``, or an ``OSError`` of making the database's folder.

    Returns:
        ``UnexpectedError`` where the fault is in our own statement and another try cannot mend it.
    """
    if isinstance(error, OSError):
        reason = disk.reason(error.errno)
        if disk.is_full(error.errno):
            return DiskFullError(reason)
        return DatabaseUnavailableError(f"its folder cannot be made: {reason}")
    text = _reason(error)
    sqlstate = getattr(getattr(error, "orig", None), "pgcode", None)
    if sqlstate in _DENIED_SQLSTATES or _TURNED_AWAY.search(text):
        return DatabaseDeniedError(text)
    if sqlstate in _DISK_FULL_SQLSTATES or any(words in text for words in _DISK_FULL_IN_SQLITE):
        return DiskFullError(text)
    outdated = sqlstate in _OUTDATED_SQLSTATES or any(words in text for words in _OUTDATED_IN_SQLITE)
    if outdated or isinstance(error, exc.NoSuchTableError):
        return SchemaOutdatedError(text)
    # The bare kinds are what a driver says of a file that is no database, and the like.
    unreachable = isinstance(error, _UNREACHABLE) or type(error) in {exc.DatabaseError, exc.DBAPIError}
    return DatabaseUnavailableError(text) if unreachable else UnexpectedError(text)


def is_away(error: BaseException) -> bool:
    """Whether an error means that a database cannot be reached for now: ours, a driver's, or one that wraps it."""
    if isinstance(error, Failure):
        return isinstance(error, DatabaseUnavailableError)
    if isinstance(error, exc.SQLAlchemyError):
        return isinstance(classify_database(error), DatabaseUnavailableError)
    if any(kind.__name__ in {"OperationalError", "InterfaceError"} for kind in type(error).__mro__):  # of a driver
        return is_away(exc.OperationalError("", None, error))
    return error.__cause__ is not None and is_away(error.__cause__)


def migration_failure(error: Exception) -> Failure:
    """The leaf for whatever broke a migration off."""
    failure = classify_database(error) if isinstance(error, exc.SQLAlchemyError) else None
    if isinstance(failure, DatabaseDeniedError | DatabaseUnavailableError | DiskFullError):
        return failure
    return MigrationFailedError(_reason(error))


def _reason(error: BaseException) -> str:
    """The driver's own first line, or that of the address that turned us away; SQLAlchemy adds the statement to it."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines() or [type(error).__name__]
    return next(filter(_TURNED_AWAY.search, lines), lines[0])
