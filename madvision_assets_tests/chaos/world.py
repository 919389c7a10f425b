"""The system of a campaign: every part a process, two PostgreSQL servers, S3 behind a gate, and who looks after them.

What compose or Kubernetes would do, a ``Nurse`` does: a part whose process has ended is started again. A part that is
there and does nothing is none of hers; that is what she writes down, before she starts it again so that a campaign can
go on.
"""

import json
import math
import os
import shutil
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import parts
import yaml  # type: ignore[import-untyped]
from parts import System, whole_system
from sqlalchemy import RowMapping, Select, select
from system import ROOT, local_environment

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import Failure
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.tables import video_processing_queue
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.chaos import points
from madvision_assets_tests.chaos.gate import Gate
from madvision_assets_tests.fakes import KEY, FakeOpenAI
from madvision_assets_tests.real_servers import S3_BUCKET, S3Server, Server, over_tcp, postgres_server, swift_server
from madvision_assets_tests.site import Site
from madvision_assets_tests.whole_system import Trial

INSIDE = Path(points.__file__).parent / "inside"
SCRATCH_BYTES = 96 * 1024 * 1024
MAX_IN_FLIGHT = 4
RESTART_AFTER_S = 2.0
WATCH_INTERVAL_S = 0.5
ANSWER_LIMIT_S = 3.0
MAX_ASKERS = 64
# A sensor that has not ticked for so long, while nothing is broken that would stop it, stands still.
STALL_LIMIT_S = 90.0
PARTS = ("code-server", "intake", "daemon")


@dataclass
class World:
    """All of it, while it runs.

    Attributes:
        folder: of the campaign; logs stay there.
        trial: the system, its tables and its store.
        environment: of its processes.
        store_gate: in front of S3.
        receiver: who takes callbacks.
        receiver_gate: in front of him.
        databases: the servers, by whose they are.
        servers: likewise, with S3's front.
        dagster_url: of Dagster's own tables.
        scratch_is_small: whether the folder of the stages' temporary files is a file system of its own.
        forgiven: how often somebody took a video over on purpose, by its ID.
        persons: videos that somebody does something to; no fault is aimed at them.
        down: parts that a fault holds down, which nobody starts meanwhile.
        lock: for whoever starts and kills parts.
        askers: threads that ask the database.
        over: set when it is stopped: nobody starts anything any more.
        hands: for faults that would break the same thing at once, by what it is.
    """

    folder: Path
    trial: Trial
    environment: dict[str, str]
    store_gate: Gate
    receiver: Site
    receiver_gate: Gate
    databases: dict[str, Server]
    dagster_url: str
    s3: S3Server
    scratch_is_small: bool
    forgiven: Counter[str] = field(default_factory=Counter)
    persons: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    askers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(MAX_ASKERS))
    over: threading.Event = field(default_factory=threading.Event)
    stops: list[list[float]] = field(default_factory=list)
    hands: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While this lasts nothing can be done for any video; ``stops`` has when that was, in seconds since 1970."""
        span = [time.time(), math.inf]
        self.stops.append(span)
        try:
            yield
        finally:
            span[1] = time.time()

    @property
    def inside(self) -> Path:
        """The folder by which the processes are told what to do to themselves."""
        return self.folder / "inside"

    @property
    def system(self) -> System:
        """The parts."""
        return self.trial.system

    def rows(self) -> list[QueueRow] | None:
        """Every video's row; None while the database is away, or does not answer."""
        found = self._asked(select(video_processing_queue))
        return None if found is None else [QueueRow.model_validate(row) for row in found]

    def ticks(self) -> dict[str, float]:
        """When each sensor came to the end of its work last, in seconds since 1970; 0 where it never did."""
        files = {name: self.inside / points.TICKS / name for name in points.SENSORS}
        return {name: file.stat().st_mtime if file.exists() else 0.0 for name, file in files.items()}

    def _asked(self, query: Select[Any]) -> Sequence[RowMapping] | None:
        """In a thread of its own: a database that stands still answers when it goes on."""

        def ask() -> Sequence[RowMapping]:
            with self.trial.database.reading() as connection:
                return connection.execute(query).mappings().all()

        with suppress(Failure, TimeoutError):
            return self.askers.submit(ask).result(ANSWER_LIMIT_S)
        return None

    def worker(self, video_id: str) -> int | None:
        """The process that has begun a stage of the video last, if it lives."""
        try:
            pid = int((self.inside / points.WORKERS / video_id).read_text().split()[0])
            mine = f"MADVISION_HOME={self.trial.home}".encode()
            return pid if mine in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") else None
        except (OSError, ValueError, IndexError):
            return None

    def ledger(self) -> list[dict[str, object]]:
        """What the processes wrote down."""
        path = self.inside / points.LEDGER
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Everything, from start to stop."""
    home = folder / "home"
    for each in (points.ARMED, points.DEAD, points.WORKERS, points.TICKS):
        (folder / "inside" / each).mkdir(parents=True)
    with ExitStack() as stack:
        urls, databases = {}, {}
        for name in ("ours", "dagster"):
            (folder / name).mkdir()
            url, databases[name] = stack.enter_context(postgres_server(folder / name))
            urls[name] = over_tcp(url)
        (folder / "swift").mkdir()
        s3, _ = stack.enter_context(swift_server(folder / "swift"))
        s3.create_bucket(S3_BUCKET)
        store_gate = stack.enter_context(Gate(int(s3.endpoint_url.rpartition(":")[2])))
        site, receiver = stack.enter_context(Site()), stack.enter_context(Site())
        openai = stack.enter_context(FakeOpenAI())
        receiver_gate = stack.enter_context(Gate(receiver.port))
        is_small = stack.enter_context(small_folder(home / "work"))
        environment = _environment(folder, urls["ours"], s3, store_gate.url, openai.base_url)
        _write_instance(home / "dagster", urls["dagster"])
        database = Database(urls["ours"])
        stack.callback(database.engine.dispose)
        access = AwsAccess(s3.endpoint_url, s3.region, s3.access_key_id, s3.secret_access_key)
        store = ObjectStore.from_url(environment["MADVISION_STORE_URL"], s3=access)
        # Another system on this machine would take a usual port while the part that has it is down.
        stack.enter_context(patch.multiple(parts, CODE_PORT=0, INTAKE_PORT=0))
        system = stack.enter_context(whole_system(home, environment, with_ui=False))
        world = World(
            folder, Trial(home, system, database, store, site, openai), environment, store_gate, receiver,
            receiver_gate, databases, urls["dagster"], s3, is_small,
        )  # fmt: skip
        stack.callback(world.over.set)
        yield world


def _environment(folder: Path, database_url: str, s3: S3Server, store_url: str, openai_url: str) -> dict[str, str]:
    home = folder / "home"
    (home / "tmp").mkdir(parents=True)
    return {
        **local_environment(home),
        **s3.environment(),
        "AWS_ENDPOINT_URL_S3": store_url,
        "MADVISION_DATABASE_URL": database_url,
        "MADVISION_ALLOW_PRIVATE": "1",
        "MADVISION_ANALYST": "openai",
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": openai_url,
        "MADVISION_MAX_IN_FLIGHT": str(MAX_IN_FLIGHT),
        "MADVISION_LOST_AFTER_S": "10",
        "MADVISION_RETRY_BASE_S": "1",
        "MADVISION_BREAKER_PAUSE_S": "3",
        "MADVISION_REQUESTS_PER_MINUTE": "0",
        "MADVISION_CALLBACKS_PER_MINUTE": "0",
        "MADVISION_CONNECTIONS_PER_CLIENT": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": os.pathsep.join((str(INSIDE), str(ROOT))),
        points.FOLDER: str(folder / "inside"),
    }


def _write_instance(folder: Path, url: str) -> None:
    """The instance of one machine, as it is delivered, but with its state on PostgreSQL."""
    folder.mkdir(parents=True)
    wanted = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    wanted["storage"] = {"postgres": {"postgres_url": url}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(wanted))


@contextmanager
def small_folder(folder: Path) -> Iterator[bool]:
    """A folder that can be filled up, where root may mount one; gives whether it is."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SCRATCH_BYTES}", "none", str(folder)]
    is_small = (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and subprocess.run(mount, check=False, timeout=30, capture_output=True).returncode == 0
    )
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(folder)], check=False, timeout=30)


class Nurse:
    """Starts parts again that have ended, as compose and Kubernetes do, and notes who stands still.

    Args:
        world: what she looks after.
        tell: takes a line.
    """

    def __init__(self, world: World, tell: "Tell") -> None:
        self._world = world
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="nurse", daemon=True)
        self._since = time.time()
        self.stalls: list[str] = []

    def __enter__(self) -> Self:
        """Starts looking."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self._stopping.set()
        self._thread.join()

    def excuse(self) -> None:
        """What stops sensors is over just now: their silence counts from here."""
        self._since = time.time()

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL_S):
            for part in self._world.system.parts:
                if part.popen.poll() is not None and part.name not in self._world.down:
                    self._tell(f"{part.name} ended with {part.popen.returncode}; started again")
                    self._stopping.wait(RESTART_AFTER_S)
                    self._restart(part.name)
            late = [
                name for name, at in self._world.ticks().items() if time.time() - max(at, self._since) > STALL_LIMIT_S
            ]
            if late and not self._world.down:
                self.stalls.append(
                    f"{', '.join(late)} did nothing for {STALL_LIMIT_S:.0f} s, and nobody started it again"
                )
                self._tell(f"STALL: {self.stalls[-1]}")
                self._restart("daemon", "code-server")
                self.excuse()

    def _restart(self, *names: str) -> None:
        with self._world.lock:
            for name in names:
                with suppress(KeyError):
                    self._world.system.kill(name)
            for name in reversed(names):
                if name not in self._world.down:
                    start(self._world, name)


class Tell:
    """Lines with the time since the beginning, to the terminal and into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.began_s = time.monotonic()

    def __call__(self, line: str) -> None:
        """Say it."""
        text = f"{time.monotonic() - self.began_s:6.1f} s  {line}"
        print(text, flush=True)  # noqa: T201 - what a command prints is its answer
        with self._path.open("a") as log:
            log.write(text + "\n")


def start(world: World, *names: str) -> None:
    """Start parts, again where one ends while it starts, since what it needs may be broken just then."""
    for name in names:
        for _ in range(3):
            if world.over.is_set():
                return
            with suppress(RuntimeError):
                world.system.start(name)
                break
            with suppress(KeyError):
                world.system.kill(name)
