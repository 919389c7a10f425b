"""Claims about the catalogue: it says what the views say, at the cost of what has changed, whole at every moment."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import null, select, update

from madvision_assets.domain.catalogue import COSTS, TABLES, Manifest
from madvision_assets.domain.failures import NewerDocumentError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.catalogue import Notebook
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.tables import installation, lineage, paid_calls
from madvision_assets.tools.store.catalogue import Shelf
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.catalogue import Catalogue, Updated, read
from madvision_assets_tests import stores
from madvision_assets_tests.catalogues import KilledError, Place, kill_before_it_counts
from madvision_assets_tests.databases import alter, submit

NOW = datetime.now(UTC)
TOMORROW = NOW + timedelta(days=1)
WRITES = 40  # an update of these few videos makes fewer


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


@pytest.mark.parametrize("change", ["requeued", "submitted again"])
def test_what_moves_in_the_queue_while_it_waits_is_seen(place: Place, change: str) -> None:
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    submit(place.database, 1, at=an_hour_ago)
    alter(place.database, "web-1", next_attempt_at=an_hour_ago, updated_at=an_hour_ago)
    place.catalogue.update()
    read_before = place.rows("videos")

    if change == "requeued":
        Operations(place.database).requeue(video_ids=["web-1"], from_step=PipelineStep.TRANSCRIPT, priority=5)
    else:
        submit(place.database, 1, priority=5, at=datetime.now(UTC))
    place.catalogue.update()

    (moved,) = (row for row in place.rows("videos") if row not in read_before)
    assert (moved["video_id"], moved["priority"]) == ("web-1", 5)
    place.check_whole()


def test_what_waits_and_does_not_move_is_not_read_again(place: Place) -> None:
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    submit(place.database, *range(30), at=an_hour_ago)
    place.catalogue.update()

    assert place.catalogue.update().rows_read < 30


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


@pytest.mark.usefixtures("of_two")
@pytest.mark.parametrize("anew", [False, True])
def test_whoever_is_overtaken_twice_before_he_writes_his_manifest_takes_nothing_from_others(
    place: Place, anew: bool
) -> None:
    place.catalogue.update()
    place.make("web-a", "run-1")
    store = place.fragile()
    others: list[Updated] = []

    def then(key: str) -> None:
        if "/.manifests/" in key and not others:  # of the next number; which is deleted by whoever is at the one after
            for number in range(2):
                place.make("web-c", f"run-of-another-{number}")
                others.append(place.catalogue.update())

    store.then = then
    Catalogue(place.database, store).update(anew=anew)

    assert len(others) == 2
    place.catalogue.update()
    place.check_whole()


def test_whoever_is_overtaken_before_he_has_tidied_up_takes_nothing_from_the_next_state(place: Place) -> None:
    place.catalogue.update()
    place.make("web-a", "run-1")
    store = place.fragile()
    others: list[Updated] = []

    def then(key: str) -> None:
        if not key and not others:  # he deletes what his state has replaced
            place.make("web-b", "run-2")
            others.append(place.catalogue.update())

    store.then = then
    done = Catalogue(place.database, store).update()

    assert (done.state.number, others[0].state.number) == (2, 3)
    assert place.state == others[0].state
    place.check_whole()


def test_whoever_is_overtaken_before_he_asks_the_database_does_not_make_it_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.catalogue.update()
    counting = Notebook.counting
    others: list[Updated] = []

    def overtaken(notebook: Notebook) -> list[str]:
        if not others:
            others.append(Updated(Manifest()))
            place.make("web-a", "run-1")
            others.append(place.catalogue.update())
        return counting(notebook)

    monkeypatch.setattr(Notebook, "counting", overtaken)

    done = place.catalogue.update()

    assert (done.is_anew, done.state) == (False, others[1].state)
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
    place.clear()

    assert [place.catalogue.update().is_anew, place.catalogue.update().is_anew] == [True, False]
    place.check_whole()


def test_whoever_is_killed_before_the_database_knows_of_his_state_has_not_worked_in_vain(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.catalogue.update()
    place.make("web-a", "run-1")
    kill_before_it_counts(place, monkeypatch)

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
    place.forget("web-b")
    assert place.catalogue.update(anew=True).is_anew
    place.check_whole()


def test_without_one_nothing_can_be_read(place: Place) -> None:
    with pytest.raises(LookupError, match="no catalogue yet"):
        read(place.store, "videos")
    with pytest.raises(LookupError, match="tables of the catalogue"):
        read(place.store, "address")
    assert Shelf(place.store).current() is None
