"""Claims about runs that are stopped or killed, and about several at once: the real command as a process of its own."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from madvision_assets.defs.launch import open_instance
from madvision_assets.defs.runtime import liveness
from madvision_assets.defs.runtime.failing import StoppedError, interrupts_end_the_run
from madvision_assets.defs.runtime.pool_wait import pools_awaited
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, Pool
from madvision_assets.tools.database.operations import Operations
from madvision_assets_tests import footage
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.harness import open_harness
from madvision_assets_tests.site import Site

pytestmark = pytest.mark.whole

LIMIT_S = 60.0
SILENT_S = 4


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(tmp_path / "dagster", None) as opened:
        yield opened


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        threading.Event().wait(0.05)
    raise TimeoutError


@contextmanager
def started(command_line: CommandLine, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, at the head of a process group as a terminal would have it."""
    log = command_line.home.parent / "command.log"
    with command_line.environment(), log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "madvision_assets.command.main", *arguments],
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_download_that_is_stopped_goes_on_from_there_and_leaves_nothing(
    command_line: CommandLine, tmp_path: Path, sign: signal.Signals, status: int
) -> None:
    video = tmp_path / "silent.mp4"
    footage.ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s=320x180:d={SILENT_S}", "-f", "lavfi", "-i", "anullsrc=r=16000",
        "-t", str(SILENT_S), "-b:v", "2M", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", video,
    )  # fmt: skip
    data = video.read_bytes()
    with Site() as site:
        address = site.serve("/v.mp4", data, content_type="video/mp4", bytes_per_s=len(data) // 8)
        with started(command_line, "process", address) as process:
            wait_for(lambda: any(p.stat().st_size > len(data) // 8 for p in command_line.home.rglob("*.part")))
            os.killpg(process.pid, sign)
            assert process.wait(LIMIT_S) == status
        told = (tmp_path / "command.log").read_text()
        assert ("Stopped." in told) is (sign is signal.SIGINT)
        assert "Traceback" not in told
        [row] = Operations(command_line.workplace().database).rows()
        # Somebody who presses Ctrl-C means it; a worker that was killed is found out by the daemon.
        stopped = (QueueStatus.FAILED, "cancelled") if sign is signal.SIGINT else (QueueStatus.RUNNING, None)
        assert (row.status, row.failure_cause) == stopped

        site.serve("/v.mp4", data, content_type="video/mp4")
        again = command_line.run("process", address)

        assert again.exit_code == 0, again.output
        assert re.search(r"raw_video +done", again.output)
        assert site.hits("/v.mp4")[-1].range_start
        [done] = Operations(command_line.workplace().database).rows()
        assert (done.status, done.attempt) == (QueueStatus.DONE, 2)
    assert command_line.leftovers() == []
    with open_instance(command_line.home / "dagster", None) as instance:
        assert {run.status.value for run in instance.get_runs()} == {"FAILURE", "SUCCESS"}
        assert instance.event_log_storage.get_concurrency_run_ids() == set()


def test_an_interrupt_in_a_stage_ends_the_run_unless_another_process_owns_the_retries() -> None:
    def stopped(*, deferred: bool) -> None:
        step: Any = SimpleNamespace(retry_mode=SimpleNamespace(deferred=deferred))
        with interrupts_end_the_run(lambda: step):
            raise dg.DagsterExecutionInterruptedError

    with pytest.raises(StoppedError):
        stopped(deferred=False)
    with pytest.raises(dg.DagsterExecutionInterruptedError) as caught:
        stopped(deferred=True)
    assert not isinstance(caught.value, StoppedError)


def run_with_slot(instance: dg.DagsterInstance, process: str) -> str:
    """A run under way that holds the only slot of the pool gpu."""

    @dg.job
    def work() -> None: ...

    run = instance.create_run_for_job(work, tags={liveness.TAG: process}, status=dg.DagsterRunStatus.STARTED)
    assert instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "transcript").is_claimed
    return run.run_id


def test_a_run_whose_process_was_killed_gives_its_slot_back_and_one_that_lives_keeps_it(
    instance: dg.DagsterInstance,
) -> None:
    with liveness.process_announced(instance) as tags:
        name = tags[liveness.TAG]
        run_id = run_with_slot(instance, name)
        liveness.end_lost_runs(instance)
        assert instance.event_log_storage.get_concurrency_run_ids() == {run_id}
    (Path(instance.root_directory) / liveness.FOLDER / name).touch()  # nobody holds a lock on it: what a kill leaves

    liveness.end_lost_runs(instance)

    lost = instance.get_run_by_id(run_id)
    assert lost is not None
    assert lost.status is dg.DagsterRunStatus.FAILURE
    assert instance.event_log_storage.get_concurrency_run_ids() == set()
    assert list((Path(instance.root_directory) / liveness.FOLDER).iterdir()) == []


def test_a_signal_ends_the_wait_for_a_slot_and_the_queue_is_told(instance: dg.DagsterInstance) -> None:
    run_with_slot(instance, "somebody else")
    told: list[str] = []
    with pools_awaited(instance, told.append):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

        with pytest.raises(dg.DagsterExecutionInterruptedError):
            instance.event_log_storage.claim_concurrency_slot("gpu", "another-run", "transcript")

    assert told == ["transcript"]


def test_a_run_that_waits_for_a_slot_sleeps_meanwhile(
    instance: dg.DagsterInstance, tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = run_with_slot(instance, "somebody else")
    claim = InstanceConcurrencyContext.claim
    asked: list[str] = []

    def counted(self: InstanceConcurrencyContext, pool: str, step: str, priority: int = 0) -> bool:
        asked.append(step)
        return claim(self, pool, step, priority)

    monkeypatch.setattr(InstanceConcurrencyContext, "claim", counted)
    with open_harness(tmp_path / "home", media, instance=instance) as harness, ThreadPoolExecutor(1) as aside:
        harness.submit()
        [request] = harness.ask()
        ended = aside.submit(harness.launch, request)
        wait_for(lambda: instance.event_log_storage.get_concurrency_info("gpu").pending_step_count)
        assert harness.row().status is QueueStatus.RUNNING
        instance.event_log_storage.free_concurrency_slots_for_run(holder)
        assert ended.result(LIMIT_S).success

    assert asked == [step.value for step in PipelineStep], "each once: the wait is ours"


def test_an_instance_that_several_make_at_once_is_whole(tmp_path: Path) -> None:
    def pools(_number: int) -> dict[str, int]:
        with open_instance(tmp_path / "dagster", None) as opened:
            return {pool.name: pool.limit for pool in opened.event_log_storage.get_pool_limits()}

    with ThreadPoolExecutor(4) as together:
        assert list(together.map(pools, range(4))) == [{pool.value: pool.limit for pool in Pool}] * 4


def test_an_instance_is_made_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []

    def look(*_: object, **__: object) -> None:
        with (tmp_path / "dagster" / "history" / "opening.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tried.append(True)
        raise RuntimeError

    monkeypatch.setattr(dg.DagsterInstance, "from_ref", look)
    with pytest.raises(RuntimeError):
        open_instance(tmp_path / "dagster", None)

    assert tried == [True]
