"""Keeps a part at work: what has died, or has not done its work for some time, is started again.

A part has a process group to itself. What it started there (a code server's runs) outlives it, and goes on; only when
all is to stop, everything in the groups is told to. Nothing is judged by a clock: so many looks in a row without an
answer mean that a part does not work, so that a machine that was paused just goes on.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from madvision_assets.work.alive import Complaint

POLL_S = 0.2


@dataclass(frozen=True)
class Patience:
    """How patient a keeper is.

    Attributes:
        look_every_s: between two looks.
        look_again_s: likewise, once a look has found that the part does not work.
        looks: so many in a row must find that.
        start_look_every_s, start_looks: the same until it has worked for the first time.
        end_s: for an unwilling part to end by itself.
        stop_s: for all that it started, when all is to stop.
        pauses_s: before it is started again: the first, and the longest, each being twice the one before.
        worked_s: after so long at work the next pause is the first again.
    """

    look_every_s: float = 5.0
    look_again_s: float = 2.0
    looks: int = 6
    start_look_every_s: float = 1.0
    start_looks: int = 180
    end_s: float = 3.0
    stop_s: float = 40.0
    pauses_s: tuple[float, float] = (1.0, 30.0)
    worked_s: float = 60.0


class Keeper:
    """Keeps one part at work.

    Args:
        start: starts it, in a session of its own.
        complaint: asks it; may take seconds.
        tell: is told in a sentence when it is started again, and why.
        mark: a file that is touched at each look that finds it at work, for a container's health check.
    """

    def __init__(
        self,
        start: Callable[[], "subprocess.Popen[bytes]"],
        complaint: Complaint,
        tell: Callable[[str], None],
        *,
        mark: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._start = start
        self._complaint = complaint
        self._tell = tell
        self._mark = mark
        self._patience = patience or Patience()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self.works = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Keep it at work until told to stop; then nothing of it is left."""
        pauses = self._pauses()
        try:
            while not stop.is_set():
                try:
                    process = self._process = self._start()
                except OSError as error:  # the machine has no room for it just now
                    self._pause(next(pauses), f"it cannot be started ({error})", stop)
                    continue
                self._groups = {group for group in self._groups if _lives(group)} | {process.pid}
                began_s = time.monotonic()
                why = self._watch(process, stop)
                self.works.clear()
                if stop.is_set():
                    break
                if time.monotonic() - began_s > self._patience.worked_s:
                    pauses = self._pauses()
                self._end(process)
                self._pause(next(pauses), why, stop)
        finally:
            self._end_all()

    def _pause(self, pause_s: float, why: str, stop: threading.Event) -> None:
        self._tell(f"{why}; it is started again in {pause_s:g} s")
        stop.wait(pause_s)

    def _pauses(self) -> Iterator[float]:
        first_s, longest_s = self._patience.pauses_s
        return (min(first_s * 2**n, longest_s) for n in count())

    def _watch(self, process: "subprocess.Popen[bytes]", stop: threading.Event) -> str:
        """Look at it until it has to be started again; why."""
        patience = self._patience
        in_vain, limit, every_s = 0, patience.start_looks, patience.start_look_every_s
        while True:
            if self._ended(process, stop, every_s):
                return f"it ended with {process.returncode}"
            wrong = self._complaint()
            if wrong is None:
                in_vain, limit, every_s = 0, patience.looks, patience.look_every_s
                self._note()
                continue
            in_vain += 1
            if self.works.is_set():
                every_s = patience.look_again_s
            if in_vain >= limit and process.poll() is None:
                return f"it {wrong}"

    def _ended(self, process: "subprocess.Popen[bytes]", stop: threading.Event, within_s: float) -> bool:
        """Whether it ended before the next look; true also when all is to stop."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if process.poll() is not None or stop.wait(POLL_S):
                return True
        return False

    def _note(self) -> None:
        self.works.set()
        if len(self._groups) > 1:  # the number of one that has ended may be somebody else's tomorrow
            self._groups = {group for group in self._groups if _lives(group)}
        if self._mark is not None:
            with suppress(OSError):  # without it the container's health check tells
                self._mark.touch()

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End the part alone."""
        for act in (process.terminate, process.kill):
            act()
            try:
                process.wait(self._patience.end_s)
            except subprocess.TimeoutExpired:
                continue
            return

    def _end_all(self) -> None:
        """End the part and all that any of its lives started: asked first, those too that stand still; then killed."""
        for signs, limit_s in (((signal.SIGTERM, signal.SIGCONT), self._patience.stop_s), ((signal.SIGKILL,), 5.0)):
            for group in self._groups:
                for sign in signs:
                    _send(group, sign)
            until_s = time.monotonic() + limit_s
            while self._groups and time.monotonic() < until_s:
                self._groups = {group for group in self._groups if _lives(group)}
                time.sleep(POLL_S / 4)
                if self._process is not None:
                    self._process.poll()


def _send(group: int, sign: int) -> bool:
    try:
        os.killpg(group, sign)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of one that is a zombie
        return False
    return True


def _lives(group: int) -> bool:
    """Whether anybody of a process group is there who is more than an entry in the table of processes."""
    if not _send(group, 0):
        return False
    states = [fields for fields in _processes() if fields[2] == str(group)]
    return not states or any(fields[0] not in "ZX" for fields in states)


def _processes() -> Iterator[list[str]]:
    """State, parent and group of each process, by /proc; nothing where there is none."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            yield path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
