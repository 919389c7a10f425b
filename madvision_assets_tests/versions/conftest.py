"""What a released version left behind, for one test to lay documents into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.released import VERSIONS, LeftBehind, unpacked


@pytest.fixture(params=VERSIONS)
def left(request: pytest.FixtureRequest, tmp_path: Path) -> LeftBehind:
    """A home to lay documents into."""
    return unpacked(request.param, tmp_path)


@pytest.fixture
def harness(left: LeftBehind) -> Iterator[Harness]:
    """The daemon's work there."""
    with open_harness(left.home, left.home / "no-source.mp4") as made:
        yield made
