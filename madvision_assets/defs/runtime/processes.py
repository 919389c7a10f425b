"""Which process works at a video, so that it is found again where it hangs, and ended: it and no other.

A process is itself by its number, by when it was started, and by whose numbers these are: of which boot of which
machine, and of which container. Where the system does not tell that (it is not Linux), no process is ever ended.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

from madvision_assets.domain.provenance import Value

PROC = Path("/proc")
GRACE_S = 3.0
# A killed process is gone as soon as the system has let go of what it waits for.
DEATH_S = 5.0
POLL_S = 0.05
STOPPED, GONE = frozenset("Tt"), frozenset("ZX")
_STATE, _PARENT, _CPU, _STARTED = 0, 1, slice(11, 13), 19  # of the fields of /proc/PID/stat after the name, see proc(5)


class Process(Value):
    """A process, wherever it is.

    Attributes:
        host: name of its machine or container, for a person.
        place: boot of the machine, and namespace, in which its number is its own.
        pid: its number.
        started: when it was, in ticks since the boot.
    """

    host: str
    place: str
    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process of that number in here; None where there is none, or where it cannot be told from others."""
        place, stat = _place(), _stat(pid)
        return (
            cls(host=socket.gethostname(), place=place, pid=pid, started=int(stat[_STARTED]))
            if place and stat
            else None
        )

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine and this container: only then does its number say anything in here."""
        return self.place == _place()

    @property
    def is_of_this_machine(self) -> bool:
        """Whether the system that it is of is ours, since its start: then what it locked is locked for us too."""
        place = _place()
        return place is not None and self.place.split()[0] == place.split()[0]

    @property
    def is_alive(self) -> bool:
        """Whether it is in here, and it is still that very process."""
        return self._stat() is not None

    @property
    def cpu_ticks(self) -> int:
        """What it has used of the CPU, in ticks of the system; 0 where it is gone."""
        stat = self._stat()
        return sum(int(ticks) for ticks in stat[_CPU]) if stat else 0

    def end(self, grace_s: float = GRACE_S) -> bool:
        """End it and its children, politely first; whether it is gone.

        One that is stopped would hear nothing, and is not asked.
        """
        family = [self, *self._descendants()]
        if not self.is_here or any(each.pid == os.getpid() for each in family):
            return False
        if not self._is_stopped:
            _signal(self, signal.SIGTERM)
            self._is_gone_within(grace_s)
        for each in [*self._frozen(), *family]:
            _signal(each, signal.SIGKILL)
        return self._is_gone_within(DEATH_S)

    @property
    def _is_stopped(self) -> bool:
        stat = self._stat()
        return stat is None or stat[_STATE] in STOPPED

    def _stat(self) -> list[str] | None:
        stat = _stat(self.pid) if self.is_here else None
        return stat if stat and int(stat[_STARTED]) == self.started and stat[_STATE] not in GONE else None

    def _frozen(self) -> list["Process"]:
        """It and its children, stopped, since what is stopped has no more of them."""
        frozen: list[Process] = []
        while born := [each for each in (self, *self._descendants()) if each not in frozen]:
            for each in born:
                _signal(each, signal.SIGSTOP)
            frozen += born
        return frozen

    def _is_gone_within(self, limit_s: float) -> bool:
        deadline_s = time.monotonic() + limit_s
        while self.is_alive:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(POLL_S)
        return True

    def _descendants(self) -> Iterator["Process"]:
        """Its children, and theirs, those in sessions of their own too."""
        if not self.is_alive:
            return
        children: dict[int, list[int]] = {}
        for folder in PROC.glob("[0-9]*"):
            if stat := _stat(int(folder.name)):
                children.setdefault(int(stat[_PARENT]), []).append(int(folder.name))
        generation = children.get(self.pid, [])
        while generation:
            for pid in generation:
                if found := Process.of(pid):
                    yield found
            generation = [child for pid in generation for child in children.get(pid, [])]


def _signal(process: Process, number: signal.Signals) -> None:
    if process.is_alive:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


@cache
def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _place() -> str | None:
    with suppress(OSError):  # asked again the next time: it may be that no more files could be opened
        return f"{_boot()} {(PROC / 'self/ns/pid').readlink()}"
    return None


def _stat(pid: int) -> list[str] | None:
    """The fields of a process from its state on; None where it is gone."""
    with suppress(OSError, IndexError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return None


class Owner(Value):
    """Who holds a lock, or is at work: a process, and what for.

    Attributes:
        process: None where processes cannot be told from each other.
        video_id: at which video.
        run_id: the Dagster run; empty where there is none.
        attempt: which attempt at the video; None where the queue knows of none.
    """

    process: Process | None
    video_id: str
    run_id: str = ""
    attempt: int | None = None

    @classmethod
    def here(cls, video_id: str, run_id: str = "", attempt: int | None = None) -> Self:
        """This process."""
        return cls(process=Process.of(os.getpid()), video_id=video_id, run_id=run_id, attempt=attempt)

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return f"process {self.process.pid} on {self.process.host}" if self.process else "an unknown process"

    def has_superseded(self, other: "Owner | None") -> bool:
        """Whether the other one's lease on the video is over because of this one: a later attempt has taken it."""
        if other is None or self.attempt is None or other.attempt is None:
            return False
        return other.video_id == self.video_id and other.run_id != self.run_id and other.attempt < self.attempt
