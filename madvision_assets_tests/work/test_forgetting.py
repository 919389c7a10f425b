"""Claims about forgetting beside all that may move the same videos; on SQLite and PostgreSQL alike."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, select

from madvision_assets.domain.breakers import BreakerState
from madvision_assets.domain.failures import (
    BotCheckError,
    ForgottenVideoError,
    StoreUnavailableError,
    SupersededError,
    UnknownVideoError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.ended import Ended
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import metadata, tombstones
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import forgetting
from madvision_assets.work.forgetting import Forgotten
from madvision_assets_tests.databases import KINDS, emptied, made, new_database, shut_breakers
from madvision_assets_tests.stores import raw_video, sealed

pytestmark = pytest.mark.whole

RAW = PipelineStep.RAW_VIDEO
BLOCKED_S = 0.3
LIMIT_S = 30


@dataclass
class Partitions:
    """Dagster's, as far as forgetting asks for them; ``then`` happens when they are deleted."""

    busy: frozenset[str] = frozenset()
    deleted: set[str] = field(default_factory=set)
    then: Callable[[], None] = lambda: None

    def in_flight(self, video_ids: Collection[str]) -> frozenset[str]:
        """Those that are busy."""
        return self.busy.intersection(video_ids)

    def delete(self, video_ids: Collection[str]) -> None:
        """Note them."""
        self.deleted |= set(video_ids)
        self.then()


class Place:
    """Database, store and scratch folders."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.store = ObjectStore.from_url((folder / "store").as_uri())
        self.work = folder / "work"
        self.queue = Queue(database)
        self.operations = Operations(database)
        self.submissions = Submissions(database)
        self.partitions = Partitions()

    def submit(self, *names: str, callback_url: str | None = None) -> list[str]:
        """Queue videos."""
        wanted = [Video(video_id=f"web-{name}", address=f"https://example.org/{name}") for name in names]
        self.submissions.add([NewSubmission(video, callback_url=callback_url) for video in wanted])
        return [video.video_id for video in wanted]

    def keep(self, *video_ids: str) -> None:
        """Objects of videos."""
        for video_id in video_ids:
            for folder, name in (("raw_video", "a.json"), ("raw_video", "current.json"), ("media", "b.mp4")):
                self.store.put_bytes(f"{folder}/{video_id}/{name}", b"12345")

    def kept(self, video_id: str) -> int:
        """How many objects a video has."""
        return len([key for key in self.store.list_keys() if f"/{video_id}/" in key])

    def forget(self, *video_ids: str) -> Forgotten:
        """Forget these."""
        done = forgetting.forget(self.database, self.store, self.work, self.partitions, video_ids)
        return sum(done, Forgotten())

    def rows(self) -> int:
        """In all tables."""
        counts = [select(func.count()).select_from(table) for table in metadata.tables.values()]
        with self.database.reading() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)

    def status(self, video_id: str) -> QueueStatus | None:
        """Where a video stands."""
        row = self.queue.get(video_id)
        return row.status if row else None


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def place(migrated: Database, tmp_path: Path) -> Place:
    return Place(emptied(migrated), tmp_path)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_a_forgotten_video_leaves_a_tombstone_and_no_other_row_and_may_be_submitted_anew(place: Place) -> None:
    empty = place.rows()
    (video_id,) = place.submit("a", callback_url="https://example.org/hook")
    place.queue.begin(video_id, "run", None, PipelineStep.CLIPS)
    place.queue.finish_step(video_id, "run", PipelineStep.CLIPS, ends=True, made=made(video_id))
    place.keep(video_id)

    assert place.forget(video_id, video_id) == Forgotten(videos=1, objects=3, size_bytes=15)

    assert place.rows() == empty + 1
    assert place.partitions.deleted == {video_id}
    assert place.forget(video_id) == Forgotten()
    assert place.submit("a") == [video_id]
    assert place.database.get_video(video_id).video_id == video_id
    assert place.database.lineage_of(video_id) == []


def test_a_tombstone_says_when_by_whom_and_how_much_and_nothing_of_the_video(place: Place) -> None:
    (by_operator,), withdrawn = place.submit("a"), "web-b"
    (receipt,) = place.submissions.add([NewSubmission(Video(video_id=withdrawn, address="https://example.org/b"))])
    raw = raw_video().model_copy(update={"video_id": by_operator})
    place.queue.begin(by_operator, "run", None, RAW)
    place.database.add_lineage(sealed(raw, run_id="run"), "there")
    place.queue.finish_step(by_operator, "run", RAW, ends=True, made=made(by_operator))
    Withdrawals(place.database).withdraw(receipt.token)

    place.forget(by_operator, withdrawn)

    today = datetime.now(UTC).date().isoformat()
    told: list[str] = []
    for video_id in (by_operator, withdrawn):
        with pytest.raises(ForgottenVideoError) as caught:
            place.database.get_video(video_id)
        told.append(caught.value.details)
    assert told == [
        f"{by_operator}: forgotten on {today} by an operator, with 1 document",
        f"{withdrawn}: forgotten on {today} by whoever submitted it, with 0 documents",
    ]
    with place.database.reading() as connection:
        kept = [dict(row) for row in connection.execute(select(tombstones)).mappings()]
    assert {name for row in kept for name in row} == {"video_key", "forgotten_at", "forgotten_by", "documents"}
    assert [each for each in (by_operator, withdrawn, "example.org") if each in repr(kept)] == []
    place.submit("a")
    place.forget(by_operator)
    with pytest.raises(ForgottenVideoError, match="with 0 documents"):
        place.database.get_video(by_operator)


def test_what_runs_or_has_a_run_is_left_alone_with_all_it_has_and_the_rest_goes(place: Place) -> None:
    idle, running, launched = place.submit("a", "b", "c")
    place.keep(idle, running, launched, "web-leftover")
    lease = place.queue.begin(running, "run", None, RAW)
    place.partitions.busy = frozenset({launched, "web-launched-too"})

    done = place.forget(idle, running, launched, "web-leftover", "web-launched-too")

    assert done == Forgotten(2, 6, 30, frozenset({running, launched, "web-launched-too"}))
    assert [place.kept(each) for each in (idle, running, launched, "web-leftover")] == [0, 3, 3, 0]
    assert place.queue.beat(lease)
    assert place.status(launched) is QueueStatus.QUEUED
    with pytest.raises(UnknownVideoError):
        place.database.get_video("web-launched-too")


def test_more_than_are_held_at_once_are_told_as_they_go(place: Place) -> None:
    ids = place.submit(*(f"{n:03}" for n in range(40)))
    done = forgetting.forget(place.database, place.store, place.work, place.partitions, ids)

    at_once = 1 if place.database.is_sqlite else 16
    assert next(done).videos == at_once
    assert place.operations.extent(ids).known == set(ids[at_once:])
    assert [each.videos for each in done] == ([1] * 39 if place.database.is_sqlite else [16, 8])


def test_on_sqlite_others_write_between_the_videos_that_are_forgotten(place: Place, pool: ThreadPoolExecutor) -> None:
    if not place.database.is_sqlite:
        pytest.skip("PostgreSQL has a writer for each row: nobody waits there")
    first, second, running = place.submit("a", "b", "c")
    place.keep(first, second)
    [claimed] = [row for row in place.queue.claim_due(9) if row.video_id == running]
    for video_id in (first, second):
        row = place.queue.get(video_id)
        assert row is not None
        place.queue.release(video_id, row.attempt)
    lease = place.queue.begin(running, "run", claimed.attempt, RAW)
    beats: list[Future[bool]] = []
    waiting: list[int] = []

    def beat_meanwhile() -> None:
        waiting.append(sum(not beat.done() for beat in beats))
        beats.append(pool.submit(place.queue.beat, lease))
        time.sleep(BLOCKED_S)

    place.partitions.then = beat_meanwhile
    place.forget(first, second)

    assert waiting == [0, 0], "a sign of life waits for one video, and not for the next one too"
    assert all(beat.result(LIMIT_S) for beat in beats)


def test_a_store_that_goes_away_in_between_leaves_the_rows_and_it_can_be_run_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (video_id,) = place.submit("a")
    place.keep(video_id)

    def away(*_: object) -> None:
        raise StoreUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "delete", away)
        with pytest.raises(StoreUnavailableError):
            place.forget(video_id)
    assert place.status(video_id) is QueueStatus.QUEUED

    assert place.forget(video_id).videos == 1
    assert (place.status(video_id), place.kept(video_id)) == (None, 0)


def test_a_forgotten_video_that_probed_a_breaker_lets_another_one_try(place: Place) -> None:
    hit, probing = place.submit("a", "b")
    place.queue.begin(hit, "run-a", None, RAW)
    place.queue.fail(hit, "run-a", None, RAW, BotCheckError())
    place.queue.begin(probing, "run-b", None, RAW)
    with place.database.writing() as connection:  # its row is put back by somebody who knows nothing of breakers
        table = metadata.tables["video_processing_queue"]
        connection.execute(table.update().where(table.c.video_id == probing).values(status="queued"))
    assert shut_breakers(place.database)["host:example.org"].probe_video_id == probing

    assert place.forget(probing).videos == 1

    breaker = shut_breakers(place.database)["host:example.org"]
    assert (breaker.state, breaker.probe_video_id) == (BreakerState.OPEN, None)


# --- at the same moment ---


def while_held(place: Place, pool: ThreadPoolExecutor, act: Callable[[], object]) -> Future[object]:
    """Somebody acts while the last video is held, before its objects go; he does not get on until all of it is gone."""
    acting: list[Future[object]] = []
    place.partitions.deleted.clear()

    def then() -> None:
        if "web-left" not in place.partitions.deleted:
            return
        acting.append(pool.submit(act))
        with pytest.raises(TimeoutError):
            acting[0].result(BLOCKED_S)

    place.partitions.then = then
    place.forget("web-a", "web-b", "web-left")
    return acting[0]


def test_a_submission_meanwhile_comes_after_and_is_whole(place: Place, pool: ThreadPoolExecutor) -> None:
    place.submit("a")
    place.keep("web-a", "web-left")

    submitted = while_held(place, pool, lambda: place.submit("a", "left"))

    assert submitted.result(LIMIT_S) == ["web-a", "web-left"]
    for name in ("a", "left"):
        assert place.database.get_video(f"web-{name}").address == f"https://example.org/{name}"
        row = place.queue.get(f"web-{name}")
        assert row is not None
        assert (row.status, row.source, row.attempt) == (QueueStatus.QUEUED, "example.org", 0)
    assert place.operations.extent(["web-a", "web-left"]).tokens == 2


@pytest.mark.parametrize("queued", [True, False])
def test_who_begins_requeues_or_restarts_it_meanwhile_finds_nobody(
    place: Place, pool: ThreadPoolExecutor, queued: bool
) -> None:
    for act in (
        lambda: place.queue.begin("web-a", "by hand", None, RAW),
        lambda: place.operations.requeue(video_ids=["web-a"]),
        lambda: place.operations.restart("web-a"),
    ):
        if queued:
            place.submit("a")
        else:
            place.database.add_video("web-a", "https://example.org/a")
        place.keep("web-a")

        acting = while_held(place, pool, act)

        with pytest.raises(UnknownVideoError):
            acting.result(LIMIT_S)
        assert place.operations.extent(["web-a"]).rows == 0


def test_a_sensor_claims_none_of_them_and_the_archive_waits_for_none(place: Place, pool: ThreadPoolExecutor) -> None:
    place.submit("a", "other")
    place.submit("b")
    place.queue.begin("web-b", "run", None, PipelineStep.CLIPS)
    place.queue.finish_step("web-b", "run", PipelineStep.CLIPS, ends=True, made=made("web-b"))
    place.keep("web-a")
    claimed: list[str] = []
    archived: list[str] = []

    def archive() -> None:
        with Ended(place.database, datetime.now(UTC) + timedelta(days=1)).held(["web-b"]) as idle:
            archived.extend(idle)

    def then() -> None:
        if not place.database.is_sqlite:
            pool.submit(archive).result(LIMIT_S)
            claimed.extend(row.video_id for row in pool.submit(place.queue.claim_due, 9).result(LIMIT_S))

    place.partitions.then = then
    assert place.forget("web-a", "web-b").videos == 2
    claimed.extend(row.video_id for row in place.queue.claim_due(9))

    assert (claimed, archived) == (["web-other"], [])


def test_of_two_who_forget_the_same_one_does_it_and_tells_so(place: Place, pool: ThreadPoolExecutor) -> None:
    place.submit("a")
    place.keep("web-a", "web-left")

    def forget_too() -> Forgotten:
        done = forgetting.forget(place.database, place.store, place.work, Partitions(), ["web-a", "web-left"])
        return sum(done, Forgotten())

    second = while_held(place, pool, forget_too)

    assert second.result(LIMIT_S) == Forgotten()
    assert place.rows() == 1, "the tombstone"


def test_what_holds_a_row_first_is_waited_for_and_keeps_its_video(place: Place, pool: ThreadPoolExecutor) -> None:
    if place.database.is_sqlite:
        return  # one writes at a time there
    place.submit("a")
    place.keep("web-a")
    table = metadata.tables["video_processing_queue"]

    with place.database.writing() as connection:
        connection.execute(table.update().where(table.c.video_id == "web-a").values(status="running", attempt=1))
        second = pool.submit(place.forget, "web-a")
        with pytest.raises(TimeoutError):
            second.result(BLOCKED_S)

    assert second.result(LIMIT_S) == Forgotten(left_alone=frozenset({"web-a"}))
    assert place.kept("web-a") == 3


def test_a_place_that_was_only_taken_is_seen_by_nobody_and_given_back(place: Place) -> None:
    place.database.add_video("web-registered", "https://example.org/x")

    with held(place.database, ["web-nobody", "web-registered"]) as these:
        assert these.idle == {"web-nobody", "web-registered"}
        assert these.known == {"web-registered"}
        assert place.operations.counts() == []

    assert place.operations.extent(["web-nobody", "web-registered"]).rows == 1


class Crowd:
    """Workers, operators and submitters at the same few videos; each method is one thing that one of them does.

    A worker keeps an object while it has a lease, and looks for it before it gives the lease back.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.ids = [f"web-{n}" for n in range(8)]
        self.lost: list[str] = []
        self.errors: list[str] = []
        self.worked = self.forgotten = 0

    def work(self, chance: Random) -> None:
        """A run of the queue, or one by hand."""
        queue, run_id, attempt = self.place.queue, f"run-{chance.random()}", None
        video_id = chance.choice(self.ids)
        if chance.random() < 0.5:
            claimed = queue.claim_due(4)
            for row in claimed[1:]:
                queue.release(row.video_id, row.attempt)
            if not claimed:
                return
            video_id, attempt = claimed[0].video_id, claimed[0].attempt
        lease = queue.begin(video_id, run_id, attempt, RAW)
        key = f"raw_video/{video_id}/{run_id}.json"
        self.place.store.put_bytes(key, b"x")
        time.sleep(chance.random() / 100)  # it works
        if not self.place.store.exists(key) and queue.beat(lease):
            self.lost.append(key)
        queue.finish_step(video_id, run_id, RAW, ends=True, made=None)
        self.worked += 1

    def forget(self, chance: Random) -> None:
        """Some videos."""
        self.forgotten += self.place.forget(*chance.sample(self.ids, 5)).videos

    def submit(self, chance: Random) -> None:
        """Several at once."""
        self.place.submit(*(name.removeprefix("web-") for name in chance.sample(self.ids, 4)))

    def requeue(self, chance: Random) -> None:
        """Some that were never queued among them."""
        some = chance.sample(self.ids, 3)
        for video_id in some:
            self.place.database.add_video(video_id, "https://example.org/x")
        self.place.operations.requeue(video_ids=some)

    def repeat(self, act: Callable[[Random], None], seed: int) -> None:
        """Do it many times, and for as long as not everything has happened that the test is about."""
        chance = Random(seed)  # noqa: S311 - no secret
        until_s = time.monotonic() + LIMIT_S
        for times in count():
            if times >= 25 and ((self.worked and self.forgotten) or time.monotonic() > until_s):
                return
            try:
                act(chance)
            except (UnknownVideoError, SupersededError):
                continue
            except Exception as error:  # noqa: BLE001 - the test tells it
                self.errors.append(repr(error))


def test_whatever_meets_in_any_order_none_waits_for_ever_and_no_running_video_loses_an_object(place: Place) -> None:
    crowd = Crowd(place)
    acts = [crowd.work, crowd.work, crowd.forget, crowd.forget, crowd.submit, crowd.requeue]
    threads = [threading.Thread(target=crowd.repeat, args=(act, n), daemon=True) for n, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LIMIT_S)

    assert not any(thread.is_alive() for thread in threads)
    assert (crowd.errors, crowd.lost) == ([], [])
    assert crowd.worked > 0
    assert crowd.forgotten > 0
