"""Claims about what happens to videos whose run could not tell the queue how it ended."""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from sqlalchemy import select

from madvision_assets.connections import make_database
from madvision_assets.defs.dagster_inside import folder_of
from madvision_assets.defs.partitions import VideoPartitions
from madvision_assets.defs.runtime import liveness
from madvision_assets.defs.runtime.lease import COMMAND_LINE, SOURCE_TAG
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.defs.runtime.reconcile import LOOKS_AT_A_PERSON, RECONCILE_S, Reconciler, Seen
from madvision_assets.defs.runtime.workers import Workers
from madvision_assets.defs.sensors import queue_reconciler
from madvision_assets.domain.failures import CorruptMediaError, DatabaseUnavailableError, SupersededError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import engines
from madvision_assets.tools.database.replacements import Replacements, new_run
from madvision_assets.tools.database.tables import webhook_deliveries
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets.work.patience import PATIENCE_S
from madvision_assets_tests.databases import run_all
from madvision_assets_tests.harness import Harness, open_harness

LOOKS = 3


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media, lost_after_s=30) as made:
        yield made


def look(harness: Harness, times: int = 1, *, one_process: bool = True) -> list[str]:
    """So many looks of the reconciler; what the last one repaired."""
    seen: Seen = {}
    repairs: list[str] = []
    for _ in range(times):
        seen, repairs = Reconciler(harness.queue, LOOKS, one_process).look(harness.instance, seen)
    return repairs


def started(harness: Harness, request: dg.RunRequest, status: DagsterRunStatus = DagsterRunStatus.STARTED) -> str:
    """A run that Dagster believes to be in this state, and of which no process is left."""
    job = harness.definitions.resolve_job_def("process_video")
    tags = {**request.tags, "dagster/partition": str(request.partition_key)}
    return harness.instance.create_run_for_job(job, tags=tags, status=status).run_id


def claimed(harness: Harness) -> dg.RunRequest:
    """A video in flight, with nothing launched for it yet."""
    harness.submit()
    [request] = harness.ask()
    return request


def cause(harness: Harness, run_id: str) -> str | None:
    """By which a run is found."""
    run = harness.instance.get_run_by_id(run_id)
    return run.tags.get("madvision/cause") if run else None


def test_a_claim_of_which_no_run_came_is_queued_again_after_some_looks(harness: Harness) -> None:
    claimed(harness)

    assert look(harness, LOOKS) == []
    assert harness.row().status is QueueStatus.RUNNING

    assert look(harness, LOOKS + 1) == ["web-a: no run came of its claim; it waits for another"]
    row = harness.row()
    assert (row.status, row.failure_cause) == (QueueStatus.WAITING, "run_not_launched")
    assert (row.retry, row.lost_workers) == (0, 0)


def test_a_run_that_comes_after_all_finds_its_turn_over(harness: Harness) -> None:
    late = claimed(harness)
    look(harness, LOOKS + 1)
    [again] = harness.ask()

    harness.launch(late)
    assert harness.tools.calls.total() == 0
    assert harness.launch(again).success
    assert (harness.row().status, harness.row().attempt) == (QueueStatus.DONE, 2)


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING])
def test_a_run_that_dagster_still_means_to_start_is_left_alone(harness: Harness, status: DagsterRunStatus) -> None:
    started(harness, claimed(harness), status)

    assert look(harness, 10 * LOOKS) == []
    assert harness.row().status is QueueStatus.RUNNING


def test_a_run_that_waited_long_to_be_started_is_not_lost_before_it_could_give_a_sign_of_life(harness: Harness) -> None:
    run_id = started(harness, claimed(harness), DagsterRunStatus.STARTING)
    reconciler = Reconciler(harness.queue, LOOKS, one_process=True)
    seen: Seen = {}
    for _ in range(5 * LOOKS):
        seen, _repairs = reconciler.look(harness.instance, seen)

    harness.instance.handle_run_event(run_id, dg.DagsterEvent("PIPELINE_START", "process_video"))

    for _ in range(LOOKS):
        seen, repairs = reconciler.look(harness.instance, seen)
        assert repairs == []
    assert reconciler.look(harness.instance, seen)[1] == ["web-a: its worker is lost"]


def test_a_worker_without_a_sign_of_life_is_lost_and_the_third_one_parks_the_video_with_the_evidence(
    harness: Harness,
) -> None:
    harness.submit()
    for nth in (1, 2, 3):
        [request] = harness.ask()
        run_id = started(harness, request)
        lease = harness.queue.begin("web-a", run_id, nth, PipelineStep.RAW_VIDEO)

        assert look(harness, LOOKS + 1) == ["web-a: its worker is lost"]

        assert harness.row().lost_workers == nth
        run = harness.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is DagsterRunStatus.FAILURE
        assert cause(harness, run_id) == "worker_lost"
        assert not harness.queue.beat(lease)
        with pytest.raises(SupersededError):
            harness.queue.require_lease("web-a", run_id)
    row = harness.row()
    assert (row.status, row.failure_cause) == (QueueStatus.PARKED, "poison_input")
    assert run_id in (row.failure_details or "")
    assert harness.ask() == []


def test_a_worker_that_gives_signs_of_life_is_not_lost_however_long_it_takes(harness: Harness) -> None:
    request = claimed(harness)
    lease = harness.queue.begin("web-a", started(harness, request), 1, PipelineStep.RAW_VIDEO)
    reconciler = Reconciler(harness.queue, LOOKS, one_process=True)
    seen: Seen = {}

    for _ in range(5 * LOOKS):
        assert harness.queue.beat(lease)
        seen, repairs = reconciler.look(harness.instance, seen)
        assert repairs == []


def test_where_a_run_is_many_processes_one_that_waits_for_a_pool_is_not_lost(harness: Harness) -> None:
    request = claimed(harness)
    harness.queue.begin("web-a", started(harness, request), 1, PipelineStep.RAW_VIDEO)

    assert look(harness, LOOKS + 1, one_process=False) == []


def test_runs_that_dagster_could_not_launch_never_park_a_video(harness: Harness) -> None:
    harness.submit()
    for _ in range(6):
        [request] = harness.ask()
        run = harness.instance.get_run_by_id(started(harness, request, DagsterRunStatus.NOT_STARTED))
        assert run is not None
        harness.instance.report_run_failed(run, "DagsterLaunchFailedError: the code server did not answer")
        assert look(harness) == ["web-a: run_not_launched: waiting"]

    assert (harness.row().lost_workers, harness.row().retry, harness.row().attempt) == (0, 0, 6)
    assert all(run.success for run in harness.tick())
    assert harness.row().status is QueueStatus.DONE


def test_a_run_that_failed_without_a_word_counts_as_a_lost_worker(harness: Harness) -> None:
    request = claimed(harness)
    run = harness.instance.get_run_by_id(started(harness, request))
    assert run is not None
    harness.queue.begin("web-a", run.run_id, 1, PipelineStep.RAW_VIDEO)
    harness.instance.report_run_failed(run, "Run execution process unexpectedly exited")

    assert look(harness) == ["web-a: worker_lost: waiting"]
    assert (harness.row().lost_workers, harness.row().retry) == (1, 0)


def test_the_slots_of_a_killed_run_are_free_for_others_at_once(harness: Harness) -> None:
    run = harness.instance.get_run_by_id(started(harness, claimed(harness)))
    assert run is not None
    storage = harness.instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    assert storage.claim_concurrency_slot("gpu", run.run_id, "transcript").is_claimed
    harness.instance.report_run_failed(run, "Run execution process unexpectedly exited")
    assert storage.get_concurrency_run_ids() == {run.run_id}

    look(harness)

    assert storage.get_concurrency_run_ids() == set()


def test_a_run_that_somebody_cancelled_stays_stopped_until_somebody_requeues_it(harness: Harness) -> None:
    run = harness.instance.get_run_by_id(started(harness, claimed(harness)))
    assert run is not None
    harness.instance.report_run_canceled(run)

    look(harness)

    assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.FAILED, "cancelled")
    assert cause(harness, run.run_id) == "cancelled"
    assert harness.ask() == []


def cancels(harness: Harness, *_: str) -> None:
    harness.queue.cancel("web-a")


def deletes(harness: Harness, _run_id: str, token: str) -> None:
    Withdrawals(make_database(harness.settings)).withdraw(token)


def shuts_down(harness: Harness, *_: str) -> None:
    harness.queue.release("web-a", 1)


def finishes(harness: Harness, run_id: str, _token: str) -> None:
    run_all(harness.queue, run_id, 1, *PipelineStep, video_id="web-a")


@pytest.mark.parametrize(
    ("leaves", "one_process"),
    [(cancels, True), (deletes, True), (shuts_down, True), (finishes, True), (cancels, False)],
)
def test_a_run_whose_lease_is_over_and_whose_process_died_is_ended_and_its_slot_is_free(
    harness: Harness, leaves: Callable[[Harness, str, str], None], *, one_process: bool
) -> None:
    token = harness.submit().token
    [request] = harness.ask()
    run_id = started(harness, request)
    storage, partitions = harness.instance.event_log_storage, VideoPartitions(harness.instance)
    storage.set_concurrency_slots("gpu", 1)
    assert storage.claim_concurrency_slot("gpu", run_id, "transcript").is_claimed
    leaves(harness, run_id, token)
    before = harness.row()
    patience = math.ceil(PATIENCE_S / RECONCILE_S) if leaves is finishes else 0

    assert look(harness, LOOKS + patience, one_process=one_process) == [], "its end may be on its way"
    assert partitions.in_flight(["web-a"])
    [told] = look(harness, LOOKS + patience + 1, one_process=one_process)

    assert told == f"web-a: run {run_id} was left without a worker, and was ended"
    assert storage.get_concurrency_run_ids() == set()
    assert not partitions.in_flight(["web-a"])
    assert harness.row() == before
    assert cause(harness, run_id) == "worker_lost"
    assert look(harness, LOOKS + patience + 1, one_process=one_process) == []


def test_a_run_whose_lease_is_over_is_left_to_its_process_while_that_is_there(harness: Harness) -> None:
    run_id = started(harness, claimed(harness))
    harness.queue.cancel("web-a")
    workers, seen = Workers(harness.settings.work_folder), Seen()

    with workers.announced(Owner.here("web-a", run_id, 1)):
        for _ in range(5 * LOOKS):
            seen, repairs = Reconciler(harness.queue, LOOKS, True, workers).look(harness.instance, seen)  # noqa: FBT003
            assert repairs == []


@pytest.mark.parametrize("one_process", [True, False])
def test_a_run_that_somebody_started_in_dagster_may_wait_for_its_first_stage(
    harness: Harness, *, one_process: bool
) -> None:
    started(harness, dg.RunRequest(partition_key="web-a", tags={}))

    assert look(harness, 5 * LOOKS, one_process=one_process) == []


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_run_of_the_command_line_without_a_lease_is_ended_once_its_process_is_gone(
    harness: Harness, *, is_lost: bool
) -> None:
    with liveness.process_announced(harness.instance) as tags:
        started(harness, dg.RunRequest(partition_key="web-a", tags={SOURCE_TAG: COMMAND_LINE, **tags}))
        if is_lost:
            [file] = (folder_of(harness.instance) / liveness.FOLDER).iterdir()
            file.rename(file.with_name("held"))
            file.touch()

        assert len(look(harness, LOOKS + 1)) == is_lost


def fail_unheard(harness: Harness) -> None:
    """A transcript fails, and the queue is not told."""
    harness.submit()
    harness.tools.plan(PipelineStep.TRANSCRIPT, CorruptMediaError("at 3 s"))
    with pytest.MonkeyPatch.context() as deaf:
        deaf.setattr("madvision_assets.tools.database.queue.Queue.fail", lambda *_: None)
        harness.tick()


def test_a_failure_that_the_worker_could_not_tell_is_read_from_its_run(harness: Harness) -> None:
    fail_unheard(harness)
    assert harness.row().status is QueueStatus.RUNNING

    look(harness)

    row = harness.row()
    assert (row.status, row.failure_cause, row.pipeline_step) == (QueueStatus.FAILED, "corrupt_media", "transcript")
    assert row.failure_details == "at 3 s"


def test_a_worker_that_told_dagster_of_its_failure_before_it_fell_silent_is_believed(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_unheard(harness)
    [run] = harness.instance.get_runs()
    still_there = run.with_status(DagsterRunStatus.STARTED)
    monkeypatch.setattr("madvision_assets.defs.runtime.reconcile.find_run", lambda *_: still_there)

    look(harness, LOOKS + 1)

    assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.FAILED, "corrupt_media")


def test_a_run_that_ended_well_without_a_last_word_is_queued_and_found_done(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.submit()
    with monkeypatch.context() as deaf:
        deaf.setattr("madvision_assets.tools.database.queue.Queue.finish_step", lambda *_, **__: None)
        harness.tick()
    assert harness.row().status is QueueStatus.RUNNING

    look(harness)

    assert harness.row().status is QueueStatus.QUEUED
    assert harness.ask() == []
    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls.total() == len(PipelineStep)


def test_a_person_who_waits_to_keep_a_change_is_no_lost_worker_and_one_who_is_gone_leaves_the_video_done(
    harness: Harness,
) -> None:
    database = make_database(harness.settings)
    harness.submit(callback_url="http://hook.example/")
    harness.tick()
    before = harness.row()
    Replacements(database).take("web-a", before, new_run("editor"))

    assert look(harness, LOOKS_AT_A_PERSON) == []
    assert harness.row().status is QueueStatus.RUNNING
    assert look(harness, LOOKS_AT_A_PERSON + 1) == [
        "web-a: nothing more was heard of a person's changes; queued to see what is left"
    ]
    assert harness.ask() == []
    after = harness.row()
    assert (after.status, after.outcome, after.lost_workers) == (QueueStatus.DONE, before.outcome, 0)
    with database.reading() as connection:
        assert connection.execute(select(webhook_deliveries.c.attempt)).scalars().all() == [before.attempt]


def test_a_worker_that_could_not_write_because_somebody_else_did_is_not_lost(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.01)
    given = harness.resources()
    used = {name: given[name] for name in ("reconciler", "runtime", "database")}
    cursor: str | None = None

    def evaluate() -> None:
        nonlocal cursor
        with dg.build_sensor_context(harness.instance, cursor=cursor, resources=used) as context:
            result = queue_reconciler(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor

    lease = harness.queue.begin("web-a", started(harness, claimed(harness)), 1, PipelineStep.RAW_VIDEO)
    evaluate()
    with make_database(harness.settings).writing():  # as long as somebody forgets a video, say
        for _ in range(3 * LOOKS):
            with suppress(DatabaseUnavailableError):
                evaluate()
    evaluate()

    assert harness.queue.beat(lease)
