"""Dagster's code server, whose runs are forked from a process that has everything loaded: ``madvision code-server``.

Dagster gives each run a fresh interpreter, which spends more CPU on imports than on a video with short stages. Here
each run is a process of its own as well, with the same way to be stopped; only its beginning is shared. A run outlives
the server that it was forked from, as it outlives the code server.
"""

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, ClassVar

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.runtime.locks import announced, is_lost
from madvision_assets.defs.runtime.processes import Process

PRELOADED = "madvision_assets.defs.preloaded"
SOCKETS, LOCK = "madvision-runs-", "lock"
# The address of a socket has at most 107 bytes (macOS: 103), see unix(7); its name and its folder's are 42 of them.
LONGEST_PARENT = 60
# So long a server that was asked to fork uses no CPU at all: it hangs, where on a busy machine it would only be slow.
LOOK_EVERY_S, LOOKS = 5.0, 6


def run(arguments: Sequence[str], *, forks_now: bool = True) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        arguments: those of ``dagster api grpc``.
        forks_now: begin the process that runs are forked from at once, and not with the first run: there may be none.
    """
    multiprocessing.set_forkserver_preload([PRELOADED])
    dagster_inside.keep_connections()
    with sockets_in_a_folder():
        if forks_now:
            forkserver.ensure_running()
        dagster_inside.run_code_server(arguments, Forked())


@contextmanager
def sockets_in_a_folder() -> Iterator[None]:
    """Keep the address of what runs are forked from in a folder that goes with us, or with our successor."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > LONGEST_PARENT:
        parent = Path("/tmp")  # noqa: S108 - what is made in it is ours alone
    for folder in parent.glob(f"{SOCKETS}*"):
        if is_lost(folder / LOCK):
            shutil.rmtree(folder, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=SOCKETS, dir=parent, ignore_cleanup_errors=True) as own,
        announced(Path(own) / LOCK),
    ):
        multiprocessing.current_process()._config["tempdir"] = own  # type: ignore[attr-defined]  # noqa: SLF001
        yield


class ForkedRun(ForkServerProcess):
    """The process of a run, as Dagster's code server knows it."""

    _itself: Process | None = None

    def start(self) -> None:
        """Start it.

        A server that does not fork, though it was asked and is there, is killed, and another one begun: once.

        Raises:
            OSError: nor did the other one.
        """
        try:
            self._start()
        except (EOFError, OSError):
            kill_server()  # it may be about to end, and would be taken for one that is there
            self._start()
        self._itself = Process.of(int(self.pid or 0))

    def _start(self) -> None:
        started = threading.Event()
        threading.Thread(target=_kill_server_that_hangs, args=(started,), daemon=True).start()
        try:
            super().start()
        finally:
            started.set()

    def is_alive(self) -> bool:
        """Whether it is there; where the server is gone that would tell its end, the system is asked."""
        return super().is_alive() or (self._itself is not None and self._itself.is_alive)


class Forked(ForkServerContext):
    """What Dagster makes the processes of runs by, and what it shares with them."""

    Process: ClassVar[Any] = ForkedRun


def _kill_server_that_hangs(started: threading.Event) -> None:
    used, looks = -1, 0
    while looks < LOOKS:
        if started.wait(LOOK_EVERY_S):
            return
        server = Process.of(server_pid() or 0)
        before, used = used, server.cpu_ticks if server else 0
        looks = looks + 1 if used == before else 0
    kill_server()


def kill_server() -> None:
    """End the process that runs are forked from; those that there are go on, and the next one begins another."""
    with suppress(ProcessLookupError, ChildProcessError):
        if pid := server_pid():
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # whoever begins another looks whether it has ended


def server_pid() -> int | None:
    """The process that runs are forked from; None before it was begun."""
    pid: int | None = vars(forkserver._forkserver)["_forkserver_pid"]  # noqa: SLF001
    return pid
