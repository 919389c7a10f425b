"""Claims about submissions that are taken back, and what is kept of their videos; on SQLite and PostgreSQL alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from madvision_assets.domain.failures import ForgottenVideoError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import metadata, webhook_deliveries
from madvision_assets.tools.database.withdrawing import Withdrawal, Withdrawals
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import forgetting
from madvision_assets.work.sweeping import WithdrawnSweeper
from madvision_assets_tests.databases import KINDS, emptied, made, new_database
from madvision_assets_tests.work.test_forgetting import Partitions

VIDEO_ID = "web-a"


class Place:
    """Database, store and scratch folders, and what is tried on them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.store = ObjectStore.from_url((folder / "store").as_uri())
        self.queue = Queue(database)
        self.submissions = Submissions(database)
        self.withdrawals = Withdrawals(database)
        self.sweeper = WithdrawnSweeper(database, self.store, folder / "work")
        self.partitions = Partitions()

    def submit(self, callback_url: str | None = None) -> str:
        """Submit the video; gives the token."""
        video = Video(video_id=VIDEO_ID, address="https://example.org/a")
        (receipt,) = self.submissions.add([NewSubmission(video, callback_url=callback_url)])
        return receipt.token

    def finish(self) -> None:
        """The video is done, and something is kept of it."""
        self.queue.begin(VIDEO_ID, "run", None, PipelineStep.CLIPS)
        self.queue.finish_step(VIDEO_ID, "run", PipelineStep.CLIPS, ends=True, made=made(VIDEO_ID))
        for key in ("clips/web-a/current.json", "media/web-a/b.mp4"):
            self.store.put_bytes(key, b"12345")

    def sweep(self) -> int:
        """Delete what is withdrawn; gives how many videos."""
        return self.sweeper.sweep(self.partitions)

    def kept(self) -> tuple[int, int]:
        """Rows in all tables, and objects."""
        counts = [select(func.count()).select_from(table) for table in metadata.tables.values()]
        with self.database.reading() as connection:
            rows = sum(connection.execute(count).scalar_one() for count in counts)
        return rows, len(list(self.store.list_keys()))


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def place(migrated: Database, tmp_path: Path) -> Place:
    return Place(emptied(migrated), tmp_path)


def test_a_video_that_nobody_else_submitted_goes_with_all_that_is_kept_of_it(place: Place) -> None:
    empty = place.kept()
    token = place.submit(callback_url="https://example.org/hook")
    place.finish()

    assert place.withdrawals.withdraw(token) == Withdrawal(VIDEO_ID, is_given_up=True)
    assert place.submissions.find(token) is None
    assert place.sweep() == 1

    assert place.kept() == (empty[0] + 1, empty[1]), "but for a tombstone"
    with pytest.raises(ForgottenVideoError, match="by whoever submitted it"):
        place.database.get_video(VIDEO_ID)
    assert place.partitions.deleted == {VIDEO_ID}
    assert (place.withdrawals.withdraw(token), place.sweep()) == (None, 0)


def test_a_callback_of_what_was_withdrawn_is_not_called(place: Place) -> None:
    token = place.submit(callback_url="https://example.org/hook")

    place.withdrawals.withdraw(token)

    with place.database.reading() as connection:
        assert connection.execute(select(webhook_deliveries)).all() == []


def test_a_video_that_was_submitted_twice_stays_until_both_tokens_are_gone(place: Place) -> None:
    mine, other = place.submit(), place.submit(callback_url="https://example.org/hook")
    place.finish()
    before = place.kept()

    assert place.withdrawals.withdraw(mine) == Withdrawal(VIDEO_ID, is_given_up=False)
    assert place.sweep() == 0
    assert place.submissions.find(mine) is None
    tracked = place.submissions.find(other)
    assert tracked is not None
    assert tracked.row.status is QueueStatus.DONE
    assert place.kept() == (before[0] - 1, before[1])  # but for the token itself

    assert place.withdrawals.withdraw(other) == Withdrawal(VIDEO_ID, is_given_up=True)
    assert place.sweep() == 1


def test_work_on_a_withdrawn_video_ends_and_nothing_is_deleted_under_it(place: Place) -> None:
    token = place.submit()
    lease = place.queue.begin(VIDEO_ID, "run", None, PipelineStep.RAW_VIDEO)
    place.partitions.busy = frozenset({VIDEO_ID})

    place.withdrawals.withdraw(token)

    assert not place.queue.beat(lease)
    assert place.sweep() == 0
    place.partitions.busy = frozenset()
    assert place.sweep() == 1
    assert place.queue.get(VIDEO_ID) is None


def test_who_submits_it_anew_before_it_is_deleted_keeps_it(place: Place) -> None:
    token = place.submit()
    place.finish()
    place.withdrawals.withdraw(token)
    given_up = place.withdrawals.given_up(10)

    again = place.submit()
    folder = place.sweeper.work_folder
    done = forgetting.forget(place.database, place.store, folder, place.partitions, given_up, only_withdrawn=True)

    assert [each.videos for each in done] == [0]
    assert place.sweep() == 0
    tracked = place.submissions.find(again)
    assert tracked is not None
    assert (tracked.row.status, tracked.row.failure_cause) == (QueueStatus.QUEUED, None)


@pytest.mark.parametrize("token", ["", "no such token", "ü"])
def test_a_token_that_nobody_has_withdraws_nothing(place: Place, token: str) -> None:
    place.submit()

    assert place.withdrawals.withdraw(token) is None
    assert place.withdrawals.given_up(10) == []
