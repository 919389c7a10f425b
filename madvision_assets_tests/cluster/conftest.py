"""One cluster for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets_tests.cluster.hands import Hands, hands


@pytest.fixture
def k8s(tmp_path: Path) -> Iterator[Hands]:
    """A cluster where everybody may do everything."""
    with hands(tmp_path) as found:
        yield found
