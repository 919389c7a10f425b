"""What the tests of tools work with: emptied databases of both kinds, a clock, the queue; a site, and who fetches."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.download import Download, Downloader
from madvision_assets_tests import disks
from madvision_assets_tests.databases import KINDS, Clock, emptied, new_database, submit
from madvision_assets_tests.downloads import DOWNLOADER, Fetch
from madvision_assets_tests.site import Site


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


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site on this machine."""
    with Site() as running:
        yield running


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Fetches an address into one folder, which stays for the next call."""

    def run(address: str, downloader: Downloader = DOWNLOADER) -> Download:
        return downloader.fetch(address, tmp_path / "folder", lambda *_: None)

    return run


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that has no room but for a few kilobytes."""
    with disks.small_disk(tmp_path / "small", 1) as folder:
        disks.fill(folder, left_bytes=16_384)
        yield folder
