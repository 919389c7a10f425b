"""Databases to test with: a new SQLite file, or one of a real PostgreSQL; a clock, and rows to begin with."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from madvision_assets.domain.breakers import Breaker
from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.documents import Document
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, breakers
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import metadata, processing_attempts, video_processing_queue
from madvision_assets_tests.stores import raw_video, sealed

KINDS = ("sqlite", "postgresql")
VIDEO = "web-1"


@contextmanager
def new_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """A database without tables; the PostgreSQL server is only started for the one that needs it."""
    if kind == "sqlite":
        yield Database(f"sqlite:///{folder / 'new' / 'folder' / 'madvision.db'}")
        return
    server = create_engine(request.getfixturevalue("postgres_url"), isolation_level="AUTOCOMMIT")
    name = f"test_{secrets.token_hex(4)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database = Database(server.url.set(database=name).render_as_string(hide_password=False))
    yield database
    database.engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def emptied(database: Database) -> Database:
    """The database without a row: a new one costs twenty times as much."""
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return database


def url_of(database: Database) -> str:
    """Its URL with the password, for another process."""
    return database.engine.url.render_as_string(hide_password=False)


class Clock:
    """The time, as a test sets it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def move(self, seconds: float) -> None:
        """On, or back."""
        self.now += timedelta(seconds=seconds)


def submit(database: Database, *numbers: int, host: str = "example.org", priority: int = 0, at: datetime) -> list[str]:
    """Submit videos ``web-<number>`` from a host; gives their IDs."""
    ids = [f"web-{number}" for number in numbers]
    wanted = [
        NewSubmission(Video(video_id=video_id, address=f"http://{host}/{video_id}"), priority) for video_id in ids
    ]
    Submissions(database, lambda: at).add(wanted)
    return ids


def made(video_id: str, outcome: Outcome = Outcome.CLIPS) -> Clips:
    """What the last step makes, as far as the queue reads it."""
    return Clips(video_id=video_id, outcome=outcome, outcome_reason="so it is")


def history(database: Database, video_id: str) -> list[dict[str, Any]]:
    """The attempts at a video, oldest first."""
    table = processing_attempts
    query = select(table).where(table.c.video_id == video_id).order_by(table.c.attempt)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def shut_breakers(database: Database) -> dict[str, Breaker]:
    """The breakers that are not closed, by name."""
    with database.reading() as connection:
        return breakers.not_closed(connection)


def get(queue: Queue, video_id: str = VIDEO) -> QueueRow:
    """A video's row."""
    row = queue.get(video_id)
    assert row is not None
    return row


def alter(database: Database, video_id: str = VIDEO, **values: Any) -> None:
    """Write into a video's row by plain SQL."""
    table = video_processing_queue
    with database.writing() as connection:
        connection.execute(table.update().where(table.c.video_id == video_id).values(**values))


def run_all(queue: Queue, run_id: str, attempt: int | None, *steps: PipelineStep, video_id: str = VIDEO) -> None:
    """Do these steps in one run, the last of all with clips."""
    for step in steps:
        queue.begin(video_id, run_id, attempt, step)
        clips = made(video_id) if step is PipelineStep.CLIPS else None
        queue.finish_step(video_id, run_id, step, ends=step is steps[-1], made=clips)


def document(run_id: str) -> Document:
    """A manifest of the first video, made by this run."""
    return sealed(raw_video().model_copy(update={"video_id": VIDEO, "provenance": None}), run_id=run_id)
