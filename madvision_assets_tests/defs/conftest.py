"""What several tests of this room work with."""

from pathlib import Path

import pytest

from madvision_assets_tests import footage


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playable MP4 of six seconds."""
    return footage.numbered(tmp_path_factory.mktemp("media") / "six.mp4", 6.0)
