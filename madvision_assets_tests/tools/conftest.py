"""What the tests of the queue's tables work with: emptied databases of both kinds, a clock, the queue."""

from collections.abc import Iterator

import pytest

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.databases import KINDS, Clock, emptied, new_database, submit


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with our tables; one for a module."""
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def database(migrated: Database) -> Database:
    """A database with our tables and without rows."""
    return emptied(migrated)


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> Queue:
    """The queue, with the longest pauses that the jitter allows."""
    return Queue(database, now=clock, spread=lambda: 1.0)


@pytest.fixture
def claimed(database: Database, queue: Queue, clock: Clock) -> QueueRow:
    """A video that a sensor has just claimed."""
    submit(database, 1, at=clock.now)
    (row,) = queue.claim_due(1)
    return row
