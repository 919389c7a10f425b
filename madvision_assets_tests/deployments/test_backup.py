"""Claims about ``deployments/backup``: what was there is there again, and nothing is taken for a backup that is none.

The scripts run as they stand, against a real PostgreSQL and a real S3 server, on videos that the real pipeline made.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from madvision_assets.definitions import build_defs
from madvision_assets.defs.runtime.reconcile import Reconciler
from madvision_assets.domain.documents import Made
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options, RawVideo, Video
from madvision_assets.settings import variable_names
from madvision_assets.tools.analyst import Proposal
from madvision_assets.tools.database.tables import metadata
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests import footage
from madvision_assets_tests.builders import moment
from madvision_assets_tests.harness import Harness, InstantTools, open_harness
from madvision_assets_tests.intake.serving import serving, settings_in
from madvision_assets_tests.real_servers import S3Server, postgres_programs

pytestmark = pytest.mark.whole

SCRIPTS = Path(__file__).parents[2] / "deployments" / "backup"
BUCKET = "backups"
INSIGHT = "Measure first, because a wrong answer never improved a result."
EXTENSIONS = ("mp4", "srt", "jpg")
LIMIT_S = 120


class Talkers(InstantTools):
    """Quick tools that find a clip in every video."""

    def take(self, video: Video, folder: Path, progress: Callable[[float, str], None]) -> Made[RawVideo]:
        """In place of the ingest."""
        made = super().take(video, folder, progress)
        return replace(made, document=made.document.model_copy(update={"options": Options(min_clip_s=1)}))

    def propose(self, *_arguments: Any) -> Proposal:
        """The whole of it."""
        self._begin(PipelineStep.CLIP_CANDIDATES)
        return Proposal((moment(0, 0, INSIGHT),), provisional=True, recipe=Recipe(engine="quick"))


@dataclass
class Plant:
    """A running system, and what an operator does to it.

    Attributes:
        works: the pipeline.
        servers: URLs of the databases, ours and Dagster's.
        backups: where they go.
        tokens: of the submitted videos, by name.
        environment: of the scripts.
    """

    harness: Harness
    servers: dict[str, str]
    backups: Path
    environment: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def submit(self, name: str) -> None:
        """Hand in a video."""
        self.tokens[name] = self.harness.submit(name).token

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the system's environment."""
        environment = {**self.environment, **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    def backup(self, **variables: str) -> str:
        """Back up; gives what it said."""
        return self._well(self.run(SCRIPTS / "backup.sh", **variables))

    def restore(self, *arguments: str) -> str:
        """Restore; gives what it said."""
        return self._well(self.run(SCRIPTS / "restore.sh", *arguments))

    def madvision(self, *arguments: str) -> str:
        """A command of ours; gives what it said."""
        return self._well(self.run("madvision", *arguments))

    def times(self) -> list[str]:
        """Of the backups, whole or not, oldest first."""
        return sorted(path.name for path in (self.backups / "dumps").iterdir())

    @property
    def store(self) -> ObjectStore:
        """Of the live system."""
        return self.harness.tools.store

    def wipe(self) -> None:
        """Lose everything."""
        for url in self.servers.values():
            recreate(url)
        self.store.delete(list(self.store.list_keys()))

    def disconnect(self) -> None:
        """Stop everything: nothing is connected to our database any more."""
        send(
            self.servers["madvision"],
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    def rows(self) -> dict[str, list[Any]]:
        """Everything in our tables."""
        engine = create_engine(self.servers["madvision"])
        with engine.connect() as connection:
            found = {
                table.name: sorted(map(repr, connection.execute(table.select()))) for table in metadata.sorted_tables
            }
        engine.dispose()
        return found

    def clips(self) -> dict[str, bytes]:
        """Every file of every clip, as who has the token gets it."""
        given = self.harness.settings.model_dump(exclude={"home"})
        settings = settings_in(self.harness.settings.home, **given)
        files = {}
        with serving(settings, migrate=False) as intake:
            for token in self.tokens.values():
                for clip in intake.status(token)["clips"] or ():
                    for extension in EXTENSIONS:
                        path = f"/video/{token}/clips/{clip['clip_id']}.{extension}"
                        answer = intake.client.get(path, follow_redirects=True)
                        assert answer.status_code == 200, answer.text
                        files[path] = answer.content
        return files

    @staticmethod
    def _well(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout


def send(url: str, sql: str) -> list[Any]:
    """One statement on a connection of its own; gives its rows."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(sql))
        rows: list[Any] = list(result) if result.returns_rows else []
    engine.dispose()
    return rows


def recreate(url: str) -> None:
    """An empty database in place of one that may be there."""
    server, name = make_url(url).set(database="postgres"), make_url(url).database
    for statement in (f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}"):
        send(server.render_as_string(hide_password=False), statement)


@contextmanager
def plant(folder: Path, postgres_url: str, s3: S3Server, media: Path) -> Iterator[Plant]:
    """A system of its own: two databases, a prefix in a bucket, a folder for backups."""
    mark = secrets.token_hex(4)
    server = make_url(postgres_url)
    servers = {
        name: server.set(database=f"{name}_{mark}").render_as_string(hide_password=False)
        for name in ("madvision", "dagster")
    }
    for url in servers.values():
        recreate(url)
    s3.create_bucket(BUCKET)
    places: dict[str, Any] = {
        "database_url": SecretStr(servers["madvision"]),
        "store_url": f"s3://{BUCKET}/{mark}",
        "aws_endpoint_url_s3": s3.endpoint_url,
        "aws_region": s3.region,
        "aws_access_key_id": s3.access_key_id,
        "aws_secret_access_key": SecretStr(s3.secret_access_key),
    }
    dagster = make_url(servers["dagster"])
    programs = f"{Path(sys.executable).parent}:{postgres_programs()}:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name not in variable_names()} | {
        "PATH": programs,
        "MADVISION_HOME": str(folder / "home"),
        "MADVISION_DATABASE_URL": servers["madvision"],
        "MADVISION_STORE_URL": f"s3://{BUCKET}/{mark}",
        "BACKUP_URL": (folder / "backups").as_uri(),
        "DAGSTER_PG_HOST": str(dagster.host or dagster.query["host"]),
        "DAGSTER_PG_PORT": str(dagster.port or dagster.query.get("port", 5432)),
        "DAGSTER_PG_USERNAME": str(dagster.username),
        "DAGSTER_PG_PASSWORD": dagster.password or "",
        "DAGSTER_PG_DB": str(dagster.database),
        **{name: value for name, value in s3.environment().items() if name.startswith("AWS_")},
    }
    storage = {"postgres": {"postgres_url": servers["dagster"].replace("+psycopg2", "")}}
    overrides = {"storage": storage, "telemetry": {"enabled": False}}
    (folder / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(folder / "dagster"), overrides) as instance:
        subprocess.run(["madvision", "migrate"], env=environment, check=True, capture_output=True, timeout=LIMIT_S)
        with open_harness(folder / "home", media, instance=instance, **places) as harness:
            tools = Talkers(harness.tools.store, media, words=INSIGHT)
            definitions = build_defs(
                harness.settings, dict.fromkeys(("ingest", "transcriber", "analyst", "renderer"), tools)
            )
            yield Plant(
                replace(harness, tools=tools, definitions=definitions), servers, folder / "backups", environment
            )
    for url in servers.values():
        name = make_url(url).database
        send(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A talk of six seconds."""
    return footage.talking(tmp_path_factory.mktemp("media") / "six.mp4", 6.0)


@pytest.fixture
def running(tmp_path: Path, postgres_url: str, s3_server: S3Server, media: Path) -> Iterator[Plant]:
    """A system without videos."""
    with plant(tmp_path, postgres_url, s3_server, media) as made:
        yield made


def test_everything_is_there_again_and_a_second_backup_sends_nothing_twice(running: Plant) -> None:
    for name in ("a", "b"):
        running.submit(name)
    running.harness.tick()
    running.submit("c")
    rows, clips = running.rows(), running.clips()
    lineage = running.madvision("lineage", "web-a", "--format", "json")
    runs = {(run.run_id, run.status) for run in running.harness.instance.get_runs()}
    assert len(clips) == 2 * len(EXTENSIONS)
    assert len(runs) == 2

    running.backup()
    again = running.backup(BACKUP_KEEP="1")
    running.wipe()
    told = running.restore()

    [objects] = [line for line in again.splitlines() if line.endswith("/objects.")]
    assert ": 10 sent " in objects  # the pointers
    assert "1 old dumps deleted, 1 kept." in again
    assert "2 videos are done, with 2 clips; 10 documents in the lineage. All of it is there." in told
    assert running.rows() == rows
    assert running.clips() == clips
    assert running.madvision("lineage", "web-a", "--format", "json") == lineage
    assert {(run.run_id, run.status) for run in running.harness.instance.get_runs()} == runs
    running.harness.tick()
    assert running.harness.row("c").status is QueueStatus.DONE


@pytest.mark.long
def test_a_backup_in_the_middle_of_a_video_is_gone_on_with(running: Plant) -> None:
    harness = running.harness
    running.submit("a")
    harness.tools.plan(PipelineStep.CONTENT_TYPE, running.backup)
    harness.tick()
    # The next backup is broken off once it has sent the objects, which are then newer than any dump.
    running.madvision("store", "copy", running.store.url, f"{running.backups.as_uri()}/objects")
    clips, calls = running.clips(), harness.tools.calls.copy()

    running.wipe()
    told = running.restore()

    assert "3 rows of lineage added." in told
    row = harness.row("a")
    assert (row.status, row.pipeline_step) == (QueueStatus.RUNNING, PipelineStep.CONTENT_TYPE)
    reconciler = Reconciler(harness.queue, looks=1, one_process=True)
    seen, _ = reconciler.look(harness.instance, {})
    _, repairs = reconciler.look(harness.instance, seen)
    assert repairs == ["web-a: its worker is lost"]
    harness.tick()
    assert harness.row("a").status is QueueStatus.DONE
    assert harness.tools.calls == calls
    assert running.clips() == clips


@pytest.mark.long
def test_nothing_is_restored_over_what_is_there(running: Plant) -> None:
    running.submit("a")
    running.harness.tick()
    running.backup()
    running.submit("b")
    rows = running.rows()

    refused = running.run(SCRIPTS / "restore.sh")
    assert (refused.returncode, refused.stderr) == (
        1,
        "restore: the database of madvision holds 2 videos; --force replaces them.\n",
    )
    busy = running.run(SCRIPTS / "restore.sh", "--force")
    assert busy.returncode == 1
    assert "connections of madvision are open: stop intake, daemon and runs first." in busy.stderr
    assert running.rows() == rows

    running.disconnect()
    running.restore("--force")
    assert running.harness.queue.get("web-b") is None


@pytest.mark.long
def test_what_is_missing_after_a_restore_is_told(running: Plant) -> None:
    running.submit("a")
    running.harness.tick()
    running.backup()
    running.wipe()
    [clip] = (running.backups / "objects" / "media").glob("*/*.jpg")
    clip.unlink()

    done = running.run(SCRIPTS / "restore.sh")

    assert done.returncode == 1
    assert f"missing: media/web-a/{clip.name} is not in the store whole" in done.stderr
    assert "1 videos are done, with 1 clips; 5 documents in the lineage; 1 things are missing." in done.stderr


def test_a_backup_that_was_broken_off_is_none(running: Plant) -> None:
    denied = running.run(SCRIPTS / "backup.sh", MADVISION_STORE_URL="s3://no-such-bucket/x")
    assert denied.returncode == 1
    assert denied.stderr.startswith("store_denied:")
    [broken_off] = running.times()

    for arguments in ([], [broken_off]):
        nothing = running.run(SCRIPTS / "restore.sh", "--force", *arguments)
        assert nothing.returncode == 1
        assert nothing.stderr.startswith("restore: there is no complete backup")
    running.backup(BACKUP_KEEP="1")

    assert broken_off not in running.times()  # older than the oldest that is kept


def test_damaged_dumps_are_not_restored(running: Plant) -> None:
    running.backup()
    running.disconnect()
    [time] = running.times()
    dump = running.backups / "dumps" / time / "madvision.dump"
    dump.write_bytes(dump.read_bytes()[:-100])

    done = running.run(SCRIPTS / "restore.sh", "--force")

    assert done.returncode == 1
    assert f"restore: the dumps of {time} are damaged." in done.stderr


WRONG = [
    ({"BACKUP_URL": ""}, "backup: set BACKUP_URL"),
    ({"BACKUP_URL": "ftp://host/x"}, "error: 'ftp://host/x/dumps/"),
    ({"BACKUP_URL": "s3://no-such-bucket"}, "store_denied:"),
    ({"BACKUP_URL": "file:///dev/full/x"}, "store_denied:"),
    ({"MADVISION_STORE_URL": ""}, "backup: set MADVISION_STORE_URL"),
    ({"MADVISION_DATABASE_URL": ""}, "error: set MADVISION_DATABASE_URL."),
    ({"MADVISION_DATABASE_URL": "sqlite:////x.db"}, "error: MADVISION_DATABASE_URL names a SQLite file"),
    ({"DAGSTER_PG_HOST": "", "DAGSTER_PG_DB": ""}, "error: set DAGSTER_PG_HOST, DAGSTER_PG_DB."),
    ({"DAGSTER_PG_PORT": "1"}, "backup: the database of dagster does not answer."),
    ({"BACKUP_S3_ENV": "/etc/hostname"}, "error: /etc/hostname lacks AWS_ENDPOINT_URL_S3"),
]


@pytest.fixture(scope="module")
def standing(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, s3_server: S3Server, media: Path
) -> Iterator[Plant]:
    """A system that nothing happens to."""
    with plant(tmp_path_factory.mktemp("standing"), postgres_url, s3_server, media) as made:
        yield made


@pytest.mark.parametrize(("variables", "sentence"), WRONG)
def test_what_is_wrong_is_told_in_a_sentence(standing: Plant, variables: dict[str, str], sentence: str) -> None:
    done = standing.run(SCRIPTS / "backup.sh", **variables)

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_passwords_go_into_a_file_as_libpq_reads_it(standing: Plant) -> None:
    url = "postgresql+psycopg2://me:p%40ss@db.example.org/ours?sslmode=require"

    told = standing.run(sys.executable, SCRIPTS / "pg_services.py", MADVISION_DATABASE_URL=url).stdout

    ours = {"[madvision]", "host=db.example.org", "dbname=ours", "user=me", "password=p@ss", "sslmode=require"}
    assert set(told.partition("[dagster]")[0].split()) == ours
