"""The database: SQLite in a file, or PostgreSQL, by one set of statements."""

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event, func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from madvision_assets.domain.failures import SchemaOutdatedError, UnknownVideoError
from madvision_assets.domain.provenance import Document
from madvision_assets.domain.video import Options, Video
from madvision_assets.tools.database import schema
from madvision_assets.tools.database.errors import database_failures
from madvision_assets.tools.database.rows import LineageRow, SchemaState
from madvision_assets.tools.database.tables import as_utc, lineage, videos

CONNECT_TIMEOUT_S = 10
# How long a writer waits for another one; SQLite has one at a time.
BUSY_TIMEOUT_S = 30.0

_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
_SUPPORTED = {"sqlite", "postgresql+psycopg2"}
_EXAMPLES = "sqlite:////var/lib/madvision/madvision.db or postgresql://user:password@host/database"


class Database:
    """Our tables. Cheap to make (nothing is touched before the first use) and thread-safe.

    Every method raises ``DatabaseUnavailableError``, ``SchemaOutdatedError`` or ``DiskFullError`` as the case may be.

    Args:
        url: a SQLAlchemy URL: a SQLite file, whose folder is made when needed, or PostgreSQL.

    Raises:
        ValueError: neither of these; the message names MADVISION_DATABASE_URL.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)

    def __repr__(self) -> str:
        """Shows the URL, without its password."""
        return f"Database({self.url!r})"

    @property
    def url(self) -> str:
        """The URL, with the password hidden."""
        return self._url.render_as_string(hide_password=True)

    @cached_property
    def engine(self) -> Engine:
        """SQLAlchemy's engine."""
        return _sqlite_engine(self._url) if self._is_sqlite else _postgres_engine(self._url)

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    # --- schema ---

    def migrate(self) -> None:
        """Bring the tables to this version; safe to run again, and by several processes at once.

        Raises:
            SchemaOutdatedError: a newer version of this program migrated the database.
        """
        with database_failures():
            schema.upgrade(self.engine)

    def ensure_schema(self) -> None:
        """Make sure that the tables are of this version: SQLite is migrated, PostgreSQL only looked at.

        Raises:
            SchemaOutdatedError: PostgreSQL wants ``madvision migrate``.
        """
        if self.schema_state().is_current:
            return
        if not self._is_sqlite:
            raise SchemaOutdatedError
        self.migrate()

    def schema_state(self) -> SchemaState:
        """Which migrations the database has seen, and which it should have."""
        with database_failures():
            return schema.read_state(self.engine)

    def check(self) -> None:
        """Return when the database answers and its tables are of this version; raise what is wrong otherwise.

        Raises:
            SchemaOutdatedError: the tables are missing or of another version.
        """
        state = self.schema_state()
        if not state.is_current:
            raise SchemaOutdatedError(f"they are at revision {state.current or 'none'}, and {state.head} is needed")

    # --- videos ---

    def add_video(self, video_id: str, address: str, options: Options | None = None) -> Video:
        """Make a video known, or find it known already.

        Args:
            video_id: its ID, the partition key.
            address: where it comes from; the first one told is kept, but for a local file its newest place.
            options: what is asked of its clips; None leaves what was asked before, or the defaults.

        Returns:
            The row as it stands now.

        Raises:
            pydantic.ValidationError: the ID cannot be one.
        """
        video = Video(video_id=video_id, address=address, options=options or Options())
        now = datetime.now(UTC)
        insert = sqlite_insert(videos) if self._is_sqlite else postgres_insert(videos)
        statement = insert.values(**video.model_dump(mode="json"), created_at=now, updated_at=now)
        # One statement, so that any number of submitters at once leave one row; the update that changes nothing is
        # there because only an updated row is returned.
        change: dict[str, Any] = {"video_id": statement.excluded.video_id}
        if options:
            change |= {"options": statement.excluded.options, "updated_at": now}
        if address.startswith("file:"):
            change |= {"address": statement.excluded.address, "updated_at": now}
        upsert = statement.on_conflict_do_update(index_elements=[videos.c.video_id], set_=change)
        returned = upsert.returning(videos.c.video_id, videos.c.address, videos.c.options)
        with database_failures(), self.engine.begin() as connection:
            return Video.model_validate(connection.execute(returned).mappings().one())

    def get_video(self, video_id: str) -> Video:
        """The row of a video.

        Raises:
            UnknownVideoError: there is none.
        """
        query = select(videos.c.video_id, videos.c.address, videos.c.options).where(videos.c.video_id == video_id)
        with database_failures(), self.engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise UnknownVideoError(video_id)
        return Video.model_validate(row)

    # --- lineage ---

    def add_lineage(self, document: Document, uri: str) -> None:
        """Write down one materialisation; the same one told twice is one row.

        Args:
            document: what was made; sealed.
            uri: where it lies.

        Raises:
            UnknownVideoError: nobody submitted its video.
            ValueError: the document was not sealed.
        """
        values = document.origin.model_dump(mode="json", exclude={"created_at"})
        insert = sqlite_insert(lineage) if self._is_sqlite else postgres_insert(lineage)
        statement = insert.values(
            **values, created_at=document.origin.created_at, video_id=document.video_id, uri=uri
        ).on_conflict_do_nothing(index_elements=["run_id", "asset", "video_id", "data_version"])
        with database_failures():
            try:
                with self.engine.begin() as connection:
                    connection.execute(statement)
            except IntegrityError as error:
                # A Provenance keeps every other constraint, so this is the reference to `videos`.
                raise UnknownVideoError(document.video_id) from error

    def lineage_of(self, video_id: str) -> list[LineageRow]:
        """Every materialisation of a video's stages, oldest first."""
        query = select(lineage).where(lineage.c.video_id == video_id).order_by(lineage.c.created_at, lineage.c.id)
        with database_failures(), self.engine.connect() as connection:
            return [LineageRow.model_validate(row) for row in connection.execute(query).mappings()]

    def cost_usd(self, video_id: str | None = None, since: datetime | None = None) -> float:
        """What was paid to third parties, US dollars, over all materialisations that ended well.

        Args:
            video_id: for this video; None for all.
            since: from this moment on, timezone-aware; None from the beginning.

        Raises:
            ValueError: ``since`` is naive.
        """
        query = select(func.coalesce(func.sum(lineage.c.cost_usd), 0.0))
        if video_id is not None:
            query = query.where(lineage.c.video_id == video_id)
        if since is not None:
            query = query.where(lineage.c.created_at >= as_utc(since))
        with database_failures(), self.engine.connect() as connection:
            return float(connection.execute(query).scalar_one())


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # `from None`: SQLAlchemy's own message shows the URL, password included.
        raise ValueError(f"MADVISION_DATABASE_URL is not a URL. Write for example {_EXAMPLES}.") from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in _SUPPORTED:
        raise ValueError(f"MADVISION_DATABASE_URL: {parsed.drivername!r} is not known. Write for example {_EXAMPLES}.")
    if parsed.drivername == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ValueError(f"MADVISION_DATABASE_URL: SQLite needs a file. Write for example {_EXAMPLES}.")
    return parsed


def _postgres_engine(url: URL) -> Engine:
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "madvision"}
    return create_engine(url, pool_pre_ping=True, connect_args=arguments)


def _sqlite_engine(url: URL) -> Engine:
    with database_failures():
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    # A connection costs less than a millisecond, and one that is not kept is never left open nor shared.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=NORMAL")  # safe with a write-ahead log; a lost minute is done again
        cursor.close()

    return engine
