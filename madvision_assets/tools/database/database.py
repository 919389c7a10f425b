"""The database: SQLite in a file, or PostgreSQL, by one set of statements.

SQLAlchemy is imported at the first use and not before: it would double what loading the pipeline's definitions costs.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import SchemaOutdatedError, UnknownVideoError
from madvision_assets.domain.summaries import summary_of
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, RawVideo, Video, cut_id, uncut_id

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.url import URL

    from madvision_assets.tools.database.rows import LineageRow, SchemaState


class Database:
    """Our tables. Cheap to make (nothing is touched before the first use) and thread-safe.

    Every method raises ``DatabaseUnavailableError``, ``SchemaOutdatedError`` or ``DiskFullError`` as the case may be.

    Args:
        url: a SQLAlchemy URL: a SQLite file, whose folder is made when needed, or PostgreSQL.
        revision: the commit that this program was built from; empty looks for a checkout.

    Raises:
        ValueError: neither of these; the message names MADVISION_DATABASE_URL.
    """

    def __init__(self, url: str, revision: str = "") -> None:
        from madvision_assets.tools.database import engines

        self._url: URL = engines.parse(url)
        self._revision = revision

    def __repr__(self) -> str:
        """Shows the URL, without its password."""
        return f"Database({self.url!r})"

    @property
    def url(self) -> str:
        """The URL, with the password hidden."""
        return self._url.render_as_string(hide_password=True)

    @cached_property
    def engine(self) -> "Engine":
        """SQLAlchemy's engine."""
        from madvision_assets.tools.database import engines

        return engines.make_engine(self._url)

    # --- transactions ---

    @contextmanager
    def reading(self) -> "Iterator[Connection]":
        """A connection to read from; what SQLAlchemy raises inside leaves as a leaf of the taxonomy."""
        from madvision_assets.tools.database import errors

        with errors.database_failures(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> "Iterator[Connection]":
        """A transaction, committed at the end; on SQLite no other one writes meanwhile."""
        from madvision_assets.tools.database import engines, errors

        with errors.database_failures(), self.engine.connect() as plain:
            connection = plain.execution_options(**{engines.WRITES: True})
            with connection.begin():
                yield connection

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file rather than PostgreSQL."""
        from madvision_assets.tools.database import engines

        return engines.is_sqlite(self._url)

    # --- schema ---

    def migrate(self) -> None:
        """Bring the tables to this version; safe to run again, and by several processes at once.

        Those of a newer version are left as they are.

        Raises:
            SchemaForeignError: they are not ours, or too new to work with.
            MigrationFailedError: nothing has changed.
        """
        from madvision_assets.tools.database import errors, schema

        with errors.database_failures():
            schema.upgrade(self.engine)

    def ensure_schema(self) -> None:
        """Make sure that the tables are of this version or newer: SQLite is migrated, PostgreSQL only looked at.

        Raises:
            SchemaOutdatedError: PostgreSQL wants ``madvision migrate``.
            SchemaForeignError: they are not ours, or too new to work with.
        """
        if self.schema_state().is_usable:
            return
        if not self.is_sqlite:
            raise SchemaOutdatedError
        self.migrate()

    def schema_state(self) -> "SchemaState":
        """Which migrations the database has seen, and which it should have."""
        from madvision_assets.tools.database import errors, schema

        with errors.database_failures():
            return schema.read_state(self.engine)

    def check(self) -> None:
        """Return when the database answers and its tables can be worked with; raise what is wrong otherwise.

        Raises:
            SchemaOutdatedError: the tables are missing or of an older version.
            SchemaForeignError: they are not ours, or too new to work with.
        """
        state = self.schema_state()
        if not state.is_usable:
            raise SchemaOutdatedError(f"they are at revision {state.current or 'none'}, and {state.head} is needed")

    def answer(self, *, fresh: bool = False) -> None:
        """Return when the database answers, over one of our connections, or over one made for this alone."""
        from sqlalchemy import text

        from madvision_assets.tools.database import engines, errors

        engine = engines.make_engine(self._url, keep_none=True) if fresh else self.engine
        with errors.database_failures(), engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def newer_tables(self) -> str | None:
        """What to know where a newer version of the program has migrated the tables already, as in a rolling update."""
        state = self.schema_state()
        if not state.is_newer:
            return None
        return (
            f"Its tables are of a newer version ({state.current}) than this program ({state.head}). Both go on; "
            "finish the update, or the way back."
        )

    # --- videos ---

    def add_video(self, video_id: str, address: str, options: Options | None = None) -> Video:
        """Make a video known, or find it known already.

        Args:
            video_id: its ID, the partition key.
            address: where it comes from; the newest one told counts until one has worked, for a local file always.
            options: what is asked of its clips; None leaves what was asked before, or the defaults.

        Returns:
            The row as it stands now.

        Raises:
            pydantic.ValidationError: the ID cannot be one.
        """
        from madvision_assets.tools.database import statements

        video = Video(video_id=video_id, address=address, options=options or Options())
        upsert = statements.upsert_video(video, options, sqlite=self.is_sqlite)
        with self.writing() as connection:
            return Video.model_validate(connection.execute(upsert).mappings().one())

    def get_video(self, video_id: str) -> Video:
        """The row of a video.

        Raises:
            UnknownVideoError: there is none.
        """
        from madvision_assets.tools.database import statements

        with self.reading() as connection:
            return statements.require_video(connection, video_id)

    def videos_of_content(self, sha256: str) -> list[str]:
        """The videos that were these bytes when they were last downloaded, oldest first; a few of them."""
        from madvision_assets.tools.database import statements

        with self.reading() as connection:
            return list(connection.execute(statements.select_by_content(sha256)).scalars())

    def partition_of(self, video_id: str, options: Options) -> str:
        """The partition of a video that is cut so; it was its only one where it was submitted so to an older version.

        Args:
            video_id: its own ID.
            options: how it is to be cut.
        """
        if options == Options():
            return video_id
        with suppress(UnknownVideoError):
            if self.get_video(video_id).options == options:
                return video_id
        return cut_id(video_id, options)

    def cuts_of(self, uncut_id: str) -> list[str]:
        """The partitions of a video, one for each way in which it is cut, oldest first; a few of them."""
        from madvision_assets.tools.database import statements

        with self.reading() as connection:
            return list(connection.execute(statements.select_cuts(uncut_id)).scalars())

    def other_cuts(self, video_ids: Collection[str]) -> frozenset[str]:
        """All other partitions of the same videos: cut in other ways, or under IDs that were told by another rule.

        It looks at every video, as ``ids_at`` does.
        """
        from madvision_assets.tools.database import statements

        with self.reading() as connection:
            ids = sorted(video_ids)
            asked = [statements.select_cuts(uncut_id(each), None) for each in ids]
            some = (ids[n : n + statements.MAX_IDS] for n in range(0, len(ids), statements.MAX_IDS))
            asked += [statements.select_at_same_addresses(each) for each in some]
            found = [connection.execute(each).scalars().all() for each in asked]
            return frozenset(chain.from_iterable(found)) - frozenset(video_ids)

    def ids_at(self, address: str) -> list[str]:
        """The partitions that were submitted with an address, oldest first; a few of them.

        It looks at every video: for a person's question, and not for the intake.
        """
        from madvision_assets.tools.database import statements

        with self.reading() as connection:
            return list(connection.execute(statements.select_ids_at(address)).scalars())

    # --- lineage ---

    def add_lineage(self, document: Document, uri: str) -> None:
        """Write down one materialisation; the same one told twice is one row.

        Args:
            document: what was made; sealed.
            uri: where it lies.

        Raises:
            UnknownVideoError: nobody submitted its video.
            SupersededError: a later attempt has taken the video over; nothing is written.
            ValueError: the document was not sealed.
        """
        from sqlalchemy.exc import IntegrityError

        from madvision_assets.tools.database import spoken, statements
        from madvision_assets.tools.database.running_code import running_code

        made_by = running_code(self._revision)
        told = statements.Told(document.video_id, document.origin, uri, summary_of(document), made_by)
        statement = statements.insert_lineage(told, sqlite=self.is_sqlite)
        with self.writing() as connection:
            statements.require_lease(connection, document.video_id, document.origin.run_id)
            try:
                connection.execute(statement)
                if isinstance(document, RawVideo):
                    connection.execute(statements.note_content(document))
                if isinstance(document, Transcript):
                    spoken.keep(connection, document)
            except IntegrityError as error:
                # A Provenance keeps every other constraint, so this is the reference to `videos`.
                raise UnknownVideoError(document.video_id) from error

    def lineage_of(self, video_id: str) -> "list[LineageRow]":
        """Every materialisation of a video's stages, oldest first."""
        from madvision_assets.tools.database import statements
        from madvision_assets.tools.database.rows import LineageRow

        with self.reading() as connection:
            rows = connection.execute(statements.select_lineage(video_id)).mappings()
            return [LineageRow.model_validate(row) for row in rows]
