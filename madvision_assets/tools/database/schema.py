"""Migrations, run from code: no alembic.ini, and no file outside this package."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from madvision_assets.domain.failures import SchemaForeignError
from madvision_assets.tools.database.errors import migration_failure
from madvision_assets.tools.database.rows import SchemaState
from madvision_assets.tools.database.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"
# Alembic keeps what it works on in globals, so one thread at a time.
_ALEMBIC = threading.Lock()
# Any number, as long as nothing else in the database takes the same.
_POSTGRES_LOCK = 0x6D61_6476_6973


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables up to a revision, in one transaction; of several processes that try at once one does it.

    Tables that a newer version has made are left as they are.

    Raises:
        SchemaForeignError: see ``read_state``.
        MigrationFailedError: a migration broke off, and nothing of it is kept.
    """
    from alembic import command

    with _ALEMBIC, _only_one(engine), engine.begin() as connection:
        _lock_postgres(connection)
        if _state(connection).is_newer:
            return
        try:
            command.upgrade(_config(connection), revision)
        except Exception as error:
            raise migration_failure(error) from error


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables down to a revision (``base``: none of ours left), losing what only later ones can hold."""
    from alembic import command

    with _ALEMBIC, _only_one(engine), engine.begin() as connection:
        _lock_postgres(connection)
        command.downgrade(_config(connection), revision)


def read_state(engine: Engine) -> SchemaState:
    """Which revision the database has, and which this program needs.

    Raises:
        SchemaForeignError: its revision is not known here, and what this program reads and writes is not all there.
    """
    with engine.connect() as connection:
        return _state(connection)


def _state(connection: Connection) -> SchemaState:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    current = ", ".join(MigrationContext.configure(connection).get_current_heads()) or None
    script = ScriptDirectory.from_config(_config(connection))
    is_known = current is None or current in {known.revision for known in script.walk_revisions()}
    if not is_known and (lacking := _lacking(connection)):
        raise SchemaForeignError(f"they are at revision {current} and lack {', '.join(lacking[:3])}")
    return SchemaState(current=current, head=script.get_current_head() or "", is_newer=not is_known)


def _lacking(connection: Connection) -> list[str]:
    """Our columns that are not there."""
    columns = inspect(connection).get_multi_columns()
    present = {(table, column["name"]) for (_, table), found in columns.items() for column in found}
    ours = (column for table in metadata.sorted_tables for column in table.columns)
    return [str(column) for column in ours if (column.table.name, column.name) not in present]


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _only_one(engine: Engine) -> Iterator[None]:
    """On SQLite: a lock on a file beside the database, since its own locks do not cover a change of journal mode."""
    if engine.dialect.name != "sqlite":
        yield
        return
    with Path(f"{engine.url.database}.migrate.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        connection = engine.raw_connection()  # no mode is changed inside a transaction
        # Readers and the one writer do not wait for each other; the mode is kept in the file.
        connection.cursor().execute("PRAGMA journal_mode=WAL")
        connection.close()
        yield


def _lock_postgres(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRES_LOCK})
