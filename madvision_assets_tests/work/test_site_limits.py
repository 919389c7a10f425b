"""Claims about how many videos of one site are downloaded at once, over all workers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.sources import Sources
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.dispatch import Dispatcher
from madvision_assets.work.site_limits import SiteLimits
from madvision_assets_tests.databases import KINDS, Clock, get, history, new_database

RAW = PipelineStep.RAW_VIDEO
TWO_AT_ONCE = {"site": [{"hosts": ["busy.example"], "max_downloads": 2}]}


class House:
    """Queue and dispatcher on one database."""

    def __init__(self, database: Database, folder: Path, said: Mapping[str, object] = TWO_AT_ONCE) -> None:
        self.clock = Clock()
        self.database = database
        self.queue = Queue(database, now=self.clock)
        store = ObjectStore.from_url((folder / "store").as_uri())
        sites = SiteLimits(database, self.queue, Sources.model_validate(said))
        self.dispatcher = Dispatcher(self.queue, store, 4, gates=(sites.check,), full=sites.full)

    def submit(self, host: str, *names: str) -> None:
        """Videos of a host."""
        wanted = (Video(video_id=f"web-{name}", address=f"https://{host}/{name}") for name in names)
        Submissions(self.database, self.clock).add([NewSubmission(each) for each in wanted])
        self.clock.move(1)

    def launched(self) -> list[str]:
        """In one tick."""
        return sorted(launch.row.video_id.removeprefix("web-") for launch in self.dispatcher.launches())


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with new_database(request.param, request, tmp_path) as database:
        database.migrate()
        yield House(database, tmp_path)


def test_no_more_of_a_site_than_its_bound_are_downloaded_and_others_go_on_in_their_place(house: House) -> None:
    house.submit("busy.example", "a", "b", "c", "d", "e")
    house.submit("www.busy.example", "f")
    house.submit("quiet.example", "q")

    assert house.launched() == ["a", "b", "q"]

    row = get(house.queue, "web-c")
    assert (row.status, row.failure_cause, row.retry) == (QueueStatus.WAITING, "site_busy", 0)


def test_one_that_has_come_leaves_its_place_to_the_next(house: House) -> None:
    house.submit("busy.example", "a", "b", "c")
    house.launched()
    house.queue.begin("web-a", "run", 1, RAW)
    house.queue.finish_step("web-a", "run", RAW, ends=False, made=None)
    house.clock.move(60)

    assert house.launched() == ["c"]


def test_whoever_waits_for_a_full_site_is_not_tried_again_and_again(house: House) -> None:
    house.submit("busy.example", *(f"v{n}" for n in range(9)))
    house.launched()
    for _ in range(20):
        house.clock.move(60)
        assert house.launched() == []

    assert sum(len(history(house.database, f"web-v{n}")) for n in range(9)) <= 9


def test_without_a_bound_nothing_is_looked_up(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with new_database("sqlite", request, tmp_path) as database:
        database.migrate()
        house = House(database, tmp_path, {"site": [{"hosts": ["busy.example"]}]})
        house.submit("busy.example", "a", "b", "c")

        assert house.launched() == ["a", "b", "c"]
