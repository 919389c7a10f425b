"""Claims about Supabase: its public key sees nothing, our migrations and its own take turns, and Dagster keeps apart.

The server is a real PostgreSQL with Supabase's roles and its default privileges: what is made in ``public`` is given
to ``anon``.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import dagster as dg
import psycopg2  # type: ignore[import-untyped]
import pytest
from sqlalchemy import make_url

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import variable_names
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.tables import metadata
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.databases import Clock, get, run_all, submit
from madvision_assets_tests.real_servers import postgres, postgres_programs

pytestmark = pytest.mark.whole

FOLDER = Path(__file__).parents[2] / "deployments" / "supabase"
FILES = sorted((FOLDER / "supabase" / "migrations").glob("*.sql"))
PUBLIC_KEY = ("anon", "authenticated")
ENDPOINT = "https://abcdefghijklmnopqrst.storage.supabase.co/storage/v1/s3"

# https://github.com/supabase/postgres: the roles, and what is given to them by itself.
ROLES = """
ALTER ROLE postgres RENAME TO bootstrap;
CREATE ROLE postgres LOGIN CREATEROLE CREATEDB BYPASSRLS;
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
"""
PRIVILEGES = "GRANT USAGE ON SCHEMA public TO postgres, anon, authenticated, service_role;" + "".join(
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public "
    f"GRANT ALL ON {kind} TO postgres, anon, authenticated, service_role;"
    for owner in ("postgres", "supabase_admin")
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS")
)
IN_PUBLIC = "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND"
TABLES = f"SELECT relname {IN_PUBLIC} relkind IN ('r', 'p', 'v', 'm')"
VIEWS = ("v_videos", "clips", "moments", "materialisations", "current_lineage", "attempts", "costs", "timings")
# Each must find nothing.
LEAKS = {
    # A view has the security of its tables where it asks as whoever asks it.
    "tables without row-level security": (
        f"{TABLES} AND NOT CASE relkind WHEN 'v' THEN coalesce(reloptions, '{{}}') @> '{{security_invoker=true}}' "
        "ELSE relrowsecurity END"
    ),
    "policies": "SELECT polname FROM pg_policy",
    "rights on tables": f"{TABLES} AND has_table_privilege(%(role)s, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')",
    "rights on sequences": (
        f"SELECT relname {IN_PUBLIC} CASE relkind "
        "WHEN 'S' THEN has_sequence_privilege(%(role)s, oid, 'USAGE, SELECT, UPDATE') END"
    ),
    "rights on functions": (
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
        "AND has_function_privilege(%(role)s, oid, 'EXECUTE')"
    ),
    "rights on the schema of Dagster": "SELECT 1 WHERE has_schema_privilege(%(role)s, 'dagster', 'USAGE, CREATE')",
}


class Project:
    """A new project's database, and who may speak to it."""

    def __init__(self, server_url: str, name: str) -> None:
        self._url = make_url(server_url).set(database=name)

    def url(self, role: str = "postgres") -> str:
        """SQLAlchemy's URL of a role."""
        return self._url.set(username=role).render_as_string(hide_password=False)

    def send(
        self, sql: str, given: dict[str, str] | None = None, *, role: str = "postgres", acting_as: str = "none"
    ) -> list[tuple[Any, ...]]:
        """Send SQL as it stands; gives its rows."""
        connection = psycopg2.connect(self.url(role).replace("+psycopg2", ""))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"SET ROLE {acting_as}")
                cursor.execute(sql, given)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def push(self, *files: Path) -> None:
        """What ``supabase db push`` does."""
        for file in files:
            self.send(file.read_text())

    def leaks(self) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
        """What the public key could see or do, by kind and role."""
        found = {(what, role): self.send(sql, {"role": role}) for what, sql in LEAKS.items() for role in PUBLIC_KEY}
        return {key: rows for key, rows in found.items() if rows}


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, since roles belong to a whole server."""
    with postgres(tmp_path_factory.mktemp("supabase")) as url:
        server = Project(url, "postgres")
        server.send("CREATE ROLE supabase_admin SUPERUSER LOGIN")
        server.send(ROLES, role="supabase_admin")
        yield url


def new_project(server_url: str) -> Project:
    """A database with what Supabase gives away in it."""
    name = f"project_{secrets.token_hex(4)}"
    Project(server_url, "postgres").send(f"CREATE DATABASE {name} OWNER postgres", role="supabase_admin")
    made = Project(server_url, name)
    made.send(PRIVILEGES, role="supabase_admin")
    return made


@pytest.fixture
def project(server_url: str) -> Project:
    """A new project."""
    return new_project(server_url)


@pytest.fixture
def other(server_url: str) -> Project:
    """Another new project."""
    return new_project(server_url)


@pytest.fixture
def database(project: Project) -> Iterator[Database]:
    """Its tables, as the system speaks to them."""
    opened = Database(project.url())
    yield opened
    opened.engine.dispose()


def run_script(name: str, project: Project, folder: Path) -> None:
    """Back a project up, or restore into it, with a store in a folder of its own."""
    url = make_url(project.url("dagster"))
    environment = {name: value for name, value in os.environ.items() if name not in variable_names()} | {
        "PATH": f"{Path(sys.executable).parent}:{postgres_programs()}:{os.environ['PATH']}",
        "MADVISION_HOME": str(folder / "home"),
        "MADVISION_DATABASE_URL": project.url(),
        "MADVISION_STORE_URL": (folder / str(url.database)).as_uri(),
        "BACKUP_URL": (folder / "backups").as_uri(),
        "DAGSTER_PG_HOST": str(url.query["host"]),
        "DAGSTER_PG_PORT": str(url.query["port"]),
        "DAGSTER_PG_USERNAME": "dagster",
        "DAGSTER_PG_DB": str(url.database),
    }
    script = FOLDER.parent / "backup" / name
    subprocess.run([script], env=environment, check=True, capture_output=True, timeout=120)


def test_the_files_are_those_of_our_migrations() -> None:
    checked = subprocess.run(
        [sys.executable, FOLDER / "generate.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_public_key_sees_nothing(project: Project, database: Database) -> None:
    project.push(*FILES)
    submit(database, 1, at=Clock().now)

    assert {name for (name,) in project.send(TABLES)} == {*metadata.tables, *VIEWS, "alembic_version"}
    assert project.leaks() == {}
    for statement in ("SELECT * FROM videos", "INSERT INTO heartbeats VALUES ('x', now())", "DELETE FROM submissions"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            project.send(statement, role="supabase_admin", acting_as="anon")


def test_rights_given_by_mistake_still_show_no_row(project: Project, database: Database) -> None:
    project.push(*FILES)
    submit(database, 1, at=Clock().now)

    project.send("GRANT ALL ON ALL TABLES IN SCHEMA public TO anon")

    for name in ("videos", *VIEWS):
        assert project.send(f"SELECT * FROM {name}", role="supabase_admin", acting_as="anon") == []  # noqa: S608 - ours
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
        project.send("INSERT INTO heartbeats VALUES ('x', now())", role="supabase_admin", acting_as="anon")


def test_a_table_that_was_forgotten_is_found(project: Project) -> None:
    project.push(*FILES)

    project.send("CREATE TABLE later (id serial)")

    # Its rights were taken away beforehand; what is left to complain of is row-level security.
    assert project.leaks() == {("tables without row-level security", role): [("later",)] for role in PUBLIC_KEY}


def test_the_system_works_on_them(project: Project, database: Database) -> None:
    project.push(*FILES)
    database.migrate()
    database.check()
    queue = Queue(database)

    submit(database, 1, at=Clock().now)
    (row,) = queue.claim_due(1)
    run_all(queue, "run-1", row.attempt, *PipelineStep)

    assert get(queue).status is QueueStatus.DONE
    with pytest.raises(psycopg2.errors.CheckViolation, match="illegal move from done"):
        project.send("UPDATE video_processing_queue SET status = 'failed', failure_cause = 'x'")


@pytest.mark.parametrize("pushed", range(len(FILES) + 1))
def test_either_may_go_on_from_where_the_other_came_to(project: Project, database: Database, pushed: int) -> None:
    project.push(*FILES[:pushed])

    database.migrate()
    database.check()
    project.push(*FILES)  # also those that were pushed before
    database.check()

    assert project.leaks() == {}


def test_an_upgrade_that_fails_leaves_nothing_behind(project: Project) -> None:
    queue = next(n for n, file in enumerate(FILES) if file.name.endswith("_queue.sql"))
    project.push(*FILES[:queue])
    project.send("CREATE TABLE heartbeats (name text)")

    with pytest.raises(psycopg2.errors.DuplicateTable):
        project.push(FILES[queue])

    assert project.send("SELECT version_num FROM alembic_version") == [("0001",)]


def test_dagster_keeps_to_a_schema_of_its_own(project: Project, tmp_path: Path) -> None:
    project.push(*FILES)
    project.send("ALTER ROLE dagster LOGIN")
    url = project.url("dagster").replace("+psycopg2", "")

    with dg.DagsterInstance.local_temp(str(tmp_path), {"storage": {"postgres": {"postgres_url": url}}}) as instance:
        instance.add_dynamic_partitions("videos", ["web-1"])
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        assert instance.get_dynamic_partitions("videos") == ["web-1"]

    assert ("runs",) in project.send("SELECT tablename::text FROM pg_tables WHERE schemaname = 'dagster'")
    assert project.leaks() == {}
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        project.send("SELECT * FROM public.submissions", role="dagster")


def test_a_restored_backup_is_as_closed_as_before(
    project: Project, other: Project, database: Database, tmp_path: Path
) -> None:
    for each in (project, other):
        each.push(*FILES)
        each.send("ALTER ROLE dagster LOGIN")
    submit(database, 1, at=Clock().now)
    database.engine.dispose()
    url = project.url("dagster").replace("+psycopg2", "")
    with dg.DagsterInstance.local_temp(str(tmp_path), {"storage": {"postgres": {"postgres_url": url}}}) as instance:
        instance.add_dynamic_partitions("videos", ["web-1"])

    run_script("backup.sh", project, tmp_path)
    run_script("restore.sh", other, tmp_path)
    other.push(*FILES)  # they lock again what they find

    assert other.send("SELECT video_id FROM videos") == [("web-1",)]
    assert other.send("SELECT partition FROM dagster.dynamic_partitions") == [("web-1",)]
    assert other.leaks() == {}


def test_storage_is_addressed_below_its_path() -> None:
    s3 = AwsAccess(endpoint_url=ENDPOINT, region="eu-central-1", access_key_id="key", secret_access_key="secret")
    ours = ObjectStore.from_url("s3://madvision/store", s3=s3).presigned_url("media/web-1/a.mp4", 60)
    client = boto3.client(
        "s3", endpoint_url=ENDPOINT, region_name="eu-central-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    logs = client.generate_presigned_url("get_object", {"Bucket": "madvision", "Key": "logs/x"})
    client.close()

    assert ours is not None
    assert ours.startswith(f"{ENDPOINT}/madvision/store/media/web-1/a.mp4?")
    assert logs.startswith(f"{ENDPOINT}/madvision/logs/x?")
