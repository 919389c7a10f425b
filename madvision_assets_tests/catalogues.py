"""A catalogue to test with: its database with a history, its store, and users of it who are killed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from madvision_assets.domain.catalogue import FORGOTTEN, TABLES, Manifest, value_of
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.video import Video
from madvision_assets.tools import parquet
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.asking import asked
from madvision_assets.tools.database.catalogue import Notebook
from madvision_assets.tools.database.statements import Told, insert_lineage
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import installation
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import forgetting
from madvision_assets.work.catalogue import Catalogue, read
from madvision_assets_tests import stores


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

    def make(self, video_id: str, run_id: str, row_id: int | None = None) -> None:
        """Another materialisation: a download by this run."""
        recipe = Recipe(engine="test")
        raw = stores.raw_video().model_copy(update={"video_id": video_id, "provenance": None})
        now = datetime.now(UTC)
        made = raw.seal(recipe, run_id=run_id, code_version="1", inputs=(), wall_s=1.5, created_at=now)
        statement: Any = insert_lineage(Told(video_id, made.origin, "memory://x", {}), sqlite=self.database.is_sqlite)
        with self.database.writing() as connection:
            connection.execute(statement if row_id is None else statement.values(id=row_id))

    def forget(self, *video_ids: str) -> None:
        """All that is kept of them."""
        for _ in forgetting.forget(self.database, self.store, self.folder / "work", Nobody(), video_ids):
            pass

    def submit_again(self, video_id: str) -> None:
        """Somebody wants a video that was forgotten."""
        address = f"http://{video_id[-1]}.example/{video_id}.mp4"
        Submissions(self.database).add([NewSubmission(Video(video_id=video_id, address=address))])

    def clear(self) -> None:
        """An operator deletes the catalogue."""
        self.store.delete(list(self.store.list_keys("catalogue")))

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
    """Rows in one order, whatever they have."""
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


def notes(place: Place) -> list[str]:
    """What is still noted of what was forgotten."""
    with place.database.reading() as connection:
        names = connection.execute(select(installation.c.name)).scalars().all()
    return [name for name in names if name.startswith("catalogue/")]


def kill_before_it_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update is killed once its state counts in the store, and before the database is told."""

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Notebook, "count", killed)
        with pytest.raises(KilledError):
            place.catalogue.update()
