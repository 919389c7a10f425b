"""Claims about the catalogue: it says what the views say, at the cost of what has changed, whole at every moment."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import null, select, update

from madvision_assets.domain.catalogue import COSTS, FORGOTTEN, TABLES, Manifest, cut_up, value_of
from madvision_assets.domain.failures import NewerDocumentError
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.tombstones import tombstone_key
from madvision_assets.domain.video import Video
from madvision_assets.tools import parquet
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.asking import asked
from madvision_assets.tools.database.catalogue import Notebook
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.statements import Told, insert_lineage
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import installation, lineage, paid_calls
from madvision_assets.tools.store.catalogue import Shelf
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import catalogue, forgetting
from madvision_assets.work.catalogue import Catalogue, Updated, read
from madvision_assets_tests import stores
from madvision_assets_tests.databases import KINDS, emptied, new_database, submit
from madvision_assets_tests.lineage.history import write_history

NOW = datetime.now(UTC)
TOMORROW = NOW + timedelta(days=1)
WRITES = 40  # an update of these few videos makes fewer


class KilledError(BaseException):
    """Nobody handles it."""


class FragileStore(ObjectStore):
    """A store whose user is killed at one of its writes; or where something happens first."""

    left = -1
    then: Callable[[str], None] | None = None

    def put_bytes(self, key: str, data: bytes, **told: Any) -> bool:
        """As ever, if it comes to that."""
        self._come_to(key)
        return super().put_bytes(key, data, **told)

    def delete(self, keys: Any) -> None:
        """Likewise."""
        self._come_to("")
        super().delete(keys)

    def _come_to(self, key: str) -> None:
        if self.left == 0:
            raise KilledError
        self.left -= 1
        if self.then:
            self.then(key)


class Nobody:
    """Dagster, which has nothing of these videos."""

    def in_flight(self, _video_ids: Any) -> frozenset[str]:
        """None of them."""
        return frozenset()

    def delete(self, video_ids: Any) -> None:
        """They are not there."""


class Place:
    """A database with a history, and a store."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.store = ObjectStore.from_url((folder / "store").as_uri())
        self.catalogue = Catalogue(database, self.store)

    def fragile(self) -> FragileStore:
        """The same store, whose user can be killed."""
        return FragileStore.from_url((self.folder / "store").as_uri())

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What the catalogue has, in one order."""
        return in_order(row for part in read(self.store, table) for row in part.to_pylist())

    def ids(self) -> list[str]:
        """The videos that the catalogue has."""
        return [row["video_id"] for row in self.rows("videos")]

    def make(self, video_id: str, run_id: str, row_id: int | None = None, at: datetime = NOW) -> None:
        """Another materialisation: a download by this run."""
        recipe = Recipe(engine="test")
        raw = stores.raw_video().model_copy(update={"video_id": video_id, "provenance": None})
        made = raw.seal(recipe, run_id=run_id, code_version="1", inputs=(), wall_s=1.5, created_at=at)
        statement: Any = insert_lineage(Told(video_id, made.origin, "memory://x", {}), sqlite=self.database.is_sqlite)
        with self.database.writing() as connection:
            connection.execute(statement if row_id is None else statement.values(id=row_id))

    def forget(self, *video_ids: str) -> None:
        """All that is kept of them."""
        for _ in forgetting.forget(self.database, self.store, self.folder / "work", Nobody(), video_ids):
            pass

    def part_of(self, video_id: str, table: str = "videos") -> str:
        """Key of the file that has a video."""
        (key,) = (
            part.key
            for part in self.state.parts[table].values()
            if video_id in parquet.values(parquet.read(self.store.get_bytes(part.key), part.key), "video_id")
        )
        return key

    @property
    def state(self) -> Manifest:
        """That counts."""
        state = self.catalogue.current()
        assert state is not None
        return state

    def check_whole(self) -> None:
        """It says what the views say, and its folder holds nothing else."""
        for table in set(TABLES) - {FORGOTTEN}:
            assert_same(self, table)
        manifest = f"catalogue/.manifests/{self.state.number:08d}.json"
        assert set(self.store.list_keys("catalogue")) == self.state.keys() | {manifest}


def in_order(rows: Any) -> list[dict[str, Any]]:
    return sorted(rows, key=repr)


def assert_same(place: Place, table: str) -> None:
    """A table says what its view says."""
    kinds = {column.name: column.kind for column in TABLES[table]}
    name = "v_videos" if table == "videos" else table
    with asked(place.database, f"SELECT * FROM {name}") as found:  # noqa: S608 - one of ours
        told = [
            {name: value_of(kinds[name], value) for name, value in zip(found.columns, row, strict=True)}
            for row in found.rows
        ]
    kept = [{name: row[name] for name in found.columns} for row in place.rows(table)]
    assert in_order(kept) == in_order(told), table


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def place(migrated: Database, tmp_path: Path) -> Place:
    write_history(emptied(migrated))
    return Place(migrated, tmp_path)


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two videos are a part."""
    monkeypatch.setattr(catalogue, "cut_up", partial(cut_up, size=2))


def test_it_says_what_the_views_say_and_what_nothing_has_changed_of_is_not_written(place: Place) -> None:
    first = place.catalogue.update()
    place.check_whole()
    assert (first.is_anew, first.videos) == (True, 3)

    again = place.catalogue.update()

    assert (again.is_anew, again.files, again.state) == (False, 0, first.state)
    place.check_whole()


@pytest.mark.whole
def test_in_a_bucket_it_is_kept_as_in_a_folder(place: Place, request: pytest.FixtureRequest) -> None:
    place.store = stores.make_store("s3", request, place.folder)
    place.catalogue = Catalogue(place.database, place.store)
    place.catalogue.update()
    place.make("web-a", "run-again")
    place.catalogue.update()

    place.forget("web-b")

    assert place.ids() == ["web-a", "web-c"]
    place.check_whole()


@pytest.mark.usefixtures("of_two")
def test_only_the_parts_of_what_has_changed_are_written_anew(place: Place) -> None:
    for number in range(10):
        submit(place.database, number, at=TOMORROW + timedelta(seconds=number))
    place.catalogue.update()
    before = place.state
    assert len(before.parts["videos"]) > 5

    place.make("web-a", "run-again")
    updated = place.catalogue.update()

    assert updated.rows_read < 100
    changed = {table for table in TABLES if before.parts[table] != place.state.parts[table]}
    assert changed == {"videos", "materialisations", "timings"}
    assert len(place.state.keys() - before.keys()) == len(changed)
    assert {place.part_of("web-9")} <= before.keys()
    place.check_whole()


@pytest.mark.usefixtures("of_two")
def test_new_videos_fill_the_last_part_and_begin_another(place: Place) -> None:
    place.catalogue.update()
    bounds = len(place.state.bounds)
    for number in range(5):
        submit(place.database, number, at=TOMORROW + timedelta(seconds=number))
        place.catalogue.update()

    assert len(place.ids()) == 8
    assert len(place.state.bounds) == bounds + 2
    assert max(part.rows for part in place.state.parts["videos"].values()) == 2
    place.check_whole()


def test_what_is_queued_cancelled_tried_and_paid_since_is_seen(place: Place) -> None:
    place.catalogue.update()
    queue = Queue(place.database)
    submit(place.database, 1, 2, 3, at=datetime.now(UTC))
    place.catalogue.update()
    place.check_whole()

    queue.cancel("web-1")
    queue.begin("web-2", "run-2", None, PipelineStep.RAW_VIDEO)
    reserved = {"state": "reserved", "expires_at": NOW + timedelta(days=2)}
    with place.database.writing() as connection:
        told = connection.execute(select(paid_calls).order_by(paid_calls.c.id.desc())).mappings().first()
        assert told is not None
        call = told["id"] + 5
        connection.execute(paid_calls.insert().values(**{**told, "id": call, **reserved}))
    place.catalogue.update()
    with place.database.writing() as connection:
        connection.execute(update(paid_calls).where(paid_calls.c.id == call).values(state="settled", cost_usd=0.125))
    place.catalogue.update()

    place.check_whole()
    assert {row["id"]: row["cost_usd"] for row in place.rows(COSTS)}[call] == 0.125


def test_what_is_written_late_below_the_newest_id_is_seen(place: Place) -> None:
    place.catalogue.update()
    newest = max(row["id"] for row in place.rows("materialisations"))
    place.make("web-a", "run-late-0", newest + 20)
    place.catalogue.update()
    place.make("web-a", "run-late-1", newest + 10)  # its transaction began earlier, and took longer

    place.catalogue.update()

    place.check_whole()
    assert {row["run_id"] for row in place.rows("materialisations")} >= {"run-late-0", "run-late-1"}


def test_what_is_summarised_later_is_seen(place: Place) -> None:
    with place.database.writing() as connection:
        told = connection.execute(select(lineage.c.id, lineage.c.summary).where(lineage.c.asset == "clips")).all()
        connection.execute(lineage.update().values(summary=null()))
    place.catalogue.update()
    assert place.rows("clips") == []
    with place.database.writing() as connection:
        for row_id, summary in told:
            connection.execute(lineage.update().where(lineage.c.id == row_id).values(summary=summary))

    place.catalogue.update()

    assert len(place.rows("clips")) == 5


def test_what_is_forgotten_is_in_no_file_any_more_but_its_tombstone_and_what_was_paid(place: Place) -> None:
    place.catalogue.update()
    paid = sum(row["cost_usd"] for row in place.rows(COSTS))

    place.forget("web-b")

    assert place.ids() == ["web-a", "web-c"]
    place.check_whole()
    for table in set(TABLES) - {FORGOTTEN}:
        assert "web-b" not in json.dumps(place.rows(table), default=str), table
    (buried,) = place.rows(FORGOTTEN)
    assert (buried["video_key"], buried["documents"]) == (tombstone_key("web-b"), 7)
    assert sum(row["cost_usd"] for row in place.rows(COSTS)) == paid
    place.catalogue.update()
    assert notes(place) == []


def notes(place: Place) -> list[str]:
    """What is still noted of what was forgotten."""
    with place.database.reading() as connection:
        names = connection.execute(select(installation.c.name)).scalars().all()
    return [name for name in names if name.startswith("catalogue/")]


def test_a_video_that_is_submitted_again_after_it_was_forgotten_is_another_one(place: Place) -> None:
    place.catalogue.update()
    place.forget("web-b", "web-c")
    Submissions(place.database).add([NewSubmission(Video(video_id="web-b", address="http://b.example/b"))])
    place.make("web-b", "run-anew")

    place.catalogue.update()

    assert place.ids() == ["web-a", "web-b"]
    place.check_whole()


def test_an_id_that_sqlite_gives_a_second_time_is_looked_at_a_second_time(place: Place) -> None:
    place.make("web-b", "run-last")
    place.catalogue.update()
    place.forget("web-b")
    place.make("web-a", "run-with-its-id")

    place.catalogue.update()

    assert "run-with-its-id" in {row["run_id"] for row in place.rows("materialisations")}
    place.check_whole()


def test_without_a_catalogue_nothing_is_noted_of_what_is_forgotten(place: Place) -> None:
    place.forget("web-b")

    with place.database.reading() as connection:
        names = connection.execute(select(installation.c.name)).scalars().all()
    assert [name for name in names if name.startswith("catalogue")] == []
    assert list(place.store.list_keys("catalogue")) == []


def test_forgetting_that_broke_off_is_made_good(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.catalogue.update()

    def killed(_: Catalogue) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "erase", killed)
        with pytest.raises(KilledError):
            place.forget("web-b")
    assert "web-b" in place.ids()

    done = place.catalogue.erase()

    assert done is not None
    assert place.ids() == ["web-a", "web-c"]
    assert place.catalogue.erase() is None
    assert notes(place) == []


def test_whoever_takes_out_what_was_forgotten_and_is_killed_before_he_has_tidied_up_is_made_good(place: Place) -> None:
    place.catalogue.update()
    lost = place.part_of("web-b")
    store = place.fragile()
    store.then = lambda key: setattr(store, "left", 0) if "/.manifests/" in key else None
    with pytest.raises(KilledError):
        for _ in forgetting.forget(place.database, store, place.folder / "work", Nobody(), ["web-b"]):
            pass
    assert place.store.exists(lost)

    place.catalogue.erase()

    assert not place.store.exists(lost)
    assert place.ids() == ["web-a", "web-c"]
    place.check_whole()


@pytest.mark.usefixtures("of_two")
def test_whoever_is_killed_anywhere_leaves_a_whole_state_and_nothing_once_somebody_goes_on(place: Place) -> None:
    place.catalogue.update()
    for after in range(WRITES):
        place.make("web-a", f"run-again-{after}")
        before = len(place.rows("materialisations"))
        store = place.fragile()
        store.left = after
        with suppress(KilledError):
            Catalogue(place.database, store).update()
            break
        told = place.rows("materialisations")
        newer = {row["run_id"] for row in told if row["run_id"].startswith("run-again-")}
        assert newer == {f"run-again-{n}" for n in range(len(newer))}
        assert before <= len(told) == 15 + len(newer)
        assert place.ids() == ["web-a", "web-b", "web-c"]
    else:
        pytest.fail("it was killed at every write")

    assert after > 6
    place.catalogue.update()
    Catalogue(place.database, place.store, lambda: NOW + timedelta(hours=7)).update()
    place.check_whole()


def test_of_two_updates_at_once_the_later_one_begins_again(place: Place) -> None:
    place.catalogue.update()
    place.make("web-a", "run-1")
    store = place.fragile()
    others: list[Updated] = []

    def then(key: str) -> None:
        if "/.manifests/" in key and not others:
            place.make("web-b", "run-2")
            others.append(place.catalogue.update())

    store.then = then
    done = Catalogue(place.database, store).update()

    assert (others[0].state, done.state) == (place.state, place.state)
    place.check_whole()


def test_an_update_that_was_taken_for_dead_begins_again(place: Place) -> None:
    place.catalogue.update()
    place.make("web-a", "run-1")
    store = place.fragile()
    later = NOW + timedelta(hours=7)

    def then(key: str) -> None:
        if key.endswith(".parquet") and store.then:
            store.then = None
            Shelf(place.store).sweep(place.state, later)

    store.then = then
    Catalogue(place.database, store).update()

    place.check_whole()


def test_many_updates_at_once_leave_what_the_views_say(place: Place) -> None:
    def work(number: int) -> None:
        place.make("web-a", f"run-{number}")
        Catalogue(place.database, place.store).update()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(6)))
    place.catalogue.update()

    place.check_whole()


def test_a_reader_whose_part_is_replaced_reads_the_next_state(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.catalogue.update()
    get = ObjectStore.get_bytes
    happened: list[str] = []

    def get_bytes(store: ObjectStore, key: str) -> bytes:
        if key.endswith(".parquet") and not happened:
            happened.append(key)
            place.make("web-a", "run-meanwhile")
            place.catalogue.update()
        return get(store, key)

    monkeypatch.setattr(ObjectStore, "get_bytes", get_bytes)

    assert "run-meanwhile" in {row["run_id"] for row in place.rows("materialisations")}
    assert happened


@pytest.mark.parametrize("states", [1, 2])
def test_after_a_restore_of_the_database_it_is_made_anew(place: Place, states: int) -> None:
    place.catalogue.update()
    mine = installation.c.name == "catalogue"
    with place.database.reading() as connection:
        counted = connection.execute(select(installation.c.value).where(mine)).scalar_one()
    for number in range(states):
        place.make("web-a", f"run-{number}")
        place.catalogue.update()
    with place.database.writing() as connection:  # as it was when the first state counted
        connection.execute(lineage.delete().where(lineage.c.run_id.like("run-_")))
        connection.execute(update(installation).where(mine).values(value=counted))

    assert place.catalogue.update().is_anew
    place.check_whole()


def test_after_the_store_was_lost_it_is_made_anew(place: Place) -> None:
    for number in range(3):
        place.make("web-a", f"run-{number}")
        place.catalogue.update()
    place.store.delete(list(place.store.list_keys("catalogue")))

    assert [place.catalogue.update().is_anew, place.catalogue.update().is_anew] == [True, False]
    place.check_whole()


def test_whoever_is_killed_before_the_database_knows_of_his_state_has_not_worked_in_vain(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.catalogue.update()
    place.make("web-a", "run-1")

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Notebook, "count", killed)
        with pytest.raises(KilledError):
            place.catalogue.update()

    again = place.catalogue.update()

    assert (again.is_anew, again.files) == (False, 0)
    place.check_whole()


def test_a_damaged_one_is_made_anew_and_one_of_a_newer_version_is_left_alone(place: Place) -> None:
    place.catalogue.update()
    manifest = f"catalogue/.manifests/{place.state.number:08d}.json"
    place.store.put_bytes(manifest, b"{")
    assert place.catalogue.update().is_anew
    place.check_whole()

    newer = f"catalogue/.manifests/{place.state.number + 1:08d}.json"
    place.store.put_bytes(newer, b'{"schema_version": 999}')
    with pytest.raises(NewerDocumentError):
        place.catalogue.update()
    assert place.catalogue.erase() is None
    assert place.catalogue.update(anew=True).is_anew
    place.check_whole()


def test_without_one_nothing_can_be_read(place: Place) -> None:
    with pytest.raises(LookupError, match="no catalogue yet"):
        read(place.store, "videos")
    with pytest.raises(LookupError, match="tables of the catalogue"):
        read(place.store, "address")
    assert Shelf(place.store).current() is None
