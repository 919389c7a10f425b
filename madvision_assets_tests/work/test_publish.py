"""Claims about publishing where the store or the database is away in the middle of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.failures import (
    DatabaseUnavailableError,
    StoreUnavailableError,
    SupersededError,
    UnknownVideoError,
)
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import point_current, read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import publish
from madvision_assets.work.publish import Finished, Publisher
from madvision_assets_tests.databases import VIDEO, emptied, get, submit

KIND = PipelineStep.CONTENT_TYPE
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    new = Database(f"sqlite:///{tmp_path / 'madvision.db'}")
    new.migrate()
    submit(new, 1, at=NOON)
    return new


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore.from_url("memory://")


def verdict(run_id: str) -> ContentType:
    document = ContentType(video_id=VIDEO, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason="so it is")
    recipe = Recipe(engine="test", cost_usd=0.01)
    return document.seal(recipe, run_id=run_id, code_version="1", inputs=(), wall_s=1.0, created_at=NOON)


def test_a_document_that_was_turned_down_is_so_also_where_the_store_is_away_just_then(
    database: Database, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(database)
    (claimed,) = queue.claim_due(1)
    queue.begin(VIDEO, "run-1", claimed.attempt, KIND)
    away = [StoreUnavailableError(), StoreUnavailableError()]

    def pointed(*told: object) -> None:
        if away:
            raise away.pop()
        point_current(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "point_current", pointed)
    refused = Finished(verdict("run-1"), refused="not as it should be")
    publisher = Publisher(store, database, queue)
    publisher.publish(refused, attempt=claimed.attempt, ends=False)

    assert (get(queue).status, get(queue).failure_cause) == (QueueStatus.FAILED, "check_failed")
    assert read_current(store, ContentType, VIDEO) == refused.document
    queue.begin(VIDEO, "run-2", None, KIND)
    with pytest.raises(SupersededError):
        publisher.publish(refused, attempt=claimed.attempt, ends=False)


def test_the_last_stage_of_a_run_by_hand_is_published_though_nobody_heard_that_it_was_told(
    database: Database, store: ObjectStore
) -> None:
    class Cut(Queue):
        cuts = 2

        def finish_step(self, *args: object, **options: object) -> None:
            """It is done, and the answer is lost."""
            super().finish_step(*args, **options)  # type: ignore[arg-type]
            self.cuts -= 1
            if self.cuts >= 0:
                raise DatabaseUnavailableError

    queue = Cut(database)
    queue.begin(VIDEO, "by hand", None, KIND)
    Publisher(store, database, queue).publish(Finished(verdict("by hand")), attempt=None, ends=True)

    assert (get(queue).status, get(queue).pipeline_step) == (QueueStatus.QUEUED, KIND.next)


def test_nothing_is_written_of_a_video_that_was_forgotten_meanwhile(database: Database, store: ObjectStore) -> None:
    queue = Queue(database)
    (claimed,) = queue.claim_due(1)
    queue.begin(VIDEO, "run-1", claimed.attempt, KIND)
    emptied(database)

    with pytest.raises(UnknownVideoError):
        Publisher(store, database, queue).publish(Finished(verdict("run-1")), attempt=claimed.attempt, ends=False)

    assert list(store.list_keys(KIND.value)) == []
