"""Claims about databases that are away while a run is under way: nothing that was made is made again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import pytest
from sqlalchemy import exc

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.runtime.patience import Patience
from madvision_assets.domain.failures import CorruptMediaError, DatabaseUnavailableError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.errors import is_away
from madvision_assets.tools.database.queue import Queue
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.real_servers import Server, postgres_server

pytestmark = pytest.mark.whole

AWAY_S = 3.0


@contextmanager
def on_postgres(home: Path, media: Path, url: str, **settings: str) -> Iterator[Harness]:
    """A harness whose Dagster has its state in this database."""
    folder = home / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(
        f"telemetry: {{enabled: false}}\nstorage: {{postgres: {{postgres_url: '{url}'}}}}\n"
    )
    with (
        dagster_inside.open_instance(folder) as instance,
        open_harness(home, media, instance=instance, **settings) as h,
    ):
        yield h


def go_away(*servers: Server) -> None:
    """Kill these servers, which come back a while later."""
    for server in servers:
        server.kill()
        timer = threading.Timer(AWAY_S, server.start)
        timer.daemon = True
        timer.start()


def test_databases_that_are_away_at_the_end_of_a_transcript_or_between_two_stages_cost_no_work(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.01)  # Dagster's own patience, shortened
    finish = Queue.finish_step

    def finish_and_lose_ours(*given: Any, **named: Any) -> None:
        finish(*given, **named)
        if PipelineStep.CONTENT_TYPE in given:
            go_away(ours)

    monkeypatch.setattr(Queue, "finish_step", finish_and_lose_ours)
    with postgres_server(tmp_path) as (url, theirs), postgres_server(tmp_path) as (our_url, ours):
        Database(our_url).migrate()
        with on_postgres(tmp_path, media, url, database_url=our_url) as harness:
            harness.submit()
            harness.tools.plan(PipelineStep.TRANSCRIPT, partial(go_away, theirs, ours))

            [result] = harness.tick()

            assert result.success
            assert harness.row().status is QueueStatus.DONE
            assert (harness.row().attempt, harness.row().retry) == (1, 0)
            assert harness.tools.calls == dict.fromkeys(PipelineStep, 1)


def test_a_failure_is_told_once_the_database_is_back_and_its_stage_is_not_tried_again(
    tmp_path: Path, media: Path
) -> None:
    with postgres_server(tmp_path) as (url, server):
        Database(url).migrate()
        with open_harness(tmp_path, media, database_url=url) as harness:

            def fail_while_it_is_away() -> None:
                go_away(server)
                raise CorruptMediaError("at 3 s")

            harness.submit()
            harness.tools.plan(PipelineStep.RAW_VIDEO, fail_while_it_is_away)

            harness.tick()

            assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.FAILED, "corrupt_media")
            assert harness.row().attempt == 1


def test_an_outage_is_waited_for_only_so_long_by_all_who_ask_together() -> None:
    patience = Patience(limit_s=0.0)
    asked = []

    def away() -> None:
        asked.append(1)
        raise DatabaseUnavailableError("gone")

    with pytest.raises(DatabaseUnavailableError):
        patience.ask(away)
    with pytest.raises(DatabaseUnavailableError):  # at once: it is the same outage
        patience.ask(away)
    assert len(asked) <= 3
    assert patience.ask(lambda: 5) == 5


def test_a_database_that_takes_connections_and_no_statement_is_waited_for_only_so_long() -> None:
    patience = Patience(limit_s=1.0)
    connected = []

    def write() -> None:
        connected.append(patience.ask(lambda: True))
        raise DatabaseUnavailableError("read only")

    with pytest.raises(DatabaseUnavailableError):
        patience.ask(write)
    assert 2 <= len(connected) <= 4


def test_who_was_told_to_stop_waits_for_nothing_any_more() -> None:
    patience, asked = Patience(), []

    def away() -> None:
        asked.append(1)
        raise DatabaseUnavailableError("gone")

    patience.end()
    with pytest.raises(DatabaseUnavailableError):
        patience.ask(away)

    assert len(asked) == 1


def test_what_is_no_outage_is_not_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        Patience().ask(lambda: 1 / 0)
    wrong = exc.ProgrammingError("SELECT", None, psycopg2.ProgrammingError("syntax error"))
    assert not is_away(wrong)
    assert not is_away(psycopg2.OperationalError('password authentication failed for user "madvision"'))


def test_an_outage_is_known_in_every_form_that_it_comes_in() -> None:
    refused = psycopg2.OperationalError("connection to server failed: Connection refused")
    wrapped = RuntimeError("too many retries for DB connection")
    wrapped.__cause__ = exc.OperationalError("", None, refused)
    for form in (refused, wrapped, wrapped.__cause__, DatabaseUnavailableError()):
        assert is_away(form)


def test_the_executor_in_pods_is_that_of_dagster_and_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.executor.step_delegating import CheckStepHealthResult
    from dagster_k8s import executor as theirs

    from madvision_assets import definitions

    waited: list[object] = []
    monkeypatch.setattr(definitions, "wait_for_dagster", waited.append)
    looks = SimpleNamespace(check_step_health=lambda _: CheckStepHealthResult.unhealthy("the Job failed"))
    made = SimpleNamespace(_step_handler=looks)
    monkeypatch.setattr(theirs.k8s_job_executor, "_executor_creation_fn", lambda _: made)
    make: Any = definitions.patient_k8s_executor().executor_creation_fn

    assert make(SimpleNamespace(instance="an instance")) is made
    assert waited == ["an instance"]
    assert [looks.check_step_health(None).is_healthy for _ in range(3)] == [True, False, False]
