"""What SQLAlchemy raises, turned into leaves of the taxonomy."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from madvision_assets.domain.failures import (
    DatabaseUnavailableError,
    DiskFullError,
    Failure,
    SchemaOutdatedError,
    UnexpectedError,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined table, column, function, object; datatype.
_OUTDATED_SQLSTATES = {"42P01", "42703", "42883", "42704", "42804"}
_DISK_FULL_SQLSTATES = {"53100"}
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
        reason = os.strerror(error.errno or 0)
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return DiskFullError(reason) if full else DatabaseUnavailableError(f"its folder cannot be made: {reason}")
    text = _reason(error)
    sqlstate = getattr(getattr(error, "orig", None), "pgcode", None)
    if sqlstate in _DISK_FULL_SQLSTATES or any(words in text for words in _DISK_FULL_IN_SQLITE):
        return DiskFullError(text)
    outdated = sqlstate in _OUTDATED_SQLSTATES or any(words in text for words in _OUTDATED_IN_SQLITE)
    if outdated or isinstance(error, exc.NoSuchTableError):
        return SchemaOutdatedError(text)
    # The bare kinds are what a driver says of a file that is no database, and the like.
    unreachable = isinstance(error, _UNREACHABLE) or type(error) in {exc.DatabaseError, exc.DBAPIError}
    return DatabaseUnavailableError(text) if unreachable else UnexpectedError(text)


def _reason(error: BaseException) -> str:
    """The driver's own first line; SQLAlchemy adds the statement and its parameters to it."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return lines[0] if lines else type(error).__name__
