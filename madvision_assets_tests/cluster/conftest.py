"""One cluster for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets_tests.cluster.client import ClusterClient, cluster_client


@pytest.fixture
def k8s(tmp_path: Path) -> Iterator[ClusterClient]:
    """A cluster where everybody may do everything."""
    with cluster_client(tmp_path) as found:
        yield found
