"""Migrations, run from code: no alembic.ini, and no file outside this package."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from madvision_assets.domain.failures import SchemaOutdatedError
from madvision_assets.tools.database.rows import SchemaState

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"
# Alembic keeps what it works on in globals, so one thread at a time.
_ALEMBIC = threading.Lock()
# Any number, as long as nothing else in the database takes the same.
_POSTGRES_LOCK = 0x6D61_6476_6973


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables up to a revision; several processes may try at once, and one does it.

    Raises:
        SchemaOutdatedError: the database was migrated by a newer version of this program.
    """
    from alembic import command
    from alembic.util import CommandError

    with _ALEMBIC, _only_one(engine), engine.begin() as connection:
        _lock_postgres(connection)
        try:
            command.upgrade(_config(connection), revision)
        except CommandError as error:
            raise SchemaOutdatedError("the database is of a newer version than this program") from error


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables down to a revision (``base``: none of ours left), losing what only later ones can hold."""
    from alembic import command

    with _ALEMBIC, _only_one(engine), engine.begin() as connection:
        _lock_postgres(connection)
        command.downgrade(_config(connection), revision)


def read_state(engine: Engine) -> SchemaState:
    """Which revision the database has, and which this program needs."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        head = ScriptDirectory.from_config(_config(connection)).get_current_head()
    return SchemaState(current=current, head=head or "")


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
