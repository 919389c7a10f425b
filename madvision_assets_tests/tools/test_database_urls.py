"""Claims about the database's URL, its outages and its errors."""

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import exc

from madvision_assets.domain.failures import (
    DatabaseUnavailableError,
    DiskFullError,
    Failure,
    SchemaOutdatedError,
    UnexpectedError,
)
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.errors import classify_database

STARTER = """
import sys
import alembic.command
from madvision_assets.tools.database import Database
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
database.ensure_schema()
database.add_video("web-1", "http://example.org/")
"""


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_is_spoken_by_psycopg2_and_its_password_is_not_shown(scheme: str) -> None:
    database = Database(f"{scheme}://someone:opensesame@db.example/madvision")

    assert database.url == "postgresql+psycopg2://someone:***@db.example/madvision"
    assert "opensesame" not in repr(database)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://u:opensesame@h/d", "sqlite://", "sqlite:///:memory:", "x:opensesame"]
)
def test_a_url_that_cannot_be_used_is_refused_by_the_name_of_its_variable(url: str) -> None:
    with pytest.raises(ValueError, match="MADVISION_DATABASE_URL") as refused:
        Database(url)

    assert "opensesame" not in str(refused.value)


def test_a_server_that_is_down_is_told_apart_without_the_password() -> None:
    database = Database("postgresql://someone:opensesame@127.0.0.1:9/madvision")
    started_s = time.monotonic()

    for use in (database.check, database.migrate, lambda: database.get_video("a")):
        with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1") as refused:
            use()
        assert "opensesame" not in str(refused.value)

    assert time.monotonic() - started_s < 30


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("This is not a database. " * 100)

    with pytest.raises(DatabaseUnavailableError, match="not a database"):
        Database(f"sqlite:///{tmp_path / 'text.db'}").ensure_schema()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseUnavailableError, match="folder cannot be made"):
        Database(f"sqlite:///{tmp_path / 'file' / 'm.db'}").ensure_schema()


def test_several_processes_that_start_at_once_make_one_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    command = [sys.executable, "-c", STARTER, url]
    pipe = subprocess.PIPE
    starting = [subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=Path.cwd()) for _ in range(3)]
    for process in starting:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
    for process in starting:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in starting:
        process.communicate(timeout=60)

    assert [process.returncode for process in starting] == [0, 0, 0]
    Database(url).check()


UNAVAILABLE = {
    "DBAPIError", "DatabaseError", "DisconnectionError", "InterfaceError", "InternalError", "InvalidatePoolError",
    "OperationalError", "PendingRollbackError", "ResourceClosedError", "TimeoutError",
}  # fmt: skip
OUTDATED = {"NoSuchTableError"}
OURS = {
    "AmbiguousForeignKeysError", "ArgumentError", "AwaitRequired", "CircularDependencyError", "CompileError",
    "ConstraintColumnNotFoundError", "DataError", "DuplicateColumnError", "IdentifierError", "IllegalStateChangeError",
    "IntegrityError", "InvalidRequestError", "MissingGreenlet", "MultipleResultsFound", "NoForeignKeysError",
    "NoInspectionAvailable", "NoReferenceError", "NoReferencedColumnError", "NoReferencedTableError", "NoResultFound",
    "NoSuchColumnError", "NoSuchModuleError", "NotSupportedError", "ObjectNotExecutableError", "ProgrammingError",
    "SQLAlchemyError", "StatementError", "UnboundExecutionError", "UnreflectableTableError",
    "UnsupportedCompilationError",
}  # fmt: skip


def vendor_exceptions() -> dict[str, type[exc.SQLAlchemyError]]:
    kinds = (kind for kind in vars(exc).values() if isinstance(kind, type) and issubclass(kind, exc.SQLAlchemyError))
    return {kind.__name__: kind for kind in kinds}


def instance(kind: type[exc.SQLAlchemyError]) -> exc.SQLAlchemyError:
    """One of this kind; their constructors differ, and what is looked at does not."""
    error = kind.__new__(kind)
    Exception.__init__(error, "words")
    error.__dict__.update(statement=None, params=None, orig=None, ismulti=None, hide_parameters=False, detail=[])
    return error


def test_every_exception_of_sqlalchemy_has_its_leaf() -> None:
    found = vendor_exceptions()

    assert set(found) == UNAVAILABLE | OUTDATED | OURS
    for name, kind in found.items():
        failure = classify_database(instance(kind))
        expected = DatabaseUnavailableError if name in UNAVAILABLE else UnexpectedError
        assert type(failure) is (SchemaOutdatedError if name in OUTDATED else expected), name


class RefusedError(Exception):
    """As psycopg2 raises them."""

    def __init__(self, words: str, pgcode: str | None) -> None:
        super().__init__(words)
        self.pgcode = pgcode


@pytest.mark.parametrize(
    ("kind", "words", "pgcode", "leaf"),
    [
        (exc.OperationalError, "database or disk is full", None, DiskFullError),
        (exc.OperationalError, "could not extend file: No space left on device", "53100", DiskFullError),
        (exc.OperationalError, "no such table: videos", None, SchemaOutdatedError),
        (exc.OperationalError, "table lineage has no column named usage", None, SchemaOutdatedError),
        (exc.ProgrammingError, 'relation "videos" does not exist', "42P01", SchemaOutdatedError),
        (exc.ProgrammingError, 'column "usage" does not exist', "42703", SchemaOutdatedError),
        (exc.ProgrammingError, "syntax error", "42601", UnexpectedError),
        (exc.OperationalError, "database is locked", None, DatabaseUnavailableError),
        (exc.OperationalError, "server closed the connection unexpectedly", None, DatabaseUnavailableError),
    ],
)
def test_the_reason_decides_where_the_kind_does_not(
    kind: type[exc.DBAPIError], words: str, pgcode: str | None, leaf: type[Failure]
) -> None:
    failure = classify_database(kind("SELECT secret_statement", {}, RefusedError(words, pgcode)))

    assert type(failure) is leaf
    assert failure.details == words


def test_a_full_disk_below_the_folder_is_told() -> None:
    assert type(classify_database(OSError(errno.ENOSPC, "No space left on device"))) is DiskFullError
