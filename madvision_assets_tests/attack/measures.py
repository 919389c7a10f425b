"""What an attack takes: memory of the children and of this process, processor and wall time."""

import os
import resource
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SAMPLE_S = 0.04
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
RESET_PEAK = "5"  # proc(5), clear_refs
PARENT, GROUP = 1, 2  # fields of /proc/PID/stat after the name


@dataclass(frozen=True)
class Measured:
    """What it took.

    Attributes:
        peak_bytes: most memory that all children had together, or one of them by the kernel's own mark.
        own_bytes: by how much this process, which holds the keys, grew meanwhile.
        cpu_s: processor seconds of all children.
        wall_s: seconds.
    """

    peak_bytes: int
    own_bytes: int
    cpu_s: float
    wall_s: float


class Meter:
    """Looks at the children that this process gets while its context is open, and at theirs."""

    def __enter__(self) -> Self:
        """Begins."""
        self.restart()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def restart(self) -> None:
        """Nothing that was until now counts."""
        self._there = set(_children(os.getpid(), _processes()))  # such as servers of other tests
        self._before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        self._own_bytes = _memory(os.getpid())[0]
        self._began_s = time.monotonic()
        self._peak_bytes = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends."""
        wall_s = time.monotonic() - self._began_s
        self._done.set()
        self._thread.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own_peak_bytes, largest_bytes = _memory(os.getpid())[1], after.ru_maxrss * 1024
        # The largest child so far was one of these; a child begins as a copy of this process, which does not count.
        if after.ru_maxrss > self._before.ru_maxrss and largest_bytes > own_peak_bytes:
            self._peak_bytes = max(self._peak_bytes, largest_bytes)
        cpu_s = after.ru_utime + after.ru_stime - self._before.ru_utime - self._before.ru_stime
        own_bytes = max(0, own_peak_bytes - self._own_bytes)
        self.measured = Measured(self._peak_bytes, own_bytes, cpu_s, wall_s)

    def _watch(self) -> None:
        own = _command(os.getpid())
        while not self._done.wait(SAMPLE_S):
            now_bytes, highest_bytes = 0, 0
            for pid in (each for each in _descendants(os.getpid(), self._there) if _command(each) != own):
                resident, highest = _memory(pid)
                now_bytes, highest_bytes = now_bytes + resident, max(highest_bytes, highest)
            self._peak_bytes = max(self._peak_bytes, now_bytes, highest_bytes)


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and group of every process."""
    found: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - many times a second
        if name.isdigit():
            with suppress(OSError):
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                found[int(name)] = int(fields[PARENT]), int(fields[GROUP])
    return found


def _children(root: int, processes: Mapping[int, tuple[int, int]]) -> Iterator[int]:
    return (pid for pid, (parent, _) in processes.items() if parent == root)


def _descendants(root: int, without: Collection[int]) -> list[int]:
    """The children of a process but for some, theirs, and those of their groups that lost their parent."""
    processes = _processes()
    children = {*_children(root, processes)}.difference(without)
    return [
        pid for pid, (parent, group) in processes.items() if parent in children or group in children or pid in children
    ]


def _command(pid: int) -> bytes:
    """Its command line; that of its parent until it becomes its own program."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes now, and at most so far."""
    found = {"VmRSS": 0, "VmHWM": 0}
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024
    return found["VmRSS"], found["VmHWM"]
