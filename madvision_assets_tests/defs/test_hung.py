"""Claims about processes that hang: who may be ended, who is, and what goes on then; each a real process."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.defs.runtime import processes, stage_context
from madvision_assets.defs.runtime.locks import LockLimits
from madvision_assets.defs.runtime.processes import Owner, Process
from madvision_assets.defs.runtime.reconcile import Reconciler, Seen
from madvision_assets.defs.runtime.scratch import Scratch
from madvision_assets.defs.runtime.workers import Workers
from madvision_assets.domain.failures import StageHeldError, SupersededError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

STEP = PipelineStep.TRANSCRIPT
VIDEO = "web-a"
LIMIT_S = 30.0
BRIEF = LockLimits(grace_s=0.3, limit_s=1.5)
LOOKS = 2
# Holds the lock of a stage, with a child in a session of its own, until it is ended.
HOLDER = """
import subprocess, sys
from pathlib import Path
from madvision_assets.defs.runtime.locks import LockLimits, locked
from madvision_assets.defs.runtime.processes import Owner
child = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
owner = Owner.model_validate_json(sys.argv[2]).model_copy(update={"process": Owner.here("v").process})
owner = Owner.model_validate_json(sys.argv[3]) if len(sys.argv) > 3 else owner
with locked(Path(sys.argv[1]), owner, LockLimits(), lambda: None):
    print(child.pid, flush=True)
    sys.stdin.read()
"""
# Is announced as a worker of a run, until it is ended.
WORKER = """
import sys
from pathlib import Path
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.defs.runtime.workers import Workers
with Workers(Path(sys.argv[1])).announced(Owner.here(sys.argv[2], sys.argv[3], int(sys.argv[4]))):
    print(0, flush=True)
    sys.stdin.read()
"""


@contextmanager
def running(program: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process of ours once it is at work, and its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    child = 0
    try:
        child = int(process.stdout.readline())
        yield process, child
    finally:
        for pid in filter(None, (process.pid if process.poll() is None else 0, child)):
            if Process.of(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


@contextmanager
def holding(
    root: Path, attempt: int | None = 1, run_id: str = "old", process: Process | None = None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the lock of the stage for an attempt; it says to be itself, or another one."""
    owner = Owner(process=None, video_id=VIDEO, run_id=run_id, attempt=attempt)
    lie = [owner.model_copy(update={"process": process}).model_dump_json()] if process else []
    with running(HOLDER, str(lock_of(root)), owner.model_dump_json(), *lie) as started:
        yield started


def lock_of(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    return root / f"{VIDEO}.{STEP}.lock"


def hang(process: subprocess.Popen[str]) -> None:
    """Stop a process, and see it stopped."""
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", LIMIT_S)


def is_there(pid: int) -> bool:
    process = Process.of(pid)
    return process is not None and process.is_alive


def wait_behind(
    root: Path, attempt: int | None = 2, *, limits: LockLimits = BRIEF, waits: Callable[[], None] = lambda: None
) -> None:
    """Have the stage's folder for a moment, for an attempt of this process."""
    with Scratch(root, limits).held(Owner.here(VIDEO, "new", attempt), STEP, waits):
        pass


@pytest.mark.parametrize("stopped", [True, False])
def test_a_holder_whose_video_was_taken_over_and_that_does_not_notice_is_ended_with_its_children(
    tmp_path: Path, *, stopped: bool
) -> None:
    told: list[float] = []
    with holding(tmp_path) as (process, child):
        if stopped:
            hang(process)

        wait_behind(tmp_path, limits=LockLimits(grace_s=0.3, limit_s=LIMIT_S), waits=lambda: told.append(time.time()))

        assert process.wait(LIMIT_S) == (-signal.SIGKILL if stopped else -signal.SIGTERM)
        wait_for(lambda: not is_there(child), LIMIT_S, "the end of its child")
    assert told
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_could_not_tell_where_it_is_looks_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processes._boot.cache_clear()
    with monkeypatch.context() as short:
        short.setattr(processes, "PROC", tmp_path)
        assert processes._place() is None
    process = Process.of(os.getpid())
    assert process
    assert process.place
    assert process.is_here


def test_a_holder_that_ends_within_its_grace_is_not_ended(tmp_path: Path) -> None:
    looked: list[int] = []
    with holding(tmp_path) as (process, _child):

        def notices() -> None:
            looked.append(1)
            if len(looked) == 3:
                process.stdin.close()  # type: ignore[union-attr] # it is a pipe
                process.wait(LIMIT_S)

        wait_behind(tmp_path, limits=LockLimits(grace_s=LIMIT_S, limit_s=LIMIT_S), waits=notices)

        assert process.wait(LIMIT_S) == 0


@pytest.mark.parametrize(
    ("held_for", "wanted_for"),
    [(None, 2), (1, None), (2, 2), (3, 2)],
    ids=["no lease holds it", "no lease waits", "the same attempt", "a later attempt"],
)
def test_a_holder_that_may_be_at_work_with_good_reason_is_waited_for_with_a_limit(
    tmp_path: Path, held_for: int | None, wanted_for: int | None
) -> None:
    with holding(tmp_path, held_for) as (process, _child):
        hang(process)
        with pytest.raises(StageHeldError, match=str(process.pid)):
            wait_behind(tmp_path, wanted_for)
        assert is_there(process.pid)


def elsewhere(process: Process) -> Process:
    return process.model_copy(update={"place": "another", "host": "gpu-7"})


def earlier(process: Process) -> Process:
    return process.model_copy(update={"started": process.started - 1})


@pytest.mark.parametrize("as_if", [elsewhere, earlier])
def test_only_that_very_process_is_ended_and_none_out_of_another_container_that_has_its_number(
    tmp_path: Path, as_if: Callable[[Process], Process]
) -> None:
    with subprocess.Popen(["sleep", "600"]) as bystander:
        mine = Process.of(bystander.pid)
        assert mine
        try:
            with holding(tmp_path, process=as_if(mine)) as (process, _child):
                with pytest.raises(StageHeldError, match=f"process {mine.pid} on {as_if(mine).host}"):
                    wait_behind(tmp_path)
                assert is_there(process.pid)
                assert is_there(bystander.pid)
        finally:
            bystander.kill()


def test_a_process_never_ends_itself_nor_one_that_it_descends_from() -> None:
    for pid in (os.getpid(), os.getppid()):
        process = Process.of(pid)
        assert process
        assert not process.end()


def test_a_lock_of_an_older_version_which_names_nobody_is_waited_for_with_a_limit(tmp_path: Path) -> None:
    with holding(tmp_path) as (process, _child):
        lock_of(tmp_path).write_text("")
        with pytest.raises(StageHeldError):
            wait_behind(tmp_path)
        assert is_there(process.pid)


def test_who_loses_his_own_lease_while_he_waits_ends_nobody(tmp_path: Path) -> None:
    def over() -> None:
        raise SupersededError

    with holding(tmp_path) as (process, _child):
        hang(process)
        with pytest.raises(SupersededError):
            wait_behind(tmp_path, limits=LockLimits(grace_s=0.0, limit_s=LIMIT_S), waits=over)
        assert is_there(process.pid)


def test_the_sweep_neither_waits_for_a_lock_that_is_held_nor_forgets_who_holds_it_and_takes_those_of_the_dead(
    tmp_path: Path,
) -> None:
    with holding(tmp_path) as (process, _child):
        hang(process)
        Scratch(tmp_path).sweep_given_up(lambda _video: True)
        wait_behind(tmp_path, limits=LockLimits(grace_s=0.3, limit_s=LIMIT_S))  # it is found, and ended
        assert process.wait(LIMIT_S) == -signal.SIGKILL
    with holding(tmp_path) as (process, _child):
        process.kill()
        process.wait()
        assert lock_of(tmp_path).exists()

    Scratch(tmp_path).sweep_given_up(lambda _video: True)

    assert list(tmp_path.iterdir()) == []


# --- a run, and the reconciler ---


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def test_a_video_goes_on_although_an_earlier_attempt_at_it_hangs(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_context, "Scratch", partial(Scratch, limits=LockLimits(grace_s=0.3, limit_s=5.0)))
    harness.submit()
    with holding(harness.settings.work_folder, attempt=0) as (process, _child):
        hang(process)

        harness.tick()

        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert harness.row().status is QueueStatus.DONE


def under_way(harness: Harness) -> str:
    """A run with the lease on the video, at its first stage, which holds a slot; its ID."""
    harness.submit()
    [request] = harness.ask()
    job = harness.definitions.resolve_job_def("process_video")
    tags = {**request.tags, "dagster/partition": VIDEO}
    run_id = harness.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED).run_id
    harness.queue.begin(VIDEO, run_id, 1, PipelineStep.RAW_VIDEO)
    harness.instance.event_log_storage.set_concurrency_slots("gpu", 1)
    assert harness.instance.event_log_storage.claim_concurrency_slot("gpu", run_id, "transcript").is_claimed
    return run_id


def slots(harness: Harness) -> set[str]:
    return harness.instance.event_log_storage.get_concurrency_run_ids()


def worker(harness: Harness, run_id: str, attempt: int = 1) -> tuple[str, ...]:
    return WORKER, str(harness.settings.work_folder), VIDEO, run_id, str(attempt)


def looks(harness: Harness, times: int, before: Callable[[], object] = lambda: None) -> list[str]:
    """So many looks of the reconciler; all that they repaired."""
    workers = Workers(harness.settings.work_folder)
    reconciler = Reconciler(harness.queue, LOOKS, one_process=True, workers=workers)
    seen: Seen = {}
    told: list[str] = []
    for _ in range(times):
        before()
        seen, repairs = reconciler.look(harness.instance, seen)
        told += repairs
    return told


def test_a_worker_that_hangs_is_ended_when_its_video_is_taken_back_and_then_its_slot_is_free(harness: Harness) -> None:
    run_id = under_way(harness)
    with running(*worker(harness, run_id)) as (process, _):
        hang(process)

        assert looks(harness, LOOKS + 1) == [f"{VIDEO}: its worker is lost"]

        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert harness.row().status is QueueStatus.WAITING
    assert slots(harness) == set()
    run = harness.instance.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_the_video_of_a_worker_that_died_is_taken_back_at_the_first_look(harness: Harness) -> None:
    run_id = under_way(harness)
    with running(*worker(harness, run_id)) as (process, _):
        assert looks(harness, 1) == []
        process.kill()
        process.wait(LIMIT_S)

        assert looks(harness, 1) == [f"{VIDEO}: its worker is lost"]

    assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.WAITING, "worker_lost")
    assert slots(harness) == set()
    looks(harness, 1)
    assert list(harness.settings.work_folder.iterdir()) == [], "it is buried once its lease is over"


def test_a_worker_lives_though_another_run_of_the_same_attempt_died(harness: Harness) -> None:
    run_id = under_way(harness)
    row = harness.row()
    lease = harness.queue.begin(VIDEO, run_id, row.attempt, PipelineStep.RAW_VIDEO)
    with running(*worker(harness, run_id)) as (process, _), running(*worker(harness, "its-twin")) as (twin, _):
        twin.kill()
        twin.wait(LIMIT_S)

        assert looks(harness, 2, before=lambda: harness.queue.beat(lease)) == []

        assert is_there(process.pid)
        left = [path.name for path in harness.settings.work_folder.iterdir() if path.suffix == ".worker"]
        assert [name.partition(".")[0] for name in left] == [run_id]


def test_a_worker_whose_locks_are_those_of_another_machine_is_not_taken_for_dead(harness: Harness) -> None:
    run_id = under_way(harness)
    here = Owner.here(VIDEO, run_id, 1)
    assert here.process
    owner = here.model_copy(update={"process": here.process.model_copy(update={"place": "another-boot pid:[1]"})})
    file = harness.settings.work_folder / f"{run_id}.1.worker"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(owner.model_dump_json())

    assert looks(harness, LOOKS) == [], "it may be at work"

    assert looks(harness, LOOKS + 1) == [f"{VIDEO}: its worker is lost"], "but not without signs of life"
    assert not file.exists()


def test_a_worker_that_hangs_after_its_video_was_taken_over_by_hand_is_ended_and_its_slot_is_free(
    harness: Harness,
) -> None:
    run_id = under_way(harness)
    with running(*worker(harness, run_id)) as (process, _):
        hang(process)
        harness.by_hand("a")
        assert harness.row().status is QueueStatus.DONE

        assert looks(harness, LOOKS) == [], "it may yet notice"
        assert is_there(process.pid)
        assert slots(harness) == {run_id}
        [told] = looks(harness, LOOKS + 1)

        assert f"process {process.pid}" in told
        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert slots(harness) == set()
    assert [path.name for path in harness.settings.work_folder.iterdir() if path.suffix == ".worker"]
    looks(harness, 1)
    assert list(harness.settings.work_folder.iterdir()) == []


def test_a_worker_that_hangs_after_somebody_called_its_run_ended_keeps_its_slot_until_it_is_ended(
    harness: Harness,
) -> None:
    run_id = under_way(harness)
    run = harness.instance.get_run_by_id(run_id)
    assert run
    with running(*worker(harness, run_id)) as (process, _):
        hang(process)
        harness.instance.report_run_canceled(run)

        looks(harness, 1)
        assert harness.row().failure_cause == "cancelled"
        assert slots(harness) == {run_id}
        looks(harness, LOOKS + 1)

        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert slots(harness) == set()


def test_a_worker_with_its_lease_is_left_alone_however_often_one_looks(harness: Harness) -> None:
    run_id = under_way(harness)
    row = harness.row()
    lease = harness.queue.begin(VIDEO, run_id, row.attempt, PipelineStep.RAW_VIDEO)
    with running(*worker(harness, run_id)) as (process, _):
        assert looks(harness, 5 * LOOKS, before=lambda: harness.queue.beat(lease)) == []
        assert is_there(process.pid)


def test_a_run_that_dagster_launched_is_found_while_it_works_and_not_afterwards(harness: Harness) -> None:
    found: list[Owner] = []
    workers = Workers(harness.settings.work_folder)
    harness.tools.plan(STEP, lambda: found.extend(owner for _, owner in workers.present()))
    harness.submit()

    harness.tick()

    [owner] = found
    assert (owner.video_id, owner.run_id, owner.attempt) == (VIDEO, harness.row().run_id, 1)
    assert owner.process == Process.of(os.getpid())
    assert workers.present() == []


def test_what_a_worker_left_that_died_before_it_was_seen_is_swept_and_one_that_is_about_to_be_seen_is_not(
    tmp_path: Path,
) -> None:
    dead = tmp_path / ".run.1.worker"
    dead.touch()
    with (tmp_path / ".run.2.worker").open("x") as about_to_be_seen:
        fcntl.flock(about_to_be_seen, fcntl.LOCK_EX)
        assert Workers(tmp_path).present() == []
        assert [path.name for path in tmp_path.iterdir()] == [".run.2.worker"]


def test_a_worker_whose_file_is_swept_before_it_locked_it_is_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, swept = fcntl.flock, list[bool]()

    def swept_first(file: int, how: int) -> None:
        if not swept:
            swept.append(True)
            Workers(tmp_path).present()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", swept_first)  # between its making and its lock
    owner = Owner.here(VIDEO, "run", 1)
    with Workers(tmp_path).announced(owner):
        assert [found for _, found in Workers(tmp_path).present()] == [owner]
