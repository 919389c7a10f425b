"""Claims about a connection that is kept: one that cannot be used is noticed, soon, and whoever waits hears signals."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from madvision_assets.tools.database import kept
from madvision_assets.tools.database.engines import keep_one

LIMIT_S = 0.5
# On a busy machine; the answer of a server that stands still would never come.
SOON_S = 8.0


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    made = keep_one(create_engine, postgres_url)
    yield made
    made.dispose()


def backend(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def used_once(engine: Engine) -> int:
    """The process of the connection that is kept."""
    with engine.connect() as connection:
        return backend(connection)


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every use is asked for, and not for long."""
    monkeypatch.setattr(kept, "FRESH_S", 0.0)
    monkeypatch.setattr(kept, "ANSWER_LIMIT_S", LIMIT_S)


def test_it_is_used_again_and_again(engine: Engine) -> None:
    assert len({used_once(engine) for _ in range(3)}) == 1


def test_one_whose_server_stands_still_gives_way_to_another(engine: Engine) -> None:
    first = used_once(engine)
    with standing_still(first):
        began_s = time.monotonic()
        second = used_once(engine)
        assert time.monotonic() - began_s < SOON_S
    assert second != first
    assert used_once(engine) == second


def test_one_that_was_ended_a_moment_ago_gives_way_to_another(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setattr(kept, "FRESH_S", 60.0)
    first = used_once(engine)
    with create_engine(postgres_url).connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": first})

    assert used_once(engine) != first


def test_whoever_waits_for_it_hears_a_signal(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "ANSWER_LIMIT_S", 120.0)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    first = used_once(engine)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with standing_still(first):
            began_s = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                used_once(engine)
            assert time.monotonic() - began_s < SOON_S
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_the_url_says_of_connections_counts(postgres_url: str) -> None:
    for url, name in (
        (postgres_url, "madvision-dagster"),
        (f"{postgres_url}{'&' if '?' in postgres_url else '?'}application_name=ops", "ops"),
    ):
        engine = keep_one(create_engine, url)
        with engine.connect() as connection:
            assert connection.execute(text("SHOW application_name")).scalar_one() == name
        engine.dispose()
