"""Claims about ``madvision process`` beside the queue's own worker, over the real assets with quick tools."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from madvision_assets.command.workplace import Workplace
from madvision_assets.connections import make_database
from madvision_assets.defs import resources
from madvision_assets.defs.runtime.lease import ATTEMPT_TAG
from madvision_assets.defs.runtime.reconcile import Reconciler
from madvision_assets.domain.failures import BotCheckError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.tables import breakers
from madvision_assets_tests.databases import history, shut_breakers
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
EACH_ONCE = Counter(PipelineStep)


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media, breaker_pause_s=3600) as made:
        yield made


@pytest.fixture
def workplace(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """The command's, with the quick tools."""
    make = resources.make_resources
    quick = dict.fromkeys(("ingest", "transcriber", "analyst", "renderer"), harness.tools)
    monkeypatch.setattr(resources, "make_resources", lambda settings: {**make(settings), **quick})
    return Workplace(harness.settings)


def process(workplace: Workplace, from_step: PipelineStep | None = None) -> Any:
    return workplace.run_pending("web-a", from_step, lambda *_: None)


def test_what_the_queue_finished_since_the_command_looked_is_not_done_again(
    harness: Harness, workplace: Workplace
) -> None:
    harness.submit()
    assert workplace.pending("web-a", None) == tuple(PipelineStep)
    harness.tick()
    before = harness.row()

    report = process(workplace)

    assert (report.steps, report.failure) == ((), None)
    assert harness.tools.calls == EACH_ONCE
    assert harness.row() == before, "nobody has taken it"


def test_a_video_that_the_queue_is_at_is_taken_over_and_only_what_is_left_is_done(
    harness: Harness, workplace: Workplace
) -> None:
    harness.submit()
    harness.by_hand("a", RAW)
    [request] = harness.ask()

    report = process(workplace)
    harness.launch(request)

    assert report.steps == (HEARD, KIND, CHOSEN, CUT)
    assert harness.tools.calls == EACH_ONCE
    assert harness.row().status is QueueStatus.DONE
    attempts = history(make_database(harness.settings), "web-a")
    assert [each["failure_cause"] for each in attempts] == [None, "superseded", None]


def test_its_run_is_the_run_of_the_attempt_that_was_taken_for_it(harness: Harness, workplace: Workplace) -> None:
    harness.submit()

    assert process(workplace).steps == tuple(PipelineStep)

    row = harness.row()
    with dg.DagsterInstance.from_config(str(workplace.dagster_folder)) as instance:
        run = instance.get_run_by_id(row.run_id or "")
    assert run is not None
    assert (row.attempt, run.tags[ATTEMPT_TAG]) == (1, "1")
    assert harness.tick() == []
    assert process(workplace, CUT).steps == (CUT,)
    assert harness.tools.calls == EACH_ONCE + Counter([CUT])


def test_a_video_that_was_only_registered_is_processed_and_one_that_is_done_is_not_queued(
    harness: Harness, workplace: Workplace
) -> None:
    workplace.database.add_video("web-a", "http://a.example.org/v.mp4")

    assert process(workplace).failure is None
    assert harness.row().status is QueueStatus.DONE
    assert process(workplace).steps == ()
    assert harness.row().attempt == 1


def test_it_insists_where_a_breaker_is_open(harness: Harness, workplace: Workplace) -> None:
    harness.tools.plan(RAW, BotCheckError())
    harness.submit("b")
    harness.tick()
    harness.submit()
    database = make_database(harness.settings)
    with database.writing() as connection:  # as if both were of one host
        connection.execute(breakers.update().values(name=f"host:{harness.row().source}"))
    assert harness.ask() == []

    assert process(workplace).failure is None

    assert shut_breakers(database) == {}
    assert harness.row().status is QueueStatus.DONE


def test_a_command_that_died_before_its_run_came_holds_the_video_up_for_a_few_looks_only(harness: Harness) -> None:
    harness.submit()
    taken = harness.queue.take("web-a", lambda _: (RAW,))
    assert taken is not None
    assert harness.ask() == []

    reconciler = Reconciler(harness.queue, looks=2, one_process=True)
    seen: dict[str, tuple[str, int]] = {}
    for _ in range(3):
        assert harness.row().status is QueueStatus.RUNNING
        seen, repairs = reconciler.look(harness.instance, seen)

    assert repairs == ["web-a: no run came of its claim; it waits for another"]
    [result] = harness.tick()
    assert result.success
    assert harness.tools.calls == EACH_ONCE


def test_a_stage_that_somebody_starts_in_the_ui_is_done_though_it_is_done_already(harness: Harness) -> None:
    harness.submit()
    harness.tick()

    assert harness.by_hand("a", CHOSEN).success

    assert harness.tools.calls == EACH_ONCE + Counter([CHOSEN])
