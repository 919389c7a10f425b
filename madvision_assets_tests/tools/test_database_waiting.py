"""Claims about a video's place in the queue, on SQLite and PostgreSQL alike."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from madvision_assets.domain.failures import BotCheckError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import FIRST_STEP, PipelineStep
from madvision_assets.domain.submitters import client_name
from madvision_assets.domain.urgency import Ageing
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, waiting
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.waiting import measured, place_of
from madvision_assets_tests import stores
from madvision_assets_tests.databases import KINDS, emptied, new_database, shut_breakers

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CLIENTS = (None, client_name("192.0.2.1", "salt"), client_name("192.0.2.2", "salt"))


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def database(migrated: Database) -> Database:
    return emptied(migrated)


def submit(database: Database, name: str, at: datetime, priority: int = 0, submitter: str | None = None) -> str:
    """Queue a video; gives its ID."""
    video = Video(video_id=f"web-{name}", address=f"https://{name}.example.org/")
    asked = NewSubmission(video, priority=priority, submitter=submitter)
    Submissions(database, now=lambda: at).add([asked])
    return video.video_id


def place(database: Database, video_id: str, ageing: Ageing) -> int | None:
    """Where a video is."""
    row = Queue(database).get(video_id)
    assert row is not None
    return place_of(database, row, NOW, ageing)


@pytest.mark.parametrize("step_s", [3600.0, 0.0])
def test_places_are_the_order_in_which_videos_are_claimed(database: Database, step_s: float) -> None:
    random, ageing = Random(7), Ageing(step_s)  # noqa: S311 - no secret
    video_ids = [
        submit(
            database,
            str(n),
            NOW - timedelta(minutes=random.randrange(600)),
            random.choice((-3, -1, 0, 0, 0)),
            random.choice(CLIENTS),
        )
        for n in range(30)
    ]

    places = {place(database, each, ageing): each for each in video_ids}
    queue = Queue(database, now=lambda: NOW, ageing=ageing)
    claimed = [queue.claim_due(n + 1)[0].video_id for n in range(30)]

    assert [places[n] for n in range(1, 31)] == claimed
    assert place(database, claimed[0], ageing) is None  # it is at work


def test_what_waits_for_later_or_behind_a_breaker_is_before_nobody(database: Database) -> None:
    first, second = (submit(database, name, NOW - timedelta(hours=1)) for name in ("a", "b"))
    queue = Queue(database, now=lambda: NOW)
    (claimed,) = queue.claim_due(1)
    queue.fail(claimed.video_id, "", claimed.attempt, FIRST_STEP, BotCheckError())
    assert shut_breakers(database)
    row = queue.get(claimed.video_id)
    assert row is not None
    assert row.status is QueueStatus.WAITING
    (other,) = {first, second} - {claimed.video_id}

    assert place(database, claimed.video_id, Ageing()) is None
    assert place(database, other, Ageing()) == 1


def test_beyond_the_last_place_nothing_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LAST_PLACE", 2)
    one, two, three = (submit(database, str(n), NOW - timedelta(hours=3 - n)) for n in range(3))

    assert [place(database, each, Ageing()) for each in (one, two, three)] == [1, 2, None]


def test_what_was_measured_goes_by_the_length_of_each_video(database: Database, tmp_path: Path) -> None:
    raw = stores.raw_video()
    database.add_video(raw.video_id, "http://x/")
    spoken = stores.transcript(raw, "a")
    for document in (raw, spoken):
        database.add_lineage(document, tmp_path.as_uri())

    found, at_work = measured(database, stores.MADE_AT + timedelta(days=1))

    assert found.rates[PipelineStep.TRANSCRIPT] == (2.5,)  # of one minute
    assert (found.totals, at_work) == ((), 0)
    assert measured(database, stores.MADE_AT + timedelta(days=31))[0].rates[PipelineStep.TRANSCRIPT] == ()
