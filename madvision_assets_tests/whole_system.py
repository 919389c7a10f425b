"""The whole system on trial: every part a process, with a site to download from and an analyst's API that we master.

A ``Trial`` submits videos by HTTP, looks at them in the tables, and kills what a test tells it to kill.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from parts import System, whole_system
from system import local_environment

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests import footage
from madvision_assets_tests.databases import history, shut_breakers
from madvision_assets_tests.fakes import KEY, FakeOpenAI
from madvision_assets_tests.sample import SAMPLE
from madvision_assets_tests.site import Site
from madvision_assets_tests.waiting import wait_for

# For things that take seconds; the machine may be busy.
PATIENCE_S = 180.0
TALK_S = 25
# What the worker says of a step that is well under way; for an analyst's steps, what it asks for.
UNDER_WAY = {PipelineStep.TRANSCRIPT: "hear", PipelineStep.CLIPS: "clip "}
CODE_SERVER = "main code-server"
# A run has the command of what it was forked from.
WORKERS = ("multiprocessing.forkserver", "multiprocessing.spawn import spawn_main", "tools.download.child", "ffmpeg")
ASKED_FOR = {PipelineStep.CONTENT_TYPE: "kind", PipelineStep.CLIP_CANDIDATES: "moments"}


def short_talk(folder: Path, seconds: float = TALK_S) -> bytes:
    """The beginning of the sample talk, as a file's bytes."""
    path = folder / "short_talk.mp4"
    footage.ffmpeg("-i", SAMPLE, "-t", str(seconds), "-c", "copy", "-movflags", "+faststart", path)
    return path.read_bytes()


@dataclass
class Trial:
    """The system while it runs.

    Attributes:
        home: where its state is.
        system: its parts.
        database: its tables.
        store: its store.
        site: where its videos come from.
        openai: the analyst's API.
        tokens: of the videos that were submitted, by their IDs.
        paths: where the site has them, by their IDs.
        sizes: in bytes, by path.
    """

    home: Path
    system: System
    database: Database
    store: ObjectStore
    site: Site
    openai: FakeOpenAI
    tokens: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def queue(self) -> Queue:
        """The table that is the truth."""
        return Queue(self.database)

    # --- as a submitter ---

    def submit(self, name: str, body: bytes, *, seconds: float = 1.0) -> str:
        """Put a video on the site, to be sent in so many seconds, and submit it; its ID.

        Each name has bytes of its own, so that none takes over what was heard in another.
        """
        path, body = f"/{name}.mp4", body + footage.free_box(name)
        self.sizes[path] = len(body)
        address = self.site.serve(path, body, content_type="video/mp4", bytes_per_s=int(len(body) / seconds))
        receipt = httpx.post(f"{self.system.intake}/public/video", json={"url": address}, timeout=30).raise_for_status()
        video_id = str(receipt.json()["video_id"])
        self.tokens[video_id], self.paths[video_id] = receipt.json()["token"], path
        return video_id

    def status(self, video_id: str) -> dict[str, Any]:
        """What its submitter is told."""
        answer: dict[str, Any] = self.get("/public/video/status", token=self.tokens[video_id]).raise_for_status().json()
        return answer

    def get(self, path: str, **params: str) -> httpx.Response:
        """One request of the intake."""
        return httpx.get(f"{self.system.intake}{path}", params=params, timeout=30)

    # --- as an operator ---

    def row(self, video_id: str) -> QueueRow:
        """The video's row."""
        row = self.queue.get(video_id)
        assert row is not None
        return row

    def is_at(self, video_id: str, step: PipelineStep) -> bool:
        """Whether a worker is in the middle of this step of the video: it fetches, hears, asks or cuts."""
        row = self.row(video_id)
        if row.status is not QueueStatus.RUNNING or row.pipeline_step is not step:
            return False
        if step is PipelineStep.RAW_VIDEO:
            return len(self.site.hits(self.paths[video_id])) > 1  # the first one was a look at what it is
        return self.asked(video_id, step) > 0 if step in ASKED_FOR else UNDER_WAY[step] in row.message

    def wait_at(self, video_id: str, step: PipelineStep) -> QueueRow:
        """Wait until a worker is in the middle of this step of the video."""
        wait_for(lambda: self.is_at(video_id, step), PATIENCE_S, f"{video_id} at {step}")
        return self.row(video_id)

    def wait_for_end(self, *video_ids: str, limit_s: float = PATIENCE_S) -> None:
        """Wait until nothing more happens to these videos by itself."""
        for video_id in video_ids:
            wait_for(lambda each=video_id: self.row(each).status.is_final, limit_s, f"the end of {video_id}")  # type: ignore[misc]

    def attempts(self, video_id: str) -> list[tuple[str, str, str | None]]:
        """Step, status and cause in which each attempt ended, oldest first; every one must have ended."""
        told = history(self.database, video_id)
        assert all(attempt["ended_at"] is not None for attempt in told), told
        assert [attempt["attempt"] for attempt in told] == list(range(1, self.row(video_id).attempt + 1))
        return [(attempt["pipeline_step"], attempt["status"], attempt["failure_cause"]) for attempt in told]

    def lineage(self, video_id: str) -> Counter[PipelineStep]:
        """How many times each step was done to its end."""
        return Counter(PipelineStep(row.asset) for row in self.database.lineage_of(video_id))

    def versions(self, video_id: str) -> dict[PipelineStep, int]:
        """How many versions of each step's document are in the store."""
        keys = {step: self.store.list_keys(f"{step}/{video_id}/") for step in PipelineStep}
        return {step: sum(not key.endswith("/current.json") for key in found) for step, found in keys.items()}

    def clips(self, video_id: str) -> Clips:
        """Its clips."""
        return read_current(self.store, Clips, video_id)

    def downloads(self, video_id: str) -> int:
        """How often most of its video was sent; less is a look at what it is, or a download that was broken off."""
        path = self.paths[video_id]
        return sum(hit.sent_bytes > self.sizes[path] / 2 for hit in self.site.hits(path))

    def asked(self, video_id: str, step: PipelineStep) -> int:
        """How often the analyst was asked to do this step of the video, answered or not."""
        title = json.dumps({"title": Path(self.paths[video_id]).stem})[1:-1]
        about = [
            request.body for request in self.openai.completions if title in request.body["messages"][-1]["content"]
        ]
        fields = [body["response_format"]["json_schema"]["schema"]["properties"] for body in about]
        return sum(ASKED_FOR[step] in asked for asked in fields)

    def shut_breakers(self) -> dict[str, str | None]:
        """Cause of each breaker that is not closed, by its name."""
        return {name: breaker.cause for name, breaker in shut_breakers(self.database).items()}

    def worker(self, video_id: str) -> int:
        """Process ID of the run that has its turn at the video."""
        run_id = self.row(video_id).run_id
        assert run_id is not None
        with self.instance() as instance:
            events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        told = [event.dagster_event.engine_event_data.metadata for event in events if event.dagster_event is not None]
        (pid,) = {int(str(metadata["pid"].value)) for metadata in told if "pid" in metadata}
        return pid

    def kill_worker(self, video_id: str) -> None:
        """Kill the process of the video's run, unasked."""
        os.kill(self.worker(video_id), signal.SIGKILL)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's instance."""
        with dg.DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            yield instance

    def taken_slots(self) -> dict[str, int]:
        """How many slots of each pool are taken or waited for."""
        with self.instance() as instance:
            storage = instance.event_log_storage
            pools = {name: storage.get_concurrency_info(name) for name in storage.get_concurrency_keys()}
        taken = {name: pool.active_slot_count + pool.pending_step_count for name, pool in pools.items()}
        return {name: count for name, count in taken.items() if count}

    def processes(self) -> Counter[str]:
        """The processes of the system, by what they do."""
        return Counter(processes_of(self.home).values())

    def workers(self) -> list[str]:
        """The commands of those that are there only while something is done."""
        return workers_of(self.home)


def processes_of(home: Path) -> dict[int, str]:
    """The command of each process that has our home in its environment, or works below it."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone, or not ours
            mine = f"MADVISION_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if mine or (folder / "cwd").readlink().is_relative_to(home):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def workers_of(home: Path) -> list[str]:
    """The commands of the runs of a home, and of what they do; what runs are forked from is none of them."""
    there = processes_of(home)
    return [words for pid, words in there.items() if _works(words) and CODE_SERVER not in there.get(_parent(pid), "")]


def _works(words: str) -> bool:
    return any(worker in words for worker in WORKERS)


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


@contextmanager
def trial(
    home: Path, database_url: str, environment: Mapping[str, str] | None = None, s3: AwsAccess | None = None
) -> Iterator[Trial]:
    """The whole system, on this database; a store in its home unless the environment names another."""
    with Site() as site, FakeOpenAI() as openai:
        variables = {
            **local_environment(home),
            "MADVISION_DATABASE_URL": database_url,
            "MADVISION_ALLOW_PRIVATE": "1",
            "MADVISION_ANALYST": "openai",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": openai.base_url,
            "MADVISION_LOST_AFTER_S": "5",
            "MADVISION_RETRY_BASE_S": "1",
            "OMP_WAIT_POLICY": "PASSIVE",  # several parts share few cores
            **(environment or {}),
        }
        database = Database(database_url)
        store = ObjectStore.from_url(variables.get("MADVISION_STORE_URL") or (home / "store").as_uri(), s3=s3)
        try:
            with whole_system(home, variables, with_ui=False) as system:
                yield Trial(home, system, database, store, site, openai)
        finally:
            database.engine.dispose()
