"""Claims about the intake's liveness: it goes by round trips to the database, and is not lost by others' faults."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from madvision_assets.domain.failures import DatabaseUnavailableError
from madvision_assets.intake.app import make_app
from madvision_assets.intake.round_trips import RoundTrips
from madvision_assets.intake.services import make_services
from madvision_assets.tools.database import Database
from madvision_assets_tests.intake.serving import postgres_database, serving, settings_in
from madvision_assets_tests.real_servers import postgres_server
from madvision_assets_tests.waiting import wait_for

WAIT_S = 60.0
BEHIND_S = 0.5
STATUS = f"/public/video/status?token={'x' * 43}"
THREADS = 40  # in which Starlette runs what may wait


@contextmanager
def every_connection_taken(database: Database) -> Iterator[None]:
    """Hold all connections that a database would make."""
    pool = database.engine.pool
    with ExitStack() as held:
        for _ in range(pool.size() + pool._max_overflow):  # type: ignore[attr-defined]
            held.enter_context(closing(database.engine.connect()))
        yield


def test_an_intake_that_alone_does_not_get_through_to_the_database_does_not_live(postgres_url: str) -> None:
    with postgres_database(postgres_url) as url:
        database = Database(url)
        trips = RoundTrips(database, every_s=0.02, behind_s=BEHIND_S)
        with trips.made():
            with every_connection_taken(database):
                told = wait_for(trips.complaint, WAIT_S, "a complaint")
            wait_for(lambda: trips.complaint() is None, WAIT_S, "its end")
        database.engine.dispose()

    assert "not over our connections" in str(told)


def test_an_intake_whose_database_is_away_lives(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as (url, server):
        database = Database(url)
        trips = RoundTrips(database, every_s=0.01, behind_s=BEHIND_S)
        asked = threading.Event()

        def ask() -> None:
            with pytest.raises(DatabaseUnavailableError):
                database.answer()
            asked.set()

        with trips.made():
            database.answer()
            server.kill()
            threading.Thread(target=ask).start()
            assert asked.wait(WAIT_S)
            assert not threading.Event().wait(2 * BEHIND_S), "long enough to fall behind"
            assert trips.complaint() is None
        database.engine.dispose()


def test_the_route_says_what_is_the_matter(tmp_path: Path) -> None:
    app = make_app(make_services(settings_in(tmp_path)))
    trips = app.state.round_trips
    trips._fresh_at_s = trips._ours_at_s + 1000
    with TestClient(app) as client:
        answer = client.get("/healthz")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert "start the intake again" in answer.json()["detail"]


def test_requests_that_wait_for_the_database_do_not_make_an_intake_seem_dead(tmp_path: Path, postgres_url: str) -> None:
    with postgres_database(postgres_url) as url, serving(settings_in(tmp_path, database_url=url)) as intake:

        def ask(path: str, limit_s: float = WAIT_S) -> httpx.Response:
            return httpx.get(f"{intake.client.base_url}{path}", timeout=limit_s)

        waiting = [threading.Thread(target=ask, args=(STATUS,)) for _ in range(THREADS)]
        with every_connection_taken(intake.services.database):
            for thread in waiting:
                thread.start()
            with pytest.raises(httpx.ReadTimeout):  # so that all threads are taken
                ask("/readyz", 2.0)
            assert ask("/healthz", 5.0).json() == {"status": "alive"}
        for thread in waiting:
            thread.join()
