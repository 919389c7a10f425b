"""Runs ffmpeg: command lines from ffmpeg-python, the binary from imageio-ffmpeg, failures as leaves of the taxonomy."""

import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import Any, cast

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    CorruptMediaError,
    DiskFullError,
    Failure,
    MediaToolError,
    MediaToolMissingError,
    NotMediaError,
    SandboxUnusableError,
    TooCostlyError,
)
from madvision_assets.tools.media.structure import MAX_PIXELS
from madvision_assets.tools.sandbox import left
from madvision_assets.tools.sandbox.policy import SHORT_OF_MEMORY, Policy, cpu_limit_s
from madvision_assets.tools.sandbox.process import ChildProcess, OutOfTimeError
from madvision_assets.tools.sandbox.watch import OutOfBoundsError

Progress = Callable[[float], None]
"""Is told the share of the work that is done, 0 to 1, now and then."""

INPUT_FORMATS = (
    "mov,mp4,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,mxf,"  # with pictures
    "mp3,aac,flac,wav,w64,aiff,caf,ac3,eac3,amr"  # sound alone, so that it can be told apart from rubbish
)
"""The only demuxers that may open an input: none of them opens a second file or an address."""

INPUT_GUARD: Mapping[str, str] = {"protocol_whitelist": "file", "format_whitelist": INPUT_FORMATS}

STDERR_TAIL_BYTES = 4096
ROOM_BYTES = 1 << 20
BUSY_SHARE = 0.5
VERSION_TIMEOUT_S = 30
# 100 MB: 255 s, and 40 more to look at what is stored of it. Re-encoding an hour of an old recorder's 200 MB takes
# nearly what that has on two cores.
BUDGET_FLOOR_S = 90.0
BUDGET_S_PER_MB = 1.65
# Neither proxies nor credentials of ours are ffmpeg's business.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "AV_LOG_FORCE_NOCOLOR": "1"}

_ends_at_s: ContextVar[float] = ContextVar("ends_at_s", default=math.inf)
_at_least_s: ContextVar[float] = ContextVar("at_least_s", default=0.0)

_OUT_TIME = re.compile(rb"^out_time_us=(\d+)\s*$", re.MULTILINE)
_LOG_PREFIX = re.compile(r"\[[^\]]*@ 0x[0-9a-f]+\]\s*")
_PATH = re.compile(r"(?:file:)?/[^\s:'\"]+")
_WHAT_IT_MEANS: tuple[tuple[re.Pattern[str], type[Failure]], ...] = (
    (SHORT_OF_MEMORY, TooCostlyError),
    (re.compile("malloc of size"), TooCostlyError),  # x264's
    (re.compile(r"not on whitelist"), NotMediaError),
    (
        re.compile(r"Invalid data found|moov atom not found|Decode error rate|does not contain any stream"),
        CorruptMediaError,
    ),
)


def source(path: Path, **options: Any) -> Any:
    """An input for ffmpeg-python that can open nothing but this file, and it only as a media file."""
    import ffmpeg

    return ffmpeg.input(_address(path), **INPUT_GUARD, max_pixels=MAX_PIXELS, **options)


def target(streams: list[Any], path: Path, **options: Any) -> Any:
    """An output for ffmpeg-python."""
    import ffmpeg

    return ffmpeg.output(*streams, _address(path), **options)


def run(
    stream: Any,
    *,
    timeout_s: float,
    what: str,
    progress: Progress | None = None,
    duration_s: float | None = None,
    reads: Sequence[Path] = (),
    makes: Sequence[Path] = (),
) -> None:
    """Runs a command line to its end.

    Args:
        stream: what ffmpeg-python's ``output`` gives; inputs by ``source``.
        timeout_s: wall-clock limit, seconds; ffmpeg is killed when it is over, or when that of ``within`` is.
        what: the work, for messages: "cutting a clip".
        progress: is told the share done, where ``duration_s`` is known.
        duration_s: of what is written, seconds.
        reads: what filters read besides the inputs.
        makes: what filters write besides the outputs, each by its bare name (``./NAME``).

    Raises:
        MediaToolMissingError: there is no ffmpeg that can be run.
        SandboxUnusableError: it cannot be started under its controls.
        DiskFullError: no room for the output.
        NotMediaError: the input's format is none that we open.
        CorruptMediaError: the input cannot be decoded.
        TooCostlyError: it takes more memory than it may have, or works until the timeout.
        MediaToolError: anything else, and a timeout while the machine was busy.
    """
    command = _command(stream)
    status, errors = _run(command, at_most_s(timeout_s), what, _teller(progress, duration_s), reads, makes)
    if status != 0:
        raise _failure(command, errors, what, status)
    if progress is not None:
        progress(1.0)


@lru_cache(maxsize=1)
def version() -> str:
    """Version of the ffmpeg in use.

    Raises:
        MediaToolMissingError: ffmpeg cannot be run.
    """
    try:
        shown = subprocess.run(
            [_binary(), "-version"], check=True, timeout=VERSION_TIMEOUT_S, capture_output=True, text=True,
            env=ENVIRONMENT, stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise MediaToolMissingError(type(error).__name__) from error
    return shown.split()[2]


def _binary() -> str:
    import imageio_ffmpeg

    try:
        return cast("str", imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MediaToolMissingError("imageio-ffmpeg has no binary for this machine") from error


def _command(stream: Any) -> list[str]:
    import ffmpeg

    head = [_binary(), "-nostdin", "-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1"]
    return cast("list[str]", ffmpeg.compile(stream, cmd=head, overwrite_output=True))


def budget_s(size_bytes: int) -> float:
    """Wall-clock seconds that work on all of a file may take: by its bytes, or as ``at_least`` says.

    Never by what the file says of itself.
    """
    return max(_at_least_s.get(), BUDGET_FLOOR_S + size_bytes * BUDGET_S_PER_MB / 1e6)


@contextmanager
def at_least(limit_s: float) -> Iterator[None]:
    """Gives each piece of work inside that is done on a file so many wall-clock seconds where its bytes give it less.

    For files of ours: a picture that stands still has few bytes, and is decoded all the same.
    """
    token = _at_least_s.set(limit_s)
    try:
        yield
    finally:
        _at_least_s.reset(token)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Gives all work inside that is done on a file, by ffmpeg or ``apart``, so many wall-clock seconds together."""
    token = _ends_at_s.set(min(_ends_at_s.get(), time.monotonic() + limit_s))
    try:
        yield
    finally:
        _ends_at_s.reset(token)


def at_most_s(limit_s: float) -> float:
    """Seconds that one piece of work may take: its own limit, or what is left of all."""
    return max(0.0, min(limit_s, _ends_at_s.get() - time.monotonic()))


def _address(path: Path) -> str:
    return f"file:{path.absolute()}"  # so that no name is taken for an option or another protocol


def _teller(progress: Progress | None, duration_s: float | None) -> Callable[[bytes], None]:
    """Turns ffmpeg's ``-progress`` output into calls of ``progress``."""

    def tell(output: bytes) -> None:
        times = _OUT_TIME.findall(output)
        if progress is not None and duration_s and times:
            progress(min(1.0, int(times[-1]) / 1e6 / duration_s))

    return tell


def _run(
    command: list[str],
    timeout_s: float,
    what: str,
    tell: Callable[[bytes], None],
    reads: Sequence[Path],
    makes: Sequence[Path],
) -> tuple[int, str]:
    """Exit status and the tail of stderr."""
    inputs, outputs = _files(command)
    with _folder_beside(outputs[-1]) as own:
        moved = {_address(out): _address(own / out.name) for out in outputs}
        read = (*inputs, *reads, Path(command[0]))
        policy = Policy(read=read, write=(own,), cpu_s=cpu_limit_s(timeout_s))
        status, errors = _ended([moved.get(each, each) for each in command], own, policy, timeout_s, what, tell)
        for out in (*outputs, *makes) if status == 0 else ():
            _take(own / out.name, out, what)
        return status, errors.replace(str(own), str(own.parent))


def _files(command: list[str]) -> tuple[list[Path], list[Path]]:
    """What a command line reads, and what it writes."""
    named = [(before == "-i", each) for before, each in pairwise(command) if each.startswith("file:")]
    inputs = [Path(each.removeprefix("file:")) for is_input, each in named if is_input]
    return inputs, [Path(each.removeprefix("file:")) for is_input, each in named if not is_input]


@contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """A folder for one child alone: beside its output lies what others made, and what we write."""
    try:
        own = Path(mkdtemp(prefix=".ffmpeg-", dir=out.parent))
    except OSError as error:
        leaf = DiskFullError if disk.is_full(error.errno) else MediaToolError
        raise leaf(f"no folder for the output: {disk.reason(error.errno)}") from error
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _take(made: Path, out: Path, what: str) -> None:
    """Puts what a child made in its place; the format ``null`` makes nothing."""
    try:
        left.move(made, out)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CorruptMediaError(f"{what}: ffmpeg made something else than a file") from error


def _ended(
    command: list[str], own: Path, policy: Policy, timeout_s: float, what: str, tell: Callable[[bytes], None]
) -> tuple[int, str]:
    child = ChildProcess(command, env=ENVIRONMENT, cwd=own, policy=policy, grace_s=0)
    try:
        with child:
            child.give(b"")
            for line in child.lines(time_limit_s=timeout_s, stall_limit_s=timeout_s, sign_of_life=lambda: 0):
                tell(line)
            status = child.wait()
            if status != 0 and child.was_short_of_processor_time:
                raise TooCostlyError(f"{what} takes over {policy.cpu_s} s of the processor")
            return status, child.stderr[-STDERR_TAIL_BYTES:]
    except OutOfBoundsError as error:
        raise TooCostlyError(f"{what} takes {error}") from error
    except OutOfTimeError as error:
        raise out_of_time(child.cpu_s, timeout_s, what) from error
    except SandboxUnusableError as error:
        if os.access(command[0], os.X_OK):
            raise
        raise MediaToolMissingError(error.details) from error


def out_of_time(cpu_s: float, timeout_s: float, what: str) -> Failure:
    """The leaf for work that was ended: the file's fault where the processor worked at it, else a machine's."""
    leaf = TooCostlyError if cpu_s > BUSY_SHARE * timeout_s else MediaToolError
    return leaf(f"{what} took longer than {timeout_s:.0f} s")


def full_disk(folder: Path | None) -> Failure | None:
    """The leaf for a folder without room: tried by ourselves, since what a child says may be the input's words."""
    try:
        with TemporaryFile(dir=folder) as trial:
            trial.write(bytes(ROOM_BYTES))
    except OSError as error:
        return DiskFullError(disk.reason(error.errno)) if disk.is_full(error.errno) else None
    return None


def _failure(command: list[str], errors: str, what: str, status: int) -> Failure:
    for argument in command:
        if argument.startswith("file:"):  # longest names first is not needed: each is absolute
            errors = errors.replace(argument, "the file")
    errors = _PATH.sub("the file", _LOG_PREFIX.sub("", errors))
    files = [argument.removeprefix("file:") for argument in command if argument.startswith("file:")]
    if full := full_disk(Path(files[-1]).parent if files else None):  # outputs come last
        return full
    leaf = next((leaf for pattern, leaf in _WHAT_IT_MEANS if pattern.search(errors)), MediaToolError)
    ended = f"signal {-status}" if status < 0 else f"status {status}"
    return leaf(f"{what}: ffmpeg ended with {ended}: {errors.strip() or 'it said nothing'}")
