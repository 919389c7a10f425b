"""Claims about what is forgotten: it goes out of the catalogue, which nobody makes anew for that."""

import json
import secrets
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import pytest
from sqlalchemy import select, text, update

from madvision_assets.domain.catalogue import COSTS, FORGOTTEN, TABLES
from madvision_assets.domain.failures import StoreUnavailableError, UnreadableDocumentError
from madvision_assets.domain.tombstones import tombstone_key
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.tables import installation, tombstones
from madvision_assets.work import catalogue_draft, forgetting
from madvision_assets.work.catalogue import Catalogue
from madvision_assets_tests.catalogues import (
    KilledError,
    Nobody,
    Place,
    in_order,
    kill_before_it_counts,
    notes,
)
from madvision_assets_tests.databases import alter, submit
from madvision_assets_tests.waiting import wait_for

NOW = datetime.now(UTC)


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


def test_a_video_that_is_submitted_again_after_it_was_forgotten_is_another_one(place: Place) -> None:
    place.catalogue.update()
    place.forget("web-b", "web-c")
    place.submit_again("web-b")
    place.make("web-b", "run-anew")

    place.catalogue.update()

    assert place.ids() == ["web-a", "web-b"]
    place.check_whole()


@pytest.mark.usefixtures("of_two")
def test_a_video_that_was_forgotten_twice_is_in_no_part_any_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.catalogue.update()
    numbers = count()
    with monkeypatch.context() as patch:  # nobody takes it out in between, and the newer note is read last
        patch.setattr(Catalogue, "erase", lambda _: None)
        patch.setattr(secrets, "token_hex", lambda _: f"{next(numbers):016x}")
        place.forget("web-a")
        place.submit_again("web-a")
        place.forget("web-a")

    place.catalogue.erase()

    assert place.ids() == ["web-b", "web-c"]
    assert len(place.rows(FORGOTTEN)) == 1
    place.check_whole()


def test_a_note_that_outlived_a_killed_update_takes_nothing_from_whoever_was_submitted_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.catalogue.update()
    place.forget("web-b")
    place.submit_again("web-b")
    place.make("web-b", "run-anew")
    kill_before_it_counts(place, monkeypatch)
    alter(place.database, "web-b", updated_at=datetime.now(UTC) - timedelta(hours=1))  # it is no news any more
    assert notes(place) != []

    again = place.catalogue.update()

    assert (again.files, again.erased) == (0, 0)
    assert place.ids() == ["web-a", "web-b", "web-c"]
    assert notes(place) == []
    place.check_whole()


def test_an_old_note_takes_nothing_from_whoever_was_submitted_again(place: Place) -> None:
    place.catalogue.update()
    place.forget("web-b")
    with place.database.reading() as connection:
        told = [dict(row) for row in connection.execute(select(installation)).mappings()]
    place.submit_again("web-b")
    alter(place.database, "web-b", updated_at=datetime.now(UTC) - timedelta(hours=1))
    place.catalogue.update(anew=True)
    place.catalogue.update()
    assert notes(place) == []
    with place.database.writing() as connection:  # as if it had not been known that they were followed
        rows = [{**row, "name": f"{row['name']}-again"} for row in told if row["name"].startswith("catalogue/")]
        connection.execute(installation.insert(), rows)

    place.catalogue.update()

    assert place.ids() == ["web-a", "web-b", "web-c"]
    place.check_whole()


def test_the_first_update_of_all_waits_for_whoever_forgets_just_then(place: Place) -> None:
    if place.database.is_sqlite:
        pytest.skip("one writer at a time")
    locks = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    with ThreadPoolExecutor(1) as pool:
        with held(place.database, ["web-b"]) as these:
            these.delete_rows(["web-b"])  # who looked, and found no catalogue
            first = pool.submit(place.catalogue.update)

            def goes_on() -> bool:
                with place.database.reading() as connection:
                    return first.done() or connection.execute(text(locks)).scalar_one() > 0

            wait_for(goes_on, 60.0, "the update waits")
        first.result(timeout=60)

    assert place.ids() == ["web-a", "web-c"]
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


def test_tombstones_lie_in_parts_of_bounded_size(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_draft, "TOMBSTONES_OF_A_PART", 2)
    place.catalogue.update()
    for first in range(0, 16, 4):
        place.forget(*submit(place.database, *range(first, first + 4), at=NOW))
    with place.database.reading() as connection:
        keys = connection.execute(select(tombstones.c.video_key).order_by(tombstones.c.video_key)).scalars().all()
    assert len(keys) == 16
    parts = place.state.parts[FORGOTTEN]
    assert max(part.rows for part in parts.values()) <= 2
    assert [row["video_key"] for row in in_order(place.rows(FORGOTTEN))] == list(keys)

    place.forget("web-b")

    stays = set(parts.items()) & set(place.state.parts[FORGOTTEN].items())
    assert len(parts) - len(stays) <= 1
    place.catalogue.update(anew=True)
    assert len(place.rows(FORGOTTEN)) == 17
    assert max(part.rows for part in place.state.parts[FORGOTTEN].values()) <= 2


def put_back(place: Place) -> None:
    """The database as it was before the state that counts."""
    with place.database.writing() as connection:
        connection.execute(update(installation).where(installation.c.name == "catalogue").values(value="00000001-old "))


def damage(place: Place) -> None:
    """The manifest is no JSON any more."""
    place.store.put_bytes(f"catalogue/.manifests/{place.state.number:08d}.json", b"{")


def lose(place: Place) -> None:
    """The part that has the video is not there any more."""
    place.store.delete([place.part_of("web-b")])


def be_older(place: Place) -> None:
    """Another version made it."""
    older = place.state.model_copy(update={"schema_version": 0})
    place.store.put_bytes(f"catalogue/.manifests/{older.number:08d}.json", older.model_dump_json().encode())


@pytest.mark.parametrize("happens", [put_back, damage, lose, be_older])
def test_what_is_to_be_made_anew_is_not_made_by_whoever_forgets_who_says_so(
    place: Place, happens: Callable[[Place], None]
) -> None:
    place.catalogue.update()
    happens(place)
    before = {key: place.store.get_bytes(key) for key in place.store.list_keys("catalogue")}

    for erase in (partial(place.forget, "web-b"), place.catalogue.erase):
        with pytest.raises(UnreadableDocumentError, match="madvision catalogue makes it anew"):
            erase()

    assert {key: place.store.get_bytes(key) for key in place.store.list_keys("catalogue")} == before
    assert place.catalogue.update().is_anew
    assert place.ids() == ["web-a", "web-c"]
    place.catalogue.update()
    assert notes(place) == []
    place.check_whole()


def test_a_catalogue_that_was_deleted_stays_away_until_somebody_makes_one(place: Place) -> None:
    place.catalogue.update()
    place.clear()

    place.forget("web-b")

    assert list(place.store.list_keys("catalogue")) == []
    assert notes(place) == []
    assert place.catalogue.update().is_anew
    place.check_whole()


def test_what_is_forgotten_while_somebody_makes_one_goes_out_of_it(place: Place) -> None:
    place.catalogue.update()
    place.clear()
    store = place.fragile()

    def then(key: str) -> None:
        if key.endswith(".parquet") and store.then:
            store.then = None
            place.forget("web-b")

    store.then = then
    Catalogue(place.database, store).update()
    assert "web-b" in place.ids()

    place.catalogue.erase()

    assert place.ids() == ["web-a", "web-c"]
    place.check_whole()


def test_what_broke_off_forgetting_is_told_even_where_the_catalogue_fails_then(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.catalogue.update()

    def fails(_: Catalogue) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(Catalogue, "erase", fails)
    at_work = forgetting.forget(place.database, place.store, place.folder / "work", Nobody(), ["web-b"])
    assert isinstance(at_work, Generator)
    next(at_work)
    with pytest.raises(KilledError) as told:
        at_work.throw(KilledError())
    assert "gone" in told.value.__notes__[0]

    with pytest.raises(StoreUnavailableError):
        place.forget("web-c")


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
