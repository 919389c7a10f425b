"""A child process in a group of its own that is gone when its context is left, whatever happened."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from madvision_assets.domain.failures import SandboxUnusableError
from madvision_assets.tools.sandbox.controls import STARTED, confined, hide_this_process
from madvision_assets.tools.sandbox.policy import SHORT_OF_MEMORY, Policy
from madvision_assets.tools.sandbox.watch import Watch

TICK_S = 0.25
TERM_GRACE_S = 5.0
TAIL_BYTES = 16 * 1024
NEARLY_ALL = 0.75
MAX_LINE_BYTES = 16 * 1024 * 1024
READ_BYTES = 64 * 1024


class OutOfTimeError(Exception):
    """The child ran too long, or stopped showing signs of life.

    Attributes:
        share: of the time since its last sign of life, how much its first process was busy.
    """

    def __init__(self, message: str, share: float = 0.0) -> None:
        super().__init__(message)
        self.share = share


class ChildProcess:
    """A command with pipes, in its own session, so that it and its children can be ended together.

    Args:
        command: program and arguments.
        env: its whole environment.
        cwd: where it runs.
        policy: what it may have.
        pass_fds: open files that it gets by their numbers.
        grace_s: how long it may take to end after SIGTERM; 0 to kill it at once.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        policy: Policy,
        pass_fds: Collection[int] = (),
        grace_s: float = TERM_GRACE_S,
    ) -> None:
        self._command = command
        self._env = env
        self._cwd = cwd
        self._policy = policy
        self._pass_fds = pass_fds
        self._grace_s = grace_s
        self._tail = b""

    def __enter__(self) -> Self:
        """Starts it.

        Raises:
            SandboxUnusableError: no process can be had, or nobody knows under which controls.
        """
        hide_this_process()
        try:
            self._process, self._report = self._begun()
        except OSError as error:
            raise SandboxUnusableError(f"no process can be had: {error.strerror}") from error
        self._watch = Watch(self._process.pid, self._policy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends its whole group, politely first, and closes the pipes."""
        self._end()
        os.close(self._report)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @property
    def pid(self) -> int:
        """Its process ID, which is also the ID of its group."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """The end of its stderr."""
        return self._tail.decode("utf-8", "replace")

    @property
    def cpu_s(self) -> float:
        """Processor seconds that its first process had when it was last looked at."""
        return self._watch.cpu_s

    @property
    def was_short_of_memory(self) -> bool:
        """Whether it says so, or had nearly all that it may have: one that ends so may not be able to say why."""
        return bool(SHORT_OF_MEMORY.search(self.last_words)) or (
            self._watch.most_bytes > NEARLY_ALL * self._policy.limit_bytes
        )

    @property
    def was_short_of_processor_time(self) -> bool:
        """Whether it was ended for it; one that catches the signal (ffmpeg) ends by itself, having had nearly all."""
        if (status := self._process.returncode) in (None, -signal.SIGKILL) or status >= 0:
            return self._policy.cpu_s is not None and self.cpu_s > NEARLY_ALL * self._policy.cpu_s
        return bool(status == -signal.SIGXCPU)

    @property
    def last_words(self) -> str:
        """The last line of its stderr that is not blank."""
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def give(self, data: bytes) -> None:
        """Writes all of its stdin, which it must read first of all, and closes it."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(data)
                self._process.stdin.close()

    def lines(
        self, *, time_limit_s: float, stall_limit_s: float, sign_of_life: Callable[[], object]
    ) -> Iterator[bytes]:
        """The lines of its stdout as they come, until it closes it.

        Args:
            time_limit_s: for all of them.
            stall_limit_s: without a line and without a change of ``sign_of_life``, which is asked every second.
            sign_of_life: a number that changes while the child works.

        Raises:
            OutOfTimeError: one of the limits is over.
            OutOfBoundsError: it takes more than it may have.
        """
        now_s = time.monotonic()
        deadline_s, alive_s, sign = now_s + time_limit_s, now_s, sign_of_life()
        cpu_s = self.cpu_s  # when it last showed a sign of life
        for chunk in self._chunks():
            now_s = time.monotonic()
            if chunk:
                yield from chunk
                busy_s = time.monotonic() - now_s  # what is done with its lines is not the child's time
                deadline_s, now_s = deadline_s + busy_s, now_s + busy_s
                alive_s, cpu_s = now_s, self.cpu_s
            elif (latest := sign_of_life()) != sign:
                alive_s, sign, cpu_s = now_s, latest, self.cpu_s
            share = (self.cpu_s - cpu_s) / max(now_s - alive_s, TICK_S)
            if now_s > deadline_s:
                raise OutOfTimeError(f"over {time_limit_s:.0f} s", share)
            if now_s - alive_s > stall_limit_s:
                raise OutOfTimeError(f"nothing happened for {stall_limit_s:.0f} s", share)

    def wait(self) -> int:
        """Its exit status, negative for a signal; it is ended where it lingers after its last line.

        Raises:
            SandboxUnusableError: the command was never started; what it was to read is not to blame.
        """
        try:
            status = self._process.wait(TERM_GRACE_S)
        except subprocess.TimeoutExpired:
            self._end()
            status = self._process.wait()
        report = self._reported()
        if report != STARTED:
            why = report.removeprefix(STARTED).decode("utf-8", "replace")
            raise SandboxUnusableError(why or f"the launcher ended with status {status}")
        return status

    def _begun(self) -> tuple[subprocess.Popen[bytes], int]:
        """The launcher, and where it tells of itself."""
        report, launchers = os.pipe()
        try:
            process = subprocess.Popen(
                confined(self._command, self._policy, launchers),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                pass_fds=(*self._pass_fds, launchers),
            )
        except BaseException:
            os.close(report)
            raise
        finally:
            os.close(launchers)
        return process, report

    def _reported(self) -> bytes:
        """What the launcher told of itself."""
        os.set_blocking(self._report, False)  # a process forked off meanwhile may hold the other end open
        with contextlib.suppress(BlockingIOError):
            return os.read(self._report, TAIL_BYTES)
        return b""

    def _chunks(self) -> Iterator[list[bytes]]:
        """Whole lines of stdout, as many as there are; an empty list for each tick without one."""
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            return
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while stdout in selector.get_map():
                lines: list[bytes] = []
                self._watch.look()
                for key, _ in selector.select(TICK_S):
                    data = os.read(key.fd, READ_BYTES)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is stderr:
                        self._tail = (self._tail + data)[-TAIL_BYTES:]
                    else:
                        *lines, pending = (pending + data).split(b"\n")
                        pending = pending[:MAX_LINE_BYTES]
                yield lines

    def _end(self) -> None:
        """Ends the group: also what the leader may have left behind (an ffmpeg), at once after the leader is reaped."""
        if self._grace_s:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
        self._signal(signal.SIGKILL)
        self._process.wait(TERM_GRACE_S)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left (macOS: but a zombie)
            os.killpg(self._process.pid, number)
