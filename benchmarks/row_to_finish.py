"""From a row to its finished run: our five stages with tools that do next to nothing, beside a bare sensor.

Each side has a daemon and a code server of its own. Rows are handed in by turns, one at a time, at moments spread
evenly over the seconds between two ticks, so that luck with those favours nobody.
"""

import random
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bare_sensor
import dagster as dg
from cpu import Cpu, runs_of
from measure import ROOT, Figure, at_most, show, told
from parts import LOCATION, write_workspace
from system import free_port, launch, listens, local_environment, python, stop, wait_until

from madvision_assets.defs.launch import open_instance
from madvision_assets.defs.sensors import queue_sensor
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets_tests import footage
from madvision_assets_tests.waiting import wait_for

LIMIT = 1.2
ROWS = 8
LOOK_S = 5  # between two looks of the daemon at its sensors
WAIT_S = 120.0
DAGSTERS = ("-m", "dagster", "api", "grpc")
# As `madvision code-server`, for another file than ours.
FORKING = ("-c", "import sys; from madvision_assets.defs.code_server import run; run(sys.argv[1:])")


@dataclass(frozen=True)
class Side:
    """Daemon and code server of one side.

    Attributes:
        sensor: name of the one that turns rows into runs.
        hand_in: makes the row of a key.
        code_server: its process, below which the runs are.
        daemon: its process.
    """

    sensor: str
    instance: dg.DagsterInstance
    hand_in: Callable[[str], None]
    code_server: int
    daemon: int


def figures() -> list[Figure]:
    """Medians over the rows: seconds from row to finished run, and CPU seconds of the process that ran it."""
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as folder, ExitStack() as running:
        sides = [running.enter_context(start(Path(folder) / start.__name__)) for start in (ours, peer)]
        for side in sides:  # the first run of each fills caches
            _process(side, 0.0)
        taken: list[list[tuple[float, float]]] = [[], []]
        for n in random.sample(range(ROWS), ROWS):
            for side, found in zip(sides, taken, strict=True):
                found.append(_process(side, (n + 0.5) / ROWS * LOOK_S))
    (our_s, our_cpu_s), (peer_s, peer_cpu_s) = (map(statistics.median, zip(*found, strict=True)) for found in taken)
    beside = "five trivial stages / a bare sensor with five trivial assets"
    return [
        at_most(f"row to finished run, {beside}", our_s, peer_s, LIMIT, "{:.1f} s"),
        told(f"CPU s of the run's process, {beside}", our_cpu_s, peer_cpu_s, "{:.2f} s"),
    ]


@contextmanager
def ours(home: Path) -> Iterator[Side]:
    """The real definitions."""
    home.mkdir()
    footage.numbered(home / "media.mp4", 6.0)
    database = Database(f"sqlite:///{home / 'madvision.db'}")
    database.ensure_schema()
    submissions = Submissions(database)

    def hand_in(key: str) -> None:
        submissions.add([NewSubmission(Video(video_id=key, address=f"https://example.org/{key}"))])

    with _running(home, FORKING, "trivial_pipeline.py", queue_sensor.name, hand_in) as side:
        yield side


@contextmanager
def peer(home: Path, executor: str = "in_process") -> Iterator[Side]:
    """The bare sensor, with this executor of Dagster's."""
    home.mkdir()
    rows = home / bare_sensor.ROWS
    with closing(sqlite3.connect(rows)) as connection:
        connection.execute(bare_sensor.TABLE)

    def hand_in(key: str) -> None:
        with closing(sqlite3.connect(rows)) as connection, connection:
            connection.execute("INSERT INTO rows VALUES (?, 'new')", (key,))

    name = bare_sensor.rows_sensor.name
    with _running(home, DAGSTERS, "bare_sensor.py", name, hand_in, BARE_EXECUTOR=executor) as side:
        yield side


@contextmanager
def _running(
    home: Path, server: Sequence[str], code: str, sensor: str, hand_in: Callable[[str], None], **variables: str
) -> Iterator[Side]:
    environment = {**local_environment(home), "MADVISION_ANALYST": "offline", **variables}
    port = free_port(0)
    file = str(ROOT / "benchmarks" / code)
    server = [*server, "--max-workers", "16", "-f", file, "--location-name", LOCATION]
    with ExitStack() as parts, open_instance(home / "dagster", ROOT / "dagster.yaml") as instance:
        where = python(*server, "--host", "127.0.0.1", "--port", str(port))
        code_server = launch("code-server", where, environment, home / "logs")
        parts.callback(stop, code_server)
        wait_until(partial(listens, port), "its port", code_server)
        workspace = str(write_workspace(home, port))
        daemon = launch("daemon", python("-m", "dagster._daemon", "run", "-w", workspace), environment, home / "logs")
        parts.callback(stop, daemon)
        side = Side(sensor, instance, hand_in, code_server.popen.pid, daemon.popen.pid)
        wait_until(lambda: _last_tick_s(side) > 0, "the first tick of its sensor", daemon)
        yield side


def _process(side: Side, phase_s: float) -> tuple[float, float]:
    """Hand a row in so long after a tick; seconds until its run has finished, and CPU seconds of the run's process."""
    key = f"web-{secrets.token_hex(8)}"
    before = Cpu.of_tree(side.code_server)
    time.sleep((_last_tick_s(side) + phase_s - time.time()) % LOOK_S)
    handed_in_s = time.time()
    side.hand_in(key)
    [record] = wait_for(lambda: finished(side.instance, key), WAIT_S, f"the run of {key}")
    if record.dagster_run.status is not dg.DagsterRunStatus.SUCCESS or record.end_time is None:
        raise RuntimeError(f"Run {record.dagster_run.run_id}: {record.dagster_run.status}")
    wait_for(lambda: not runs_of(side.code_server), WAIT_S, "the end of the run's process")
    return record.end_time - handed_in_s, (Cpu.of_tree(side.code_server) - before).ended_s


def finished(instance: dg.DagsterInstance, key: str) -> list[dg.RunRecord]:
    """The run of a key, once it has ended."""
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": key}))
    return [record for record in records if record.dagster_run.is_finished]


def _last_tick_s(side: Side) -> float:
    """When the sensor was evaluated last, seconds since 1970; 0 for never."""
    for state in side.instance.all_instigator_state():
        if state.instigator_name == side.sensor:
            ticks = side.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return ticks[0].timestamp if ticks else 0.0
    return 0.0


if __name__ == "__main__":
    sys.exit(not show(figures()))
