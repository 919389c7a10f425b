"""What the tests of the catalogue share."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from madvision_assets.domain.catalogue import cut_up
from madvision_assets.tools.database import Database
from madvision_assets.work import catalogue_draft
from madvision_assets_tests.catalogues import Place
from madvision_assets_tests.databases import KINDS, emptied, new_database
from madvision_assets_tests.lineage.history import write_history


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
    monkeypatch.setattr(catalogue_draft, "cut_up", partial(cut_up, size=2))
