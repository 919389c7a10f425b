"""Claims about the share of a day that each client has: who pays, who waits, and that nobody else does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from madvision_assets.domain.failures import QuotaSpentError
from madvision_assets.domain.next_steps import NextStep, next_step
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.quotas import QuotaRules, Taken
from madvision_assets.domain.submitters import COMMAND_LINE, client_name
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, forgetting
from madvision_assets.tools.database.intakes import Intakes
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.dispatch import Dispatcher
from madvision_assets.work.quotas import Quotas
from madvision_assets_tests.databases import KINDS, Clock, get, new_database

GREEDY, MODEST = client_name("192.0.2.1", "salt"), client_name("192.0.2.2", "salt")
ALL = Taken(media_s=600.0)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


class House:
    """Queue, shares and dispatcher on one database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = Clock()
        self.database = database
        self.queue = Queue(database, now=self.clock)
        self.quotas = Quotas(database, QuotaRules(size_bytes=1000, minutes=10), self.clock)
        store = ObjectStore.from_url((folder / "store").as_uri())
        self.dispatcher = Dispatcher(self.queue, store, 4, gates=(self.quotas.check_video,))

    def submit(self, submitter: str | None, *names: str) -> None:
        """As somebody."""
        wanted = (Video(video_id=f"web-{name}", address=f"https://x.example/{name}") for name in names)
        Submissions(self.database, self.clock).add([NewSubmission(each, submitter=submitter) for each in wanted])

    def launched(self) -> set[str]:
        """In one tick."""
        return {launch.row.video_id.removeprefix("web-") for launch in self.dispatcher.launches()}


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with new_database(request.param, request, tmp_path) as database:
        database.migrate()
        yield House(database, tmp_path)


@pytest.mark.parametrize("taken", [ALL, Taken(size_bytes=1000)], ids=["minutes", "bytes"])
def test_what_was_queued_before_the_share_was_used_up_waits_for_midnight_and_fails_not(
    house: House, taken: Taken
) -> None:
    house.submit(GREEDY, "paid", "later")
    house.quotas.note("web-paid", taken)

    assert house.launched() == set()

    row = get(house.queue, "web-later")
    assert (row.status, row.failure_cause, row.retry) == (QueueStatus.WAITING, "quota_spent", 0)
    assert row.next_attempt_at == MIDNIGHT
    assert next_step(QuotaSpentError()) is NextStep.WAIT
    house.clock.now = MIDNIGHT
    assert house.launched() == {"paid", "later"}


def test_a_flood_of_one_client_leaves_its_place_to_the_next_one_in_the_same_tick(house: House) -> None:
    house.submit(GREEDY, *(f"flood-{n}" for n in range(30)))
    house.clock.move(1)
    house.submit(MODEST, "next")
    house.submit(COMMAND_LINE, "own")
    house.quotas.note("web-flood-0", ALL)

    assert house.launched() == {"next", "own"}


def test_whoever_has_something_left_pays_for_a_video_that_others_wanted_too(house: House) -> None:
    house.submit(GREEDY, "paid", "shared")
    house.quotas.note("web-paid", ALL)
    assert house.launched() == set()

    house.clock.move(1)
    house.submit(MODEST, "shared")
    assert house.launched() == {"shared"}
    house.quotas.note("web-shared", Taken(media_s=60.0))

    since = MIDNIGHT - timedelta(days=1)
    assert Intakes(house.database).taken(MODEST, since) == Taken(media_s=60.0)
    assert Intakes(house.database).taken(GREEDY, since) == ALL


def test_whoever_asks_again_for_what_failed_for_another_pays_for_it_himself(house: House) -> None:
    house.submit(MODEST, "shared")
    house.clock.move(1)
    house.submit(GREEDY, "shared")
    house.quotas.note("web-shared", Taken(media_s=60.0))

    since = MIDNIGHT - timedelta(days=1)
    assert Intakes(house.database).taken(GREEDY, since) == Taken(media_s=60.0)
    assert Intakes(house.database).taken(MODEST, since) == Taken()


@pytest.mark.parametrize("submitter", [COMMAND_LINE, None], ids=["the operator's", "of an older version"])
def test_what_is_no_clients_is_nobodys_share(house: House, submitter: str | None) -> None:
    house.submit(submitter, "own")
    house.quotas.note("web-own", ALL)
    house.quotas.note("web-own", ALL)

    assert house.launched() == {"own"}


def test_without_limits_nothing_is_counted_or_kept(house: House) -> None:
    house.submit(GREEDY, "any")
    unlimited = Quotas(house.database, QuotaRules(), house.clock)
    unlimited.note("web-any", ALL)

    unlimited.check_video("web-any")
    assert Intakes(house.database).taken(GREEDY, MIDNIGHT - timedelta(days=9)) == Taken()


def test_what_was_taken_in_is_forgotten_with_the_video_and_after_two_days(house: House) -> None:
    house.submit(GREEDY, "a", "b")
    house.quotas.note("web-a", Taken(media_s=1.0))
    house.quotas.note("web-b", Taken(media_s=2.0))
    with forgetting.held(house.database, ["web-a"]) as held:
        held.delete_rows(["web-a"])
    assert Intakes(house.database).taken(GREEDY, MIDNIGHT - timedelta(days=1)).media_s == 2.0

    house.clock.now = MIDNIGHT + timedelta(days=1)
    house.quotas.sweep()

    assert Intakes(house.database).taken(GREEDY, MIDNIGHT - timedelta(days=9)) == Taken()
