"""Claims about the writer that SQLite's submissions share."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import heartbeats
from madvision_assets.tools.database.writer import MAX_TOGETHER, KeptWriter
from madvision_assets_tests.databases import Clock
from madvision_assets_tests.waiting import wait_for

WAIT_S = 90.0


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'madvision.db'}")
    made.ensure_schema()
    return made


@pytest.fixture
def writer(database: Database) -> Iterator[KeptWriter]:
    made = KeptWriter(database)
    yield made
    made.close()


def beat(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(heartbeats.insert().values(name=name, beat_at=Clock().now))
        return name

    return work


def names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(heartbeats.c.name).order_by(heartbeats.c.name)).scalars())


def after_a_busy_moment(writer: KeptWriter, *works: Callable[[Connection], object]) -> list[Future[object]]:
    """Start all of these while another one has the turn, so that they come to it together."""
    may_end = threading.Event()
    with ThreadPoolExecutor(len(works) + 1) as threads:
        busy = threads.submit(writer.run, lambda _connection: may_end.wait(WAIT_S))
        wait_for(lambda: writer._turn.locked() and not writer._waiting, WAIT_S)
        started = [threads.submit(writer.run, work) for work in works]
        wait_for(lambda: len(writer._waiting) == len(works), WAIT_S)
        may_end.set()
        assert busy.result(WAIT_S)
    return started


def test_each_caller_gets_the_result_of_its_own_work_once_it_is_committed(
    database: Database, writer: KeptWriter
) -> None:
    wanted = [f"part-{n:03}" for n in range(MAX_TOGETHER + 10)]

    done = after_a_busy_moment(writer, *map(beat, wanted))

    assert [each.result() for each in done] == wanted
    assert names(database) == wanted


def test_work_that_waited_together_is_one_transaction(writer: KeptWriter) -> None:
    transactions: list[object] = []

    def look(connection: Connection) -> int:
        transactions.append(connection.get_transaction())
        return connection.execute(select(func.count()).select_from(heartbeats)).scalar_one()

    after_a_busy_moment(writer, look, look, look)

    assert len(transactions) == 3
    assert len(set(map(id, transactions))) == 1


def test_work_that_fails_fails_alone_and_leaves_nothing(database: Database, writer: KeptWriter) -> None:
    def fail(connection: Connection) -> None:
        beat("lost")(connection)
        raise ValueError("as planned")

    first, failed, last = after_a_busy_moment(writer, beat("a"), fail, beat("b"))

    assert (first.result(), last.result()) == ("a", "b")
    assert isinstance(failed.exception(), ValueError)
    assert names(database) == ["a", "b"]
    assert writer.run(beat("c")) == "c"
