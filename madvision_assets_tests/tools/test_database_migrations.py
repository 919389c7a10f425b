"""Claims about upgrades: two versions at once, a migration that breaks off, several that migrate."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from madvision_assets.domain.failures import MigrationFailedError, SchemaForeignError, SchemaOutdatedError
from madvision_assets.tools.database import Database, schema
from madvision_assets_tests.databases import KINDS, new_database, submit, url_of
from madvision_assets_tests.stores import MADE_AT
from madvision_assets_tests.waiting import wait_for

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade():
    op.add_column("videos", sa.Column("mood", sa.Text))
    op.create_table("moods", sa.Column("name", sa.Text))
"""
BREAKS = ["raise RuntimeError('out of luck')", "op.execute('INSERT INTO out_of_luck VALUES (1)')"]
MIGRATE = "import sys; from madvision_assets.tools.database import Database; Database(sys.argv[1]).migrate()"
WAITING_FOR_THE_LOCK = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@contextmanager
def next_version(folder: Path, last_act: str = "pass") -> Iterator[None]:
    """The next version of the program in place of this one: it has a migration more."""
    migrations = Path(shutil.copytree(schema.MIGRATIONS_FOLDER, folder / "migrations", dirs_exist_ok=True))
    (migrations / "versions" / "0013_moods.py").write_text(f"{NEXT}    {last_act}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS_FOLDER", migrations)
        yield


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    with new_database(request.param, request, tmp_path) as database:
        yield database


@pytest.fixture
def database(empty: Database) -> Database:
    """One with the tables of this version."""
    empty.migrate()
    return empty


def test_migrations_only_add_or_loosen_so_that_the_version_before_works_on() -> None:
    for path in (schema.MIGRATIONS_FOLDER / "versions").glob("*.py"):
        upgrade, _, _ = path.read_text().partition("def downgrade")
        upgrade = re.sub(r"op\.drop_constraint\(.*, type_=\"check\"\)", "", upgrade)  # what fitted before fits after
        upgrade = upgrade.replace("DROP VIEW", "")  # another one of the same columns takes its place
        assert re.findall(r"op\.(?:drop|rename|alter|batch_alter)\w+|\b(?:DROP|RENAME)\b", upgrade) == [], path.name


def test_this_version_works_on_while_the_next_one_has_migrated(database: Database, tmp_path: Path) -> None:
    with next_version(tmp_path):
        database.migrate()
        assert database.newer_tables() is None

    database.ensure_schema()
    database.check()
    assert submit(database, 1, at=MADE_AT) == [database.get_video("web-1").video_id]
    assert "0013" in (database.newer_tables() or "")
    database.migrate()
    assert database.schema_state().current == "0013", "the way back leaves the tables as they are"


def test_the_next_version_waits_for_its_migration_while_this_one_works_on(database: Database, tmp_path: Path) -> None:
    with next_version(tmp_path):
        with pytest.raises(SchemaOutdatedError, match="revision 0012, and 0013 is needed"):
            database.check()
        if not database.is_sqlite:
            with pytest.raises(SchemaOutdatedError, match="madvision migrate"):
                database.ensure_schema()

    database.check()
    assert database.newer_tables() is None


@pytest.mark.parametrize("last_act", BREAKS)
def test_a_migration_that_breaks_off_leaves_nothing_and_can_be_run_again(
    database: Database, tmp_path: Path, last_act: str
) -> None:
    submit(database, 1, at=MADE_AT)

    with next_version(tmp_path, last_act), pytest.raises(MigrationFailedError, match=r"out.of.luck"):
        database.migrate()

    database.check()
    assert database.schema_state().current == "0012"
    assert "moods" not in inspect(database.engine).get_table_names()
    with next_version(tmp_path):
        database.migrate()
        database.check()
        assert database.get_video("web-1")


def test_the_tables_of_another_program_are_left_alone(empty: Database) -> None:
    with empty.writing() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs'), ('theirs too')"))

    for use in (empty.ensure_schema, empty.migrate, empty.check):
        with pytest.raises(SchemaForeignError, match=r"theirs.* lack breakers\.name"):
            use()
    assert inspect(empty.engine).get_table_names() == ["alembic_version"]


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
def test_pods_that_migrate_at_once_wait_for_each_other_and_all_end_well(empty: Database) -> None:
    command = [sys.executable, "-c", MIGRATE, url_of(empty)]
    with empty.engine.connect() as watcher:

        def both_wait() -> bool:
            return bool(watcher.execute(text(WAITING_FOR_THE_LOCK)).scalar_one() == 2)

        with empty.engine.begin() as first:  # as if a third one were at work
            schema._lock_postgres(first)
            others = [subprocess.Popen(command, cwd=Path.cwd()) for _ in range(2)]
            wait_for(both_wait, 30, "two that wait for the lock")

    assert [other.wait(60) for other in others] == [0, 0]
    empty.check()
