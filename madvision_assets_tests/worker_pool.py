"""The daemon's work by hand, with processes for the runs as Dagster's launcher makes them.

This process evaluates the sensors; each run is done by one of some processes that stay, since to start one costs more
than a run. They share Dagster's history and the queue, and nothing else.
"""

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg

from madvision_assets.connections import make_store
from madvision_assets.definitions import build_defs
from madvision_assets.defs import resources, sensors
from madvision_assets.defs.launch import open_instance
from madvision_assets.settings import Settings
from madvision_assets.tools.database.operations import Operations
from madvision_assets_tests.harness import InstantTools, evaluate, execute
from madvision_assets_tests.waiting import wait_for

TEMPLATE = Path(__file__).resolve().parents[1] / "dagster.yaml"
# Something that the offline analyst takes for an insight.
INSIGHT = "The most important lesson: measure first, because a wrong answer never improved a result."


@dataclass
class WorkerPool:
    """Who works the queue off.

    Attributes:
        requests: how often each run key was asked for.
        under_way: runs that have not ended.
    """

    settings: Settings
    instance: dg.DagsterInstance
    pool: ProcessPoolExecutor
    given: dict[str, Any]
    requests: Counter[str] = field(default_factory=Counter)
    under_way: set[Future[bool]] = field(default_factory=set)

    def work_off(self, limit_s: float) -> None:
        """Until nothing is left to be done, and every run has ended.

        Raises:
            TimeoutError: it took too long.
        """
        operations = Operations(self.given["database"])
        wait_for(lambda: not (self.step() or operations.has_work()), limit_s, "the end of the work")

    def step(self) -> bool:
        """One evaluation of the sensor; whether runs are under way afterwards."""
        for request in evaluate(self.given, self.instance):
            self.requests[str(request.run_key)] += 1
            self.under_way.add(self.pool.submit(Worker.run, request))
        if self.under_way:
            ended, self.under_way = wait(self.under_way, timeout=1, return_when=FIRST_COMPLETED)
            for each in ended:
                each.result()  # a process that died or a fault in it is one of the test
        return bool(self.under_way)

    def reconcile(self, looks: int) -> set[str]:
        """So many evaluations of the reconciling sensor; what it says it did."""
        given = {name: self.given[name] for name in ("reconciler", "runtime", "database")}
        cursor: str | None = None
        told = set()
        for _ in range(looks):
            with dg.build_sensor_context(self.instance, cursor=cursor, resources=given) as context:
                result = sensors.queue_reconciler(context)
            assert isinstance(result, dg.SensorResult)
            assert isinstance(result.skip_reason, dg.SkipReason)
            cursor = result.cursor
            told.add(str(result.skip_reason.skip_message))
        return told


class Worker:
    """In each process: its definitions and its way to Dagster's history."""

    definitions: ClassVar[dg.Definitions]
    instance: ClassVar[dg.DagsterInstance]

    @classmethod
    def start(cls, settings: Settings, dagster_folder: Path) -> None:
        """Once in each process: everything is real, but for who hears and who judges."""
        quick = InstantTools(make_store(settings), media=Path(), words=INSIGHT)
        cls.definitions = build_defs(settings, {"transcriber": quick, "analyst": quick})
        cls.instance = open_instance(dagster_folder, TEMPLATE)

    @classmethod
    def run(cls, request: dg.RunRequest) -> bool:
        """One run to its end; whether it ended well."""
        return execute(request, cls.definitions, cls.instance).success


@contextmanager
def worker_pool(settings: Settings, processes: int) -> Iterator[WorkerPool]:
    """Everybody at work on a home, until the end of the block."""
    folder = settings.home_folder / "dagster"
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, spawn, initializer=Worker.start, initargs=(settings, folder))
    given: dict[str, Any] = dict(resources.make_resources(settings))
    with open_instance(folder, TEMPLATE) as instance, pool:
        yield WorkerPool(settings, instance, pool, given)
    given["database"].engine.dispose()
