"""The parent's side of a download: start the child, listen, keep the limits, end it."""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from madvision_assets.domain import disk
from madvision_assets.domain.addresses import BLANK, secrets_in
from madvision_assets.domain.failures import (
    ConnectionLostError,
    DiskFullError,
    DownloaderUnusableError,
    DownloadTimeoutError,
    EmptyFileError,
    ExtractionFailedError,
    Failure,
    HostUnresolvedError,
    MediaToolMissingError,
    RefusedAddressError,
    SourceProxyError,
    SourceServerError,
    TooCostlyError,
    TooLargeError,
    UnexpectedError,
    WorkerLostError,
)
from madvision_assets.domain.video import SourceMetadata
from madvision_assets.tools.download.addresses import canonical_address
from madvision_assets.tools.download.errors import classify
from madvision_assets.tools.download.manners import Etiquette
from madvision_assets.tools.download.messages import Job, Message, Problem, Progress, Success
from madvision_assets.tools.download.metadata import source_metadata
from madvision_assets.tools.download.pace import Pace
from madvision_assets.tools.download.readiness import Readiness
from madvision_assets.tools.download.wheels import Wheels
from madvision_assets.tools.sandbox import left
from madvision_assets.tools.sandbox.policy import FILE_BYTES, Policy, cpu_limit_s, python_paths
from madvision_assets.tools.sandbox.process import ChildProcess, OutOfTimeError
from madvision_assets.tools.sandbox.watch import OutOfBoundsError

CHILD = "madvision_assets.tools.download.child"
LOOK = "from madvision_assets.tools.download.readiness import look; print(look().model_dump_json())"
LOOK_LIMIT_S = 120.0
STALL_LIMIT_S = 120.0
PACE_WINDOW_S = 180.0
BUSY_SHARE = 0.5
ROOM_BYTES = 1 << 20
CUT_NOTE, SHORT_NOTE = "cut.txt", "short.txt"
OVERLAP_BYTES = 1024
# While ffmpeg merges or mends, everything is in the folder twice.
FOLDER_TIMES_MAX_BYTES = 2.2
# No folder of the one at work, and no user's packages, are searched for modules.
PYTHON = (sys.executable, "-P", "-s")
# Shorter ones would be found in any text.
MIN_SECRET_CHARS = 4
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# What a client may make of the proxy's answer that a host does not resolve.
VAGUE = (ConnectionLostError, ExtractionFailedError, SourceServerError, UnexpectedError)

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)

OnProgress = Callable[[float, str], None]
# Told the size of the video as far as it is known, bytes; what it raises ends the download.
OnSize = Callable[[int], None]


class FilteringProxy(Protocol):
    """The child's only way to the network (``tools.egress`` has one)."""

    @property
    def url(self) -> str:
        """Where it listens."""

    @property
    def received_bytes(self) -> int:
        """How much came through it from outside."""

    @property
    def refusals(self) -> Sequence[str]:
        """What it did not let through, in the order of asking."""

    @property
    def unresolved(self) -> Sequence[str]:
        """Hosts that have no address."""

    @property
    def upstream_troubles(self) -> Sequence[str]:
        """What the operator's proxy had against us."""

    @property
    def token_troubles(self) -> Sequence[str]:
        """Why the operator's provider of tokens gave none."""


@dataclass(frozen=True)
class Download:
    """A file that came whole as far as the source tells.

    Attributes:
        path: the file, in the folder that was given.
        source: what the source says of the video; its ``duration_s`` is there to be compared with the file's.
        engine_version: of yt-dlp.
        length_known: the site told how many bytes there are, so that it came whole.
        single: it came as one file, so that a part of it can be continued.
        captions: a file of captions that people made, SRT or WebVTT by its suffix; None without any.
        captions_language: of them, as the source has it; empty where it does not say.
    """

    path: Path
    source: SourceMetadata
    engine_version: str
    length_known: bool = True
    single: bool = False
    captions: Path | None = None
    captions_language: str = ""

    def may_be_cut(self) -> bool:
        """Whether a file that is found damaged may lack its end; it is then put back, for the next try to go on with.

        A connection that is cut looks like the end where no length was told. What ends at the same byte twice is whole.
        """
        if self.length_known:
            return False
        note, size = self.path.with_name(CUT_NOTE), str(left.size_bytes(self.path))
        if left.text(note) == size:
            return False
        left.write(note, size)
        self.put_back()
        return True

    def is_all_there_is(self, duration_s: float) -> bool:
        """Whether a file that is shorter than the source says is taken as it is; else it is put back for another try.

        One that came whole and lasts as long a second time is what the source has, which overstates it.
        """
        note, lasts = self.path.with_name(SHORT_NOTE), f"{duration_s:.3f}"
        if self.length_known and left.text(note) == lasts:
            return True
        left.write(note, lasts)
        self.put_back()
        return False

    def put_back(self) -> None:
        """Makes the next try fetch what is missing of it: the rest, or all where it was put together of parts."""
        if self.single and (size_bytes := left.size_bytes(self.path)):
            with left.opened(self.path, change=True) as file:
                # A part that begins where a whole file ends is refused by sites (416).
                file.truncate(max(size_bytes - OVERLAP_BYTES, 0))
            left.move(self.path, self.path.with_name(f"{self.path.name}.part"))
        else:
            left.remove(self.path)


@dataclass(frozen=True)
class Downloader:
    """Fetches videos with yt-dlp, each in a child process behind a filtering proxy.

    Attributes:
        allow_private: let the child reach private and loopback addresses.
        max_height: of the picture, pixels; a larger one is taken only where there is no other.
        max_bytes: refuse more.
        max_duration_s: refuse more, seconds.
        time_limit_s: of one ``fetch``, seconds.
        open_proxy: makes the proxy, given ``allow_private``, and what is put between us and the site (``Way``).
        stall_limit_s: without progress, seconds.
        min_bytes_per_s: slower ones are ended, and gone on with later; 0 for no lowest speed.
        pace_window_s: over so many seconds it is measured.
        wheels: the yt-dlp that is preferred to the installed one.
        etiquette: what the operator says of sites.
    """

    allow_private: bool
    max_height: int
    max_bytes: int
    max_duration_s: float
    time_limit_s: float
    open_proxy: Callable[..., AbstractContextManager[FilteringProxy]]
    stall_limit_s: float = STALL_LIMIT_S
    min_bytes_per_s: int = 0
    pace_window_s: float = PACE_WINDOW_S
    wheels: Wheels = field(default_factory=Wheels)
    etiquette: Etiquette = field(default_factory=Etiquette)

    def fetch(
        self,
        address: str,
        folder: Path,
        progress: OnProgress,
        on_size: OnSize = lambda _size_bytes: None,
        on_received: OnSize = lambda _size_bytes: None,
    ) -> Download:
        """Downloads the video at an address into a folder of its own, going on where an earlier call stopped.

        Args:
            address: http or https.
            folder: kept between tries of the same address; made where it is missing.
            progress: told the fraction done (0 to 1, never falling) and a text, a few times a second.
            on_size: told how large it is to become, as often as that changes.
            on_received: told in the end how many bytes came from outside, in vain or not.

        Raises:
            Failure: a leaf that says why there is no download; what came so far stays in the folder.
        """
        address = canonical_address(address)
        manners, way = self.etiquette.manners(address), self.etiquette.way(address)
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        _require_ffmpeg()
        with self.open_proxy(self.allow_private, upstream=way.upstream, token_provider=way.token_provider) as proxy:
            job = Job(
                address=address,
                folder=folder,
                proxy=proxy.url,
                max_height=self.max_height,
                max_bytes=self.max_bytes,
                max_duration_s=self.max_duration_s,
                plugins=self.wheels.folder and self.wheels.folder.absolute(),
                manners=manners,
            )
            try:
                answer = self._run(job, progress, on_size, lambda: proxy.received_bytes)
            finally:
                on_received(proxy.received_bytes)
            if isinstance(answer, Problem):
                answer = _without(secrets_in(address), answer)
                raise _no_room_in(folder) or _failure(answer, proxy)
        path = folder / Path(answer.name).name
        if not left.size_bytes(path):
            raise EmptyFileError
        source = source_metadata(answer.info)
        captions = folder / Path(answer.captions).name if answer.captions else None
        captions = captions if captions and left.size_bytes(captions) else None
        return Download(
            path, source, answer.engine_version, answer.length_known, answer.single, captions, answer.captions_language
        )

    def check(self, max_age_weeks: int) -> tuple[bool, str]:
        """Whether a download's child has all that sites ask for, and what is missing for which.

        Raises:
            DownloaderUnusableError: yt-dlp does not start.
        """
        with TemporaryDirectory() as name:
            folder = Path(name)
            wheels = self.wheels.verified()
            environment, policy = child_environment(folder, "", wheels), child_policy(folder, wheels)
            with ChildProcess([*PYTHON, "-c", LOOK], env=environment, cwd=folder, policy=policy) as child:
                lines = child.lines(time_limit_s=LOOK_LIMIT_S, stall_limit_s=LOOK_LIMIT_S, sign_of_life=lambda: 0)
                said = b"".join(lines)
                child.wait()
                try:
                    found = Readiness.model_validate_json(said)
                except ValidationError as error:
                    raise DownloaderUnusableError(child.last_words) from error
        return found.told(datetime.now(UTC).date(), max_age_weeks)

    def _run(self, job: Job, progress: OnProgress, on_size: OnSize, received: Callable[[], int]) -> Success | Problem:
        """The child's last message."""
        wheels, told_bytes, pace = self.wheels.verified(), 0, self._pace(job.manners.max_bytes_per_s)
        environment, policy = (
            child_environment(job.folder, job.proxy, wheels),
            replace(
                child_policy(job.folder, wheels, self._folder_bytes, job.proxy), cpu_s=cpu_limit_s(self.time_limit_s)
            ),
        )
        with ChildProcess([*PYTHON, "-m", CHILD], env=environment, cwd=job.folder, policy=policy) as child:
            child.give(job.model_dump_json().encode())
            try:
                for line in child.lines(
                    time_limit_s=self.time_limit_s,
                    stall_limit_s=self.stall_limit_s,
                    sign_of_life=lambda: pace.looked(received(), self._size_within_limit(job.folder)),
                ):
                    message = _MESSAGE.validate_json(line)
                    if not isinstance(message, Progress):
                        return message
                    if message.arriving:
                        pace.begin()
                    else:
                        pace.rest()
                    pace.look(received())
                    if message.size_bytes > told_bytes:
                        told_bytes = message.size_bytes
                        on_size(told_bytes)
                    progress(message.fraction, message.text)
            except OutOfTimeError as error:
                if error.share > BUSY_SHARE:  # it waits for nobody: what it was given to read keeps it busy for ever
                    raise TooCostlyError(f"reading the page: {error}") from error
                raise DownloadTimeoutError(str(error)) from error
            except OutOfBoundsError as error:
                raise TooCostlyError(f"fetching it takes {error}") from error
            status = child.wait()
            words = child.last_words
        if child.was_short_of_memory:
            raise TooCostlyError(f"fetching it ended for want of memory: {_hide(secrets_in(job.address), words)}")
        if child.was_short_of_processor_time:
            raise TooCostlyError("fetching it takes too much of the processor")
        raise WorkerLostError(f"the downloader ended with status {status}: {_hide(secrets_in(job.address), words)}")

    def _pace(self, at_most: int | None) -> Pace:
        """The lowest speed; where the operator keeps a site slow, half of that at most."""
        least = min(self.min_bytes_per_s, at_most / 2) if at_most else self.min_bytes_per_s
        return Pace(least, self.pace_window_s)

    @property
    def _folder_bytes(self) -> int:
        return int(FOLDER_TIMES_MAX_BYTES * self.max_bytes)

    def _size_within_limit(self, folder: Path) -> int:
        size_bytes = _size_bytes(folder)
        if size_bytes > self._folder_bytes:
            raise TooLargeError(f"at most {self.max_bytes // 1_000_000} MB are taken")
        return size_bytes


def child_environment(folder: Path, proxy: str, wheels: Sequence[Path] = ()) -> Mapping[str, str]:
    """All the variables that the child sees: none of ours but the search path for programs.

    yt-dlp finds the JavaScript runtime beside the interpreter, and hands it these variables, which it cannot read.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),  # noqa: TID251 - no setting of ours: yt-dlp looks for tools there
        "PYTHONPATH": os.pathsep.join(map(str, (*wheels, Path(__file__).parents[3]))),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **dict.fromkeys(PROXY_VARIABLES, proxy),
    }


def _without(secrets: frozenset[str], problem: Problem) -> Problem:
    """The problem in words that do not repeat what lets somebody in by the address."""
    message = _hide(secrets, problem.report.message)
    return Problem(report=problem.report.model_copy(update={"message": message}))


def _hide(secrets: frozenset[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, BLANK) if len(secret) >= MIN_SECRET_CHARS else text
    return text


def child_policy(folder: Path, wheels: Sequence[Path] = (), file_bytes: int = FILE_BYTES, proxy: str = "") -> Policy:
    """What the child may have: its folder, Python, the wheels, and the proxy."""
    read, listed = python_paths()
    return Policy(
        read=(*read, *wheels),
        listed=(*listed, *{wheel.parent for wheel in wheels}),
        write=(folder,),
        proxy_port=urlsplit(proxy).port,
        may_fork=True,
        file_bytes=file_bytes,
    )


def _failure(problem: Problem, proxy: FilteringProxy) -> Failure:
    """What the child reports, unless the proxy knows better: yt-dlp may swallow or reword its answers."""
    failure = classify(problem.report)
    if proxy.refusals and problem.report.code is None:
        return RefusedAddressError(proxy.refusals[-1])
    if proxy.token_troubles and problem.report.code is None:  # without a token a site gives any reason
        return SourceProxyError(proxy.token_troubles[-1])
    if proxy.upstream_troubles and isinstance(failure, VAGUE):
        return SourceProxyError(proxy.upstream_troubles[-1])
    if proxy.unresolved and isinstance(failure, VAGUE):
        return HostUnresolvedError(proxy.unresolved[-1])
    return failure


def _no_room_in(folder: Path) -> Failure | None:
    """Whether the disk is full: tried by ourselves, since whatever the child says may be a stranger's words."""
    try:
        with TemporaryFile(dir=folder) as trial:
            trial.write(bytes(ROOM_BYTES))
    except OSError as error:
        return DiskFullError(disk.reason(error.errno)) if disk.is_full(error.errno) else None
    return None


def _require_ffmpeg() -> None:
    """The child merges with it.

    Raises:
        MediaToolMissingError: there is none.
    """
    import imageio_ffmpeg

    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise MediaToolMissingError("imageio-ffmpeg has no binary for this machine") from error


def _size_bytes(folder: Path) -> int:
    total_bytes = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a fragment that was just put in its place
            total_bytes += path.lstat().st_size
    return total_bytes
