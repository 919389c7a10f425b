"""The names of clients: hashes with the salt of this installation, which lies in the database."""

import secrets
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.domain.submitters import client_name, is_client
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import installation

SALT = "submitter_salt"
SALT_BYTES = 32


class Submitters:
    """Tells what is kept of a client. Raises as ``Database`` does.

    Args:
        database: where the salt is; made there by whoever needs it first.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def name(self, client: str) -> str:
        """What is kept of a client; what is such a name already stays."""
        return client if is_client(client) else client_name(client, self._salt)

    @cached_property
    def _salt(self) -> str:
        query = select(installation.c.value).where(installation.c.name == SALT)
        with self._database.reading() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return found
        insert = sqlite_insert if self._database.is_sqlite else postgres_insert
        mine = insert(installation).values(name=SALT, value=secrets.token_hex(SALT_BYTES))
        with self._database.writing() as connection:
            connection.execute(mine.on_conflict_do_nothing())
        with self._database.reading() as connection:  # whoever was first
            return str(connection.execute(query).scalar_one())
