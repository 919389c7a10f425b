"""Runs ffmpeg: command lines from ffmpeg-python, the binary from imageio-ffmpeg, failures as leaves of the taxonomy."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, cast

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    CorruptMediaError,
    DiskFullError,
    Failure,
    MediaToolError,
    MediaToolMissingError,
    NotMediaError,
)

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
READ_BYTES = 65536
VERSION_TIMEOUT_S = 30
# Neither proxies nor credentials of ours are ffmpeg's business.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "AV_LOG_FORCE_NOCOLOR": "1"}

_OUT_TIME = re.compile(rb"^out_time_us=(\d+)\s*$", re.MULTILINE)
_LOG_PREFIX = re.compile(r"\[[^\]]*@ 0x[0-9a-f]+\]\s*")
_PATH = re.compile(r"(?:file:)?/[^\s:'\"]+")
_WHAT_IT_MEANS: tuple[tuple[re.Pattern[str], type[Failure]], ...] = (
    (re.compile(r"not on whitelist"), NotMediaError),
    (
        re.compile(r"Invalid data found|moov atom not found|Decode error rate|does not contain any stream"),
        CorruptMediaError,
    ),
)


def source(path: Path, **options: Any) -> Any:
    """An input for ffmpeg-python that can open nothing but this file, and it only as a media file."""
    import ffmpeg

    return ffmpeg.input(_address(path), **INPUT_GUARD, **options)


def target(streams: list[Any], path: Path, **options: Any) -> Any:
    """An output for ffmpeg-python."""
    import ffmpeg

    return ffmpeg.output(*streams, _address(path), **options)


def run(
    stream: Any, *, timeout_s: float, what: str, progress: Progress | None = None, duration_s: float | None = None
) -> None:
    """Runs a command line to its end.

    Args:
        stream: what ffmpeg-python's ``output`` gives; inputs by ``source``.
        timeout_s: wall-clock limit, seconds; ffmpeg is killed when it is over.
        what: the work, for messages: "cutting a clip".
        progress: is told the share done, where ``duration_s`` is known.
        duration_s: of what is written, seconds.

    Raises:
        MediaToolMissingError: ffmpeg cannot be run.
        DiskFullError: no room for the output.
        NotMediaError: the input's format is none that we open.
        CorruptMediaError: the input cannot be decoded.
        MediaToolError: anything else, and the timeout.
    """
    command = _command(stream)
    status, errors = _run(command, timeout_s, what, _teller(progress, duration_s))
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


def _address(path: Path) -> str:
    return f"file:{path.absolute()}"  # so that no name is taken for an option or another protocol


def _teller(progress: Progress | None, duration_s: float | None) -> Callable[[bytes], None]:
    """Turns ffmpeg's ``-progress`` output into calls of ``progress``."""

    def tell(output: bytes) -> None:
        times = _OUT_TIME.findall(output)
        if progress is not None and duration_s and times:
            progress(min(1.0, int(times[-1]) / 1e6 / duration_s))

    return tell


def _run(command: list[str], timeout_s: float, what: str, tell: Callable[[bytes], None]) -> tuple[int, str]:
    """Exit status and the tail of stderr."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise MediaToolMissingError(type(error).__name__) from error
    with process:
        try:
            errors = _drain(process, time.monotonic() + timeout_s, tell)
        except TimeoutError as error:
            raise MediaToolError(f"{what} took longer than {timeout_s:.0f} s") from error
        finally:
            _kill_group(process)
        return process.wait(), errors


def _drain(process: subprocess.Popen[bytes], deadline: float, tell: Callable[[bytes], None]) -> str:
    """Reads both pipes until they close and the process ends; keeps only the tail of stderr.

    Raises:
        TimeoutError: the deadline passed first.
    """
    tail = b""
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(cast("IO[bytes]", pipe), selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                chunk = os.read(key.fd, READ_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    tail = (tail + chunk)[-STDERR_TAIL_BYTES:]
                else:
                    tell(chunk)
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return tail.decode(errors="replace")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # start_new_session made it the leader of its group


def _disk_is_full(command: list[str]) -> Failure | None:
    """Whether there is no room where the output goes: tried by ourselves, since ffmpeg's words may be the input's."""
    files = [argument.removeprefix("file:") for argument in command if argument.startswith("file:")]
    folder = Path(files[-1]).parent if files else None  # outputs come last
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
    if full := _disk_is_full(command):
        return full
    leaf = next((leaf for pattern, leaf in _WHAT_IT_MEANS if pattern.search(errors)), MediaToolError)
    ended = f"signal {-status}" if status < 0 else f"status {status}"
    return leaf(f"{what}: ffmpeg ended with {ended}: {errors.strip() or 'it said nothing'}")
