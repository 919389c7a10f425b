"""A server as a child process: started, waited for, killed, stopped."""

import fcntl
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0
POLL_S = 0.05


class Server:
    """A server that can be killed, and started again with the same data at the same address.

    Args:
        command: how it is started.
        log: where its output goes.
        answers: whether it is up.
        account: who it runs as.
        stop_signal: how it is asked to stop.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        answers: Callable[[], bool],
        account: pwd.struct_passwd | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._start = partial(process, command, log, account, stop_signal=stop_signal)
        self._log = log
        self._answers = answers
        self._running = ExitStack()

    def start(self) -> None:
        """Start it and wait until it answers; right after a kill, what it left may be in the way for a moment.

        Raises:
            RuntimeError: it ended again and again.
            TimeoutError: it did not come up.
        """
        import stamina

        for attempt in stamina.retry_context(on=RuntimeError, attempts=None, timeout=STOP_LIMIT_S, wait_max=0.5):
            with attempt:
                self._running.close()
                self._process = self._running.enter_context(self._start())
                wait_until(self._answers, self._process, self._log)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it, unasked; what it started ends by itself."""
        self._process.kill()
        self._process.wait(STOP_LIMIT_S)

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._running.close()


@contextmanager
def process(
    command: list[str],
    log: Path,
    account: pwd.struct_passwd | None = None,
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own (as another account where root says so); stop it at the end."""
    other = account is not None and account.pw_uid != os.geteuid()
    with log.open("ab") as output:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            start_new_session=True,  # Swift signals its whole process group when it stops
            user=account.pw_uid if account and other else None,
            group=account.pw_gid if account and other else None,
            extra_groups=[] if other else None,
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(stop_signal)
        try:
            running.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(STOP_LIMIT_S)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the condition holds.

    Raises:
        RuntimeError: the process ended.
        TimeoutError: it took too long. Both messages say where its log is.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        if process.poll() is not None:
            raise RuntimeError(f"the {log.stem} server ended with status {process.returncode}; see {log}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the {log.stem} server did not answer within {START_LIMIT_S:.0f} s; see {log}")
        time.sleep(POLL_S)


def free_port() -> int:
    """A port of loopback that nobody listens on, and that no other process of the tests is given while this one lives.

    Between here and the server that is to listen there lie seconds; two that share a port answer each other's clients.
    """
    folder = Path(tempfile.gettempdir()) / f"madvision-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        # Never closed: the lock ends with the process.
        mine = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(mine)
            continue
        return port


def write_text(path: Path, text: str) -> None:
    """A file with this text."""
    path.write_text(text, encoding="utf-8")
