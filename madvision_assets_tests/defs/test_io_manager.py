"""Claims about persisting documents."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.defs.io_manager import ObjectStoreIOManager
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import current_envelope, read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.publish import Finished, Publisher

VIDEO_ID = "web-0123456789abcdef"


def verdict(reason: str, *, run_id: str = "run-1", video_id: str = VIDEO_ID) -> ContentType:
    document = ContentType(video_id=video_id, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason=reason)
    return document.seal(
        Recipe(engine="test", cost_usd=0.01),
        run_id=run_id,
        code_version="1",
        inputs=(),
        wall_s=1.0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore.from_url("memory://")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.ensure_schema()
    database.add_video(VIDEO_ID, "http://example.com/")
    return database


def output_context() -> dg.OutputContext:
    return dg.build_output_context(asset_key=dg.AssetKey("content_type"), partition_key=VIDEO_ID)


def test_what_is_written_is_what_is_read(store: ObjectStore, database: Database) -> None:
    manager = ObjectStoreIOManager(Publisher(store, database))
    written = verdict("as it is")

    manager.handle_output(output_context(), Finished(written))

    assert read_current(store, ContentType, VIDEO_ID) == written


def test_each_materialisation_is_a_row_of_lineage_and_the_newest_counts(store: ObjectStore, database: Database) -> None:
    manager = ObjectStoreIOManager(Publisher(store, database))
    first, second = verdict("first", run_id="run-1"), verdict("second", run_id="run-2")

    for document in (first, second):
        manager.handle_output(output_context(), Finished(document))

    assert {row.data_version for row in database.lineage_of(VIDEO_ID)} == {
        first.origin.data_version,
        second.origin.data_version,
    }
    assert read_current(store, ContentType, VIDEO_ID) == second
    assert store.exists(first.key)


def test_an_unsealed_or_foreign_document_is_refused_and_nothing_written(store: ObjectStore, database: Database) -> None:
    manager = ObjectStoreIOManager(Publisher(store, database))
    unsealed = ContentType(video_id=VIDEO_ID, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason="x")

    with pytest.raises(ValueError, match="seal"):
        manager.handle_output(output_context(), Finished(unsealed))
    with pytest.raises(TypeError, match="own sealed document"):
        manager.handle_output(output_context(), Finished(verdict("x", video_id="another")))

    assert list(store.list_keys()) == []
    assert database.lineage_of(VIDEO_ID) == []


def test_without_a_row_of_lineage_the_document_does_not_count(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    away = Database(f"sqlite:///{tmp_path / 'folder'}")
    manager = ObjectStoreIOManager(Publisher(store, away, patience_s=0.01))

    with pytest.raises(dg.Failure):
        manager.handle_output(output_context(), Finished(verdict("x")))

    assert current_envelope(store, PipelineStep.CONTENT_TYPE, VIDEO_ID) is None
