"""CPU seconds of a part of the system: of its processes that live, and of their children that have ended."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

JIFFIES = os.sysconf("SC_CLK_TCK")
# Of what follows the name in /proc/PID/stat, see proc(5).
_OWN, _ENDED_CHILDREN = slice(11, 13), slice(13, 15)
# How a run is begun: by Dagster, and by us, where it has the words of the process that it was forked from.
_SPAWNED, _FORKING = b"spawn_main", b"multiprocessing.forkserver"


@dataclass(frozen=True)
class Cpu:
    """CPU seconds of a part.

    Attributes:
        living_s: of its processes that live.
        ended_s: of those that they had and that have ended.
    """

    living_s: float
    ended_s: float

    @classmethod
    def of_tree(cls, pid: int) -> Self:
        """Of a process and all below it, up to now."""
        fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each, _ in _family(pid)]
        own, ended = (sum(int(j) for f in fields for j in f[part]) / JIFFIES for part in (_OWN, _ENDED_CHILDREN))
        return cls(own, ended)

    def __sub__(self, before: Self) -> "Cpu":
        """What was used since."""
        return Cpu(self.living_s - before.living_s, self.ended_s - before.ended_s)


def runs_of(code_server: int) -> list[int]:
    """The processes of runs that are below a code server."""
    words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid, _ in _family(code_server)}
    return [
        pid
        for pid, parent in _family(code_server)
        if _SPAWNED in words.get(pid, b"") or _FORKING in words.get(parent, b"")
    ]


def _family(pid: int, parent: int = 0) -> Iterator[tuple[int, int]]:
    yield pid, parent
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended
            for child in (thread / "children").read_text().split():
                yield from _family(int(child), pid)
