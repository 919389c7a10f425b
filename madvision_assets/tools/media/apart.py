"""Runs what parses foreign media in a sandboxed child, which holds the one file and nothing else.

The child (``child.py``) gets an open file, or a socket by which it asks for stretches of a stream of ours, and for some
jobs an open file of ours that it writes into (``beside``); it answers in lines of JSON: any number of blocks of bytes,
then one result or one failure. Nothing is pickled either way.
Inside ``one_child`` the same child does one job after the other: to start it takes longer than most of its jobs.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO, Self

from madvision_assets.domain.failures import CorruptMediaError, Failure, MediaToolError, TooCostlyError, leaves
from madvision_assets.tools.media.ffmpeg import at_most_s, budget_s, out_of_time
from madvision_assets.tools.sandbox.policy import PACKAGE, Policy, cpu_limit_s, python_paths
from madvision_assets.tools.sandbox.process import ChildProcess, OutOfTimeError
from madvision_assets.tools.sandbox.watch import OutOfBoundsError

CHILD = "madvision_assets.tools.media.child"
ASK = struct.Struct("<QQ")  # offset and number of bytes
ANSWER = struct.Struct("<Q")  # number of bytes that follow
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS)
WAIT_S = 5.0
JOBS_TIME = 4  # a kept child may have the processor for as long as so many jobs like its first


def result_of(job: str, source: Path | BinaryIO, *, beside: BinaryIO | None = None, **options: Any) -> Any:
    """What a job of the child says of a file or a seekable stream.

    Args:
        job: its name in ``child.JOBS``.
        source: what it reads.
        beside: an open file that it reads and writes, for jobs that make one.
        options: of the job.

    Raises:
        TooCostlyError: it takes more memory or time than the file's size can need.
        CorruptMediaError: the decoder crashed over it.
        Failure: what the job raises; errors that a stream of ours raises pass unchanged.
    """
    return next(message["result"] for message in _messages(job, source, options, beside) if "result" in message)


def bytes_of(job: str, source: Path | BinaryIO, **options: Any) -> Iterator[bytes]:
    """The blocks of bytes that a job of the child gives, as they come.

    Raises:
        Failure: as ``result_of`` does.
    """
    for message in _messages(job, source, options):
        if "block" in message:
            yield base64.b64decode(message["block"])


@contextlib.contextmanager
def one_child() -> Iterator[None]:
    """Inside, one child does all jobs that this thread gives one after the other; one that was lost is replaced.

    For files of one video only: what a file makes of the child, the next one meets.
    """
    with _Child() as child:
        token = _kept.set(child)
        try:
            yield
        finally:
            _kept.reset(token)


class _Child:
    """A child that is started when it is first needed."""

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self._process: ChildProcess | None = None
        self._cpu_s = 0  # what the process may have
        self.busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends it; the next order starts another one."""
        self._process = None
        self._held.close()

    def give(self, order: dict[str, Any], fds: Sequence[int], time_limit_s: float) -> ChildProcess:
        """Hands an order and the files that it is about to the child, which has processor time enough for it."""
        need_s = cpu_limit_s(time_limit_s)
        if self._process is not None and self._process.cpu_s + need_s > self._cpu_s:
            self.end()
        process = self._process or self._started(JOBS_TIME * need_s)
        with contextlib.suppress(OSError):  # it is gone, which is told by its silence
            socket.send_fds(self._orders, [json.dumps(order).encode()], fds)
        return process

    def _started(self, cpu_s: int) -> ChildProcess:
        read, listed = python_paths()
        policy, self._cpu_s = Policy(read=read, listed=listed, cpu_s=cpu_s), cpu_s
        environment = {"PYTHONPATH": str(PACKAGE.parent), "LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"}
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._held.callback(self._orders.close)
        with theirs:
            process = ChildProcess(
                [sys.executable, "-P", "-s", "-m", CHILD, str(theirs.fileno())],
                env=environment, cwd=Path("/"), policy=policy, pass_fds=(theirs.fileno(),), grace_s=0,
            )  # fmt: skip
            self._process = self._held.enter_context(process)
        process.give(b"")
        return process


_kept: ContextVar[_Child | None] = ContextVar("kept", default=None)


def _messages(
    job: str, source: Path | BinaryIO, options: dict[str, Any], beside: BinaryIO | None = None
) -> Iterator[dict[str, Any]]:
    with contextlib.ExitStack() as held:
        stream = held.enter_context(_opened(source)) if isinstance(source, Path) else source
        size_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        served: _Served | None = None
        if isinstance(source, Path):
            fd = stream.fileno()
            order: dict[str, Any] = {}
        else:
            served = held.enter_context(_Served(stream))
            fd = served.fd
            order = {"size": size_bytes}
        order |= {"job": job, "options": options}
        fds = [fd] if beside is None else [fd, beside.fileno()]
        kept = _kept.get()
        child = kept if kept is not None and not kept.busy else held.enter_context(_Child())
        try:
            yield from _talk(child, order, fds, at_most_s(budget_s(size_bytes)))
        except Failure:
            if served is not None and served.problem is not None:  # not the file's fault, but our stream's
                raise served.problem from None
            raise


def _talk(child: _Child, order: dict[str, Any], fds: Sequence[int], time_limit_s: float) -> Iterator[dict[str, Any]]:
    what, answered = f"reading the file ({order['job']})", False
    child.busy = True
    try:
        process = child.give(order, fds, time_limit_s)
        cpu_before_s = process.cpu_s
        try:
            for line in process.lines(time_limit_s=time_limit_s, stall_limit_s=time_limit_s, sign_of_life=lambda: 0):
                message = json.loads(line)
                if answered := "result" in message or "failure" in message:
                    break
                yield message
        except OutOfBoundsError as error:
            raise TooCostlyError(f"{what} takes {error}") from error
        except OutOfTimeError as error:
            raise out_of_time(process.cpu_s - cpu_before_s, time_limit_s, what) from error
        if not answered:
            if process.was_short_of_memory:
                raise TooCostlyError(f"{what} ended for want of memory")
            status = process.wait()
            if process.was_short_of_processor_time:
                raise TooCostlyError(f"{what} takes too much of the processor")
            raise _lost(status, process.last_words, what)
        if "failure" in message:
            raise _leaf(message)
        yield message
    finally:
        child.busy = False
        if not answered:  # lost, or left in the middle of an answer
            child.end()


def _leaf(message: dict[str, Any]) -> Failure:
    leaf = next((leaf for leaf in leaves() if leaf.code == message["failure"]), MediaToolError)
    return leaf(str(message.get("details", "")))


def _lost(status: int, words: str, what: str) -> Failure:
    if -status in CRASHES:
        return CorruptMediaError(f"{what}: the decoder crashed ({signal.Signals(-status).name})")
    return MediaToolError(f"{what} ended with status {status}: {words}")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise MediaToolError(f"the file cannot be read: {error.strerror}") from error


class _Served:
    """Answers the child's questions for stretches of a stream, in a thread, while its context is open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._ours, self._theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="media-source", daemon=True)
        self.problem: BaseException | None = None

    @property
    def fd(self) -> int:
        """The child's end."""
        return self._theirs.fileno()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._thread.join(WAIT_S)

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._ours.makefile("rb") as questions:
            while len(question := questions.read(ASK.size)) == ASK.size:
                offset, length = ASK.unpack(question)
                try:
                    self._stream.seek(offset)
                    data = self._stream.read(length)
                except BaseException as error:  # noqa: BLE001 - raised where the stream's owner waits
                    self.problem = error
                    self._ours.shutdown(socket.SHUT_RDWR)
                    return
                self._ours.sendall(ANSWER.pack(len(data)) + data)
