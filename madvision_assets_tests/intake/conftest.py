"""One server for each module; a test that needs settings of its own starts another."""

from collections.abc import Iterator

import pytest

from madvision_assets_tests.intake.browsing import browser, page
from madvision_assets_tests.intake.serving import Intake, serving, settings_in

__all__ = ["browser", "intake", "page"]

INTERNAL_KEY = "internal-key"


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    """A running intake on SQLite and a folder."""
    with serving(settings_in(tmp_path_factory.mktemp("intake"), internal_key=INTERNAL_KEY)) as running:
        yield running
