"""Claims about a person's version in place of a stage's: it counts and is rendered, or all is as it was."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import create_engine, select, text

from madvision_assets.domain.clip_edits import ENGINE
from madvision_assets.domain.clips import ClipCandidates
from madvision_assets.domain.failures import (
    DatabaseUnavailableError,
    StoreDeniedError,
    StoreUnavailableError,
    UnknownVideoError,
)
from madvision_assets.domain.queue import PERSONS_LEASE_S, QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.domain.wanted_edits import Edit
from madvision_assets.tools.database import Database, leases
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.replacements import Replacements, new_run
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import webhook_deliveries
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets.tools.store.documents import current_version, read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.editing import Editing
from madvision_assets.work.replacing import BusyError, OutdatedError
from madvision_assets.work.sweeping import WithdrawnSweeper
from madvision_assets_tests import editing
from madvision_assets_tests.databases import KINDS, Clock, emptied, made, new_database, shut_breakers, url_of
from madvision_assets_tests.work.test_forgetting import Partitions

VIDEO_ID = "web-a"
CHOSEN, CUT = PipelineStep.CLIP_CANDIDATES, PipelineStep.CLIPS
POINTER = f"{CHOSEN.value}/{VIDEO_ID}/current.json"
EDITS: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])
Act = Callable[[str], object]


def nothing(_: str) -> None:
    """Do nothing."""


class Store(ObjectStore):
    """A store in a folder, at whose acts a test can do something first, such as fail."""

    on_read: Act = staticmethod(nothing)
    on_write: Act = staticmethod(nothing)

    def get_bytes(self, key: str) -> bytes:
        """As the store has it."""
        self.on_read(key)
        return super().get_bytes(key)

    def put_bytes(self, key: str, data: bytes, **how: Any) -> bool:
        """As the store does."""
        self.on_write(key)
        return super().put_bytes(key, data, **how)


class Place:
    """A video whose clips are made, and what is tried on it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.store = Store.from_url((folder / "store").as_uri())
        self.queue = Queue(database)
        self.operations = Operations(database)
        video = Video(video_id=VIDEO_ID, address="https://example.org/a")
        wanted = [NewSubmission(video, callback_url="https://example.org/hook")]
        (receipt,) = Submissions(database).add(wanted)
        self.token = receipt.token
        editing.published(self.store, VIDEO_ID)
        for name in ("a.mp4", "a.flac"):
            self.store.put_bytes(f"media/{VIDEO_ID}/{name}", b"1")
        self.queue.begin(VIDEO_ID, "run", None, CUT)
        self.queue.finish_step(VIDEO_ID, "run", CUT, ends=True, made=made(VIDEO_ID))

    def change(self, title: str = "Another", *, version: str | None = None, patience_s: float = 0.3) -> Any:
        """Another title for the first clip."""
        retitle = {"change": "retitle", "clip": 1, "title": title}
        return self.make(retitle, version=version, patience_s=patience_s)

    def make(self, edit: dict[str, Any], *, version: str | None = None, patience_s: float = 0.3) -> Any:
        """A change, of whichever kind."""
        maker = Editing(self.store, self.database, self.queue, patience_s)
        return maker.make(VIDEO_ID, EDITS.validate_python([edit]), version=version, who="ada")

    def row(self) -> QueueRow:
        """The video's."""
        row = self.queue.get(VIDEO_ID)
        assert row is not None
        return row

    def title(self) -> str:
        """Of the first clip, in the version that counts."""
        return read_current(self.store, ClipCandidates, VIDEO_ID).candidates[0].title

    def told(self) -> list[tuple[int, str]]:
        """Attempt and status of each callback."""
        query = select(webhook_deliveries.c.attempt, webhook_deliveries.c.status).order_by(webhook_deliveries.c.id)
        with self.database.reading() as connection:
            return [(attempt, status) for attempt, status in connection.execute(query)]

    def render(self) -> None:
        """What the queue does next: it claims the video, and a run makes the clips."""
        (claimed,) = self.queue.claim_due(1)
        self.queue.begin(VIDEO_ID, "run-2", claimed.attempt, CUT)
        self.queue.finish_step(VIDEO_ID, "run-2", CUT, ends=True, made=made(VIDEO_ID))


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def place(migrated: Database, tmp_path: Path) -> Place:
    return Place(emptied(migrated), tmp_path)


def test_what_a_person_publishes_is_queued_in_the_same_moment_and_told_once_when_it_is_rendered(place: Place) -> None:
    (done,) = place.told()

    place.change()

    row = place.row()
    assert (row.status, row.pipeline_step, row.from_step) == (QueueStatus.QUEUED, CUT, CUT)
    assert (row.finished_at, row.message) == (None, "")
    assert place.told() == [done], "nothing is rendered yet"
    place.render()
    assert place.row().status is QueueStatus.DONE
    assert place.told() == [done, (place.row().attempt, "done")]


def test_whatever_breaks_off_the_queue_is_told_of_no_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # nothing runs after the version counts
        patch.setattr(Queue, "finish_step", killed)
        with pytest.raises(KeyboardInterrupt):
            place.change()

    row = place.row()
    assert (place.title(), row.status) == ("Another", QueueStatus.RUNNING), "its lease runs out, and the rest is done"
    assert len(place.told()) == 1


def test_the_store_is_not_waited_for_in_a_transaction_nor_a_second_connection_asked_for(place: Place) -> None:
    aside = Database(url_of(place.database))
    if not place.database.is_sqlite:
        alone = create_engine(place.database.engine.url, pool_size=1, max_overflow=0, pool_timeout=2)
        place.database.engine.dispose()
        place.database = Database(url_of(place.database))
        place.database.__dict__["engine"] = alone
        place.queue = Queue(place.database)
    looks: list[str] = []

    def nobody_holds_the_row(key: str) -> None:
        with aside.writing() as connection:
            if not aside.is_sqlite:
                connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            leases.lock(connection, VIDEO_ID)
        looks.append(key)

    place.store.on_read = nobody_holds_the_row
    place.store.on_write = nobody_holds_the_row

    place.change()

    assert POINTER in looks
    assert place.row().status is QueueStatus.QUEUED
    aside.engine.dispose()
    if not place.database.is_sqlite:
        place.database.engine.dispose()


@pytest.mark.parametrize("failure", [StoreDeniedError("put"), StoreUnavailableError("put"), RuntimeError("a bug")])
def test_where_nothing_comes_of_it_the_video_is_as_it_was_and_no_breaker_hears(
    place: Place, failure: Exception
) -> None:
    before, told = place.row(), place.told()

    def fail(_: str) -> None:
        raise failure

    place.store.on_write = fail
    for _ in range(6):
        with pytest.raises(type(failure)):
            place.change(patience_s=0.05)

    row = place.row()
    assert row.model_copy(update={"attempt": before.attempt}) == before
    assert (place.told(), shut_breakers(place.database)) == (told, {})
    last = place.operations.history(VIDEO_ID)[-1]
    assert (last.status, last.ended_at is None) == ("done", False)
    place.store.on_write = nothing
    place.change()
    assert place.row().status is QueueStatus.QUEUED


def test_one_who_submits_a_video_that_is_put_back_is_told_of_its_end(place: Place) -> None:
    def submit_and_fail(_: str) -> None:
        video = Video(video_id=VIDEO_ID, address="https://example.org/a")
        Submissions(place.database).add([NewSubmission(video, callback_url="https://example.org/other")])
        raise StoreDeniedError("put")

    place.store.on_write = submit_and_fail
    with pytest.raises(StoreDeniedError):
        place.change()

    assert [status for _, status in place.told()] == ["done", "done"]


def test_a_version_that_counts_is_rendered_also_where_the_queue_could_not_be_told_at_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Queue.finish_step
    calls: list[Any] = []

    def away_at_first(queue: Queue, *arguments: Any, **named: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise DatabaseUnavailableError("restarting")
        if len(calls) == 2:  # it was told, and the answer was lost
            told(queue, *arguments, **named)
            raise DatabaseUnavailableError("restarting")
        told(queue, *arguments, **named)

    monkeypatch.setattr(Queue, "finish_step", away_at_first)

    place.change(patience_s=30)

    assert (place.row().status, place.row().from_step, place.title()) == (QueueStatus.QUEUED, CUT, "Another")


def test_of_people_who_change_at_once_one_is_taken_and_the_others_are_told_that_theirs_are_outdated(
    place: Place,
) -> None:
    version = current_version(place.store, CHOSEN, VIDEO_ID)

    def try_it(number: int) -> str:
        try:
            place.change(f"Title {number}", version=version, patience_s=20)
        except OutdatedError:
            return ""
        return f"Title {number}"

    with ThreadPoolExecutor(6) as pool:
        came = [title for title in pool.map(try_it, range(6)) if title]

    assert came == [place.title()]
    assert (place.row().status, place.row().from_step) == (QueueStatus.QUEUED, CUT)


@pytest.mark.parametrize(
    "edit", [{"change": "retitle", "clip": 1, "title": "Another"}, {"change": "pictures", "captions": "bold"}]
)
def test_while_another_editor_s_changes_are_being_taken_all_others_are_outdated(
    place: Place, edit: dict[str, Any]
) -> None:
    assert Replacements(place.database).take(VIDEO_ID, place.row(), new_run(ENGINE))

    with pytest.raises(OutdatedError):
        place.make(edit)


def test_what_is_asked_for_between_a_look_and_the_taking_is_not_lost(place: Place) -> None:
    asked: list[str] = []

    def ask_once(key: str) -> None:
        if key.startswith(f"{CUT.value}/") and not asked:
            asked.append(key)
            place.operations.requeue(video_ids=[VIDEO_ID], from_step=PipelineStep.TRANSCRIPT)

    place.store.on_read = ask_once

    with pytest.raises(BusyError, match="moments anew"):
        place.change()

    assert asked
    assert place.row().from_step is PipelineStep.TRANSCRIPT


@pytest.mark.parametrize("key_part", [f"{CHOSEN.value}/{VIDEO_ID}/", "current.json"])
def test_what_its_submitter_deletes_while_it_is_changed_stays_deleted_with_all_that_was_written(
    place: Place, key_part: str
) -> None:
    clock = Clock()
    clock.now = datetime.now(UTC)

    def delete(key: str) -> None:
        if key_part in key:
            Withdrawals(place.database).withdraw(place.token)

    place.store.on_write = delete
    with pytest.raises(UnknownVideoError):
        place.change()
    assert place.row().failure_cause == "withdrawn"

    sweeper = WithdrawnSweeper(place.database, place.store, place.folder / "work")
    assert sweeper.sweep(Partitions()) == 0, "whoever changed it may still write"
    clock.move(PERSONS_LEASE_S + 600)
    assert Withdrawals(place.database, clock).given_up(10) == [VIDEO_ID]


def test_a_deleted_video_is_brought_back_by_a_new_submission_alone(place: Place) -> None:
    Withdrawals(place.database).withdraw(place.token)
    before = place.row()

    assert place.operations.requeue(video_ids=[VIDEO_ID], from_step=CUT) == 0
    assert place.operations.requeue(cause="withdrawn") == 0
    acts: tuple[Callable[[], object], ...] = (
        lambda: place.operations.restart(VIDEO_ID, CUT),
        lambda: place.queue.take(VIDEO_ID, lambda _: (CUT,), CUT),
        lambda: place.queue.begin(VIDEO_ID, "run-by-hand", None, CUT),
        place.change,
    )
    for act in acts:
        with pytest.raises(UnknownVideoError):
            act()
    assert place.row() == before
    assert Withdrawals(place.database).given_up(10) == [VIDEO_ID]

    Submissions(place.database).add([NewSubmission(Video(video_id=VIDEO_ID, address="https://example.org/a"))])
    assert place.row().status is QueueStatus.QUEUED
