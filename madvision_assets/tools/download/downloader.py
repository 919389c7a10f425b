"""The parent's side of a download: start the child, listen, keep the limits, end it."""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from madvision_assets.domain.failures import (
    ConnectionLostError,
    DownloadTimeoutError,
    EmptyFileError,
    ExtractionFailedError,
    Failure,
    HostUnresolvedError,
    RefusedAddressError,
    SourceServerError,
    TooCostlyError,
    TooLargeError,
    UnexpectedError,
    WorkerLostError,
)
from madvision_assets.domain.video import SourceMetadata, canonical_address
from madvision_assets.tools.download.errors import classify
from madvision_assets.tools.download.messages import Job, Message, Problem, Progress, Success
from madvision_assets.tools.download.metadata import source_metadata
from madvision_assets.tools.sandbox.policy import Policy, python_paths
from madvision_assets.tools.sandbox.process import ChildProcess, OutOfTimeError
from madvision_assets.tools.sandbox.watch import OutOfBoundsError

CHILD = "madvision_assets.tools.download.child"
STALL_LIMIT_S = 120.0
# While ffmpeg merges or mends, everything is in the folder twice.
FOLDER_TIMES_MAX_BYTES = 2.2
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# What a client may make of the proxy's answer that a host does not resolve.
VAGUE = (ConnectionLostError, ExtractionFailedError, SourceServerError, UnexpectedError)

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)

OnProgress = Callable[[float, str], None]


class FilteringProxy(Protocol):
    """The child's only way to the network (``tools.egress`` has one)."""

    @property
    def url(self) -> str:
        """Where it listens."""

    @property
    def refusals(self) -> Sequence[str]:
        """What it did not let through, in the order of asking."""

    @property
    def unresolved(self) -> Sequence[str]:
        """Hosts that have no address."""


@dataclass(frozen=True)
class Download:
    """A file that came whole as far as the source tells.

    Attributes:
        path: the file, in the folder that was given.
        source: what the source says of the video; its ``duration_s`` is there to be compared with the file's.
        engine_version: of yt-dlp.
    """

    path: Path
    source: SourceMetadata
    engine_version: str


@dataclass(frozen=True)
class Downloader:
    """Fetches videos with yt-dlp, each in a child process behind a filtering proxy.

    Attributes:
        allow_private: let the child reach private and loopback addresses.
        max_height: of the picture, pixels; a larger one is taken only where there is no other.
        max_bytes: refuse more.
        max_duration_s: refuse more, seconds.
        time_limit_s: of one ``fetch``, seconds.
        open_proxy: makes the proxy, given ``allow_private``.
        stall_limit_s: without progress, seconds.
    """

    allow_private: bool
    max_height: int
    max_bytes: int
    max_duration_s: float
    time_limit_s: float
    open_proxy: Callable[[bool], AbstractContextManager[FilteringProxy]]
    stall_limit_s: float = STALL_LIMIT_S

    def fetch(self, address: str, folder: Path, progress: OnProgress) -> Download:
        """Downloads the video at an address into a folder of its own, going on where an earlier call stopped.

        Args:
            address: http or https.
            folder: kept between tries of the same address; made where it is missing.
            progress: told the fraction done (0 to 1, never falling) and a text, a few times a second.

        Raises:
            Failure: a leaf that says why there is no download; what came so far stays in the folder.
        """
        address = canonical_address(address)
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        with self.open_proxy(self.allow_private) as proxy:
            job = Job(
                address=address,
                folder=folder,
                proxy=proxy.url,
                max_height=self.max_height,
                max_bytes=self.max_bytes,
                max_duration_s=self.max_duration_s,
            )
            answer = self._run(job, progress)
            if isinstance(answer, Problem):
                raise _failure(answer, proxy)
        path = folder / Path(answer.name).name
        if not path.is_file() or not path.stat().st_size:
            raise EmptyFileError
        return Download(path, source_metadata(answer.info), answer.engine_version)

    def _run(self, job: Job, progress: OnProgress) -> Success | Problem:
        """The child's last message."""
        command = [sys.executable, "-P", "-s", "-m", CHILD]
        environment, policy = child_environment(job.folder, job.proxy), child_policy(job)
        with ChildProcess(command, env=environment, cwd=job.folder, policy=policy) as child:
            child.give(job.model_dump_json().encode())
            try:
                for line in child.lines(
                    time_limit_s=self.time_limit_s,
                    stall_limit_s=self.stall_limit_s,
                    sign_of_life=lambda: self._size_within_limit(job.folder),
                ):
                    message = _MESSAGE.validate_json(line)
                    if not isinstance(message, Progress):
                        return message
                    progress(message.fraction, message.text)
            except OutOfTimeError as error:
                raise DownloadTimeoutError(str(error)) from error
            except OutOfBoundsError as error:
                raise TooCostlyError(f"fetching it takes {error}") from error
            status = child.wait()
            words = child.last_words
        raise WorkerLostError(f"the downloader ended with status {status}: {words}")

    def _size_within_limit(self, folder: Path) -> int:
        size_bytes = _size_bytes(folder)
        if size_bytes > FOLDER_TIMES_MAX_BYTES * self.max_bytes:
            raise TooLargeError(f"at most {self.max_bytes // 1_000_000} MB are taken")
        return size_bytes


def child_environment(folder: Path, proxy: str) -> Mapping[str, str]:
    """All the variables that the child sees: none of ours but the search path for programs."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),  # noqa: TID251 - no setting of ours: yt-dlp looks for tools there
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **dict.fromkeys(PROXY_VARIABLES, proxy),
    }


def child_policy(job: Job) -> Policy:
    """What the child may have: its folder, Python, and the proxy."""
    read, listed = python_paths()
    return Policy(
        read=read,
        listed=listed,
        write=(job.folder,),
        proxy_port=urlsplit(job.proxy).port,
        may_fork=True,
        file_bytes=int(FOLDER_TIMES_MAX_BYTES * job.max_bytes),
    )


def _failure(problem: Problem, proxy: FilteringProxy) -> Failure:
    """What the child reports, unless the proxy knows better: yt-dlp may swallow or reword its answers."""
    failure = classify(problem.report)
    if proxy.refusals and problem.report.code is None:
        return RefusedAddressError(proxy.refusals[-1])
    if proxy.unresolved and isinstance(failure, VAGUE):
        return HostUnresolvedError(proxy.unresolved[-1])
    return failure


def _size_bytes(folder: Path) -> int:
    total_bytes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a fragment that was just put in its place
            total_bytes += path.stat().st_size
    return total_bytes
