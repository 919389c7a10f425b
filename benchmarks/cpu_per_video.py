"""CPU seconds per video of everything but the work itself: daemon, code server, and the processes of the runs.

Five stages with tools that do next to nothing, beside five trivial assets of Dagster as it comes: a bare sensor, and
its ``multiprocess`` executor. Each side has a daemon and a code server of its own, and is given the same rows at once;
what both parts use from then until the last run has ended is shared out among the videos, their polling included.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dagster as dg
from measure import Figure, at_most, show, told
from row_to_finish import WAIT_S, Side, finished, ours, peer

from madvision_assets_tests.waiting import wait_for

LIMIT = 0.2
VIDEOS = 12
JIFFIES = os.sysconf("SC_CLK_TCK")
# Of what follows the name in /proc/PID/stat, see proc(5).
_OWN, _ENDED_CHILDREN = slice(11, 13), slice(13, 15)


@dataclass(frozen=True)
class Cpu:
    """CPU seconds of a part: of its processes that live, and of their children that have ended."""

    living_s: float
    ended_s: float

    @classmethod
    def of_tree(cls, pid: int) -> "Cpu":
        """Of a process and all below it, up to now."""
        fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in _tree(pid)]
        own, ended = (sum(int(j) for f in fields for j in f[part]) / JIFFIES for part in (_OWN, _ENDED_CHILDREN))
        return cls(own, ended)

    def __sub__(self, before: "Cpu") -> "Cpu":
        """What was used since."""
        return Cpu(self.living_s - before.living_s, self.ended_s - before.ended_s)


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
    wait_for(lambda: not _at_work(side.code_server), WAIT_S, "the end of the runs' processes")
    daemon, server = (Cpu.of_tree(pid) - old for pid, old in zip((side.daemon, side.code_server), before, strict=True))
    return (daemon.living_s + daemon.ended_s) / videos, server.living_s / videos, server.ended_s / videos


def _at_work(code_server: int) -> bool:
    """Whether a process of a run is there still; those of multiprocessing itself stay."""
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in _tree(code_server)]
    return any(b"spawn_main" in command for command in commands)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended
            for child in (thread / "children").read_text().split():
                yield from _tree(int(child))


if __name__ == "__main__":
    started_s = time.monotonic()
    well = show(figures())
    print(f"{time.monotonic() - started_s:.0f} s")
    sys.exit(not well)
