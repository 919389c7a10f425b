"""How Hypothesis tries, and real servers: started once for all tests and only when a test asks for one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from madvision_assets_tests.real_servers import S3Server, postgres, swift_s3

# The one profile. No example has a deadline and no generator a pace: on a busy machine each may take any time, and
# pytest's own limit bounds the test. CI tries the same examples each time, so that what fails there was broken by the
# change; elsewhere they are new ones, and a failure prints how to try it again.
settings.register_profile(
    "madvision",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("madvision")


# A shell that starts us in the background has SIGINT ignored, which our children would inherit: none would ever stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests may take longest come first, so that none of them is left for the end, alone."""
    limits_s: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        limits_s[item.path] = max(limits_s.get(item.path, 0.0), mark.args[0] if mark else 0.0)
    items.sort(key=lambda item: -limits_s[item.path])


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server; give each test a bucket or a prefix of its own."""
    with swift_s3(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SQLAlchemy URL of a real PostgreSQL: MADVISION_TEST_DATABASE_URL, or our own.

    A test makes a database of its own there, and drops it.
    """
    given = os.environ.get("MADVISION_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url
