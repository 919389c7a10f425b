"""CPU seconds per video of everything but the work itself: daemon, code server, and the processes of the runs.

Five stages with tools that do next to nothing, beside five trivial assets of Dagster as it comes: a bare sensor, and
its ``multiprocess`` executor. Each side has a daemon and a code server of its own, and is given the same rows at once;
what both parts use from then until the last run has ended is shared out among the videos, their polling included.
"""

import secrets
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import dagster as dg
from cpu import Cpu, runs_of
from measure import Figure, at_most, show, told
from row_to_finish import WAIT_S, Side, finished, ours, peer

from madvision_assets_tests.waiting import wait_for

LIMIT = 0.2
VIDEOS = 12


def figures() -> list[Figure]:
    """CPU seconds per video, by part and in sum."""
    taken: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as folder:
        for start in (ours, partial(peer, executor="multiprocess")):
            with start(Path(folder) / str(len(taken))) as side:
                _process_all(side, 1)  # the first run of each fills caches
                taken.append(_process_all(side, VIDEOS))
    mine, theirs = taken
    names = ("daemon", "code server", "runs")
    beside = "five trivial stages / Dagster's multiprocess default"
    return [
        *(
            told(f"CPU s per video of the {name}, {beside}", a, b, "{:.2f} s")
            for name, a, b in zip(names, mine, theirs, strict=True)
        ),
        at_most(f"CPU s per video in sum, {beside}", sum(mine), sum(theirs), LIMIT, "{:.2f} s"),
    ]


def _process_all(side: Side, videos: int) -> tuple[float, float, float]:
    """Hand so many rows in; CPU seconds per video of the daemon, of the code server, and of the runs' processes."""
    before = [Cpu.of_tree(pid) for pid in (side.daemon, side.code_server)]
    keys = [f"web-{secrets.token_hex(8)}" for _ in range(videos)]
    for key in keys:
        side.hand_in(key)
    for key in keys:
        [record] = wait_for(lambda each=key: finished(side.instance, each), WAIT_S * videos, f"the run of {key}")  # type: ignore[misc]
        if record.dagster_run.status is not dg.DagsterRunStatus.SUCCESS:
            raise RuntimeError(f"Run {record.dagster_run.run_id}: {record.dagster_run.status}")
    wait_for(lambda: not runs_of(side.code_server), WAIT_S, "the end of the runs' processes")
    daemon, server = (Cpu.of_tree(pid) - old for pid, old in zip((side.daemon, side.code_server), before, strict=True))
    return (daemon.living_s + daemon.ended_s) / videos, server.living_s / videos, server.ended_s / videos


if __name__ == "__main__":
    started_s = time.monotonic()
    well = show(figures())
    print(f"{time.monotonic() - started_s:.0f} s")
    sys.exit(not well)
