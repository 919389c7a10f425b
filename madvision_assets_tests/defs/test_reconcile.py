"""Claims about what happens to videos whose run could not tell the queue how it ended."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from madvision_assets.defs.runtime.reconcile import Reconciler, Seen
from madvision_assets.domain.failures import CorruptMediaError, SupersededError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.quick import Factory, factory

LOOKS = 3


@pytest.fixture
def works(tmp_path: Path, media: Path) -> Iterator[Factory]:
    with factory(tmp_path, media, lost_after_s=30) as made:
        yield made


def look(works: Factory, times: int = 1, *, one_process: bool = True) -> list[str]:
    """So many looks of the reconciler; what the last one repaired."""
    seen: Seen = {}
    repairs: list[str] = []
    for _ in range(times):
        seen, repairs = Reconciler(works.queue, LOOKS, one_process).look(works.instance, seen)
    return repairs


def started(works: Factory, request: dg.RunRequest, status: DagsterRunStatus = DagsterRunStatus.STARTED) -> str:
    """A run that Dagster believes to be in this state, and of which no process is left."""
    job = works.definitions.resolve_job_def("process_video")
    tags = {**request.tags, "dagster/partition": str(request.partition_key)}
    return works.instance.create_run_for_job(job, tags=tags, status=status).run_id


def claimed(works: Factory) -> dg.RunRequest:
    """A video in flight, with nothing launched for it yet."""
    works.submit()
    [request] = works.ask()
    return request


def test_a_claim_of_which_no_run_came_is_queued_again_after_some_looks(works: Factory) -> None:
    claimed(works)

    assert look(works, LOOKS) == []
    assert works.row().status is QueueStatus.RUNNING

    assert look(works, LOOKS + 1) == ["web-a: no run came of its claim; queued"]
    assert (works.row().status, works.row().retry, works.row().lost_workers) == (QueueStatus.QUEUED, 0, 0)


def test_a_run_that_comes_after_all_finds_its_turn_over(works: Factory) -> None:
    late = claimed(works)
    look(works, LOOKS + 1)
    [again] = works.ask()

    assert not works.launch(late).success
    assert works.tools.calls.total() == 0
    assert works.launch(again).success
    assert (works.row().status, works.row().attempt) == (QueueStatus.DONE, 2)


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING])
def test_a_run_that_dagster_still_means_to_start_is_left_alone(works: Factory, status: DagsterRunStatus) -> None:
    started(works, claimed(works), status)

    assert look(works, 10 * LOOKS) == []
    assert works.row().status is QueueStatus.RUNNING


def test_a_run_that_waited_long_to_be_started_is_not_lost_before_it_could_give_a_sign_of_life(works: Factory) -> None:
    run_id = started(works, claimed(works), DagsterRunStatus.STARTING)
    reconciler = Reconciler(works.queue, LOOKS, one_process=True)
    seen: Seen = {}
    for _ in range(5 * LOOKS):
        seen, _repairs = reconciler.look(works.instance, seen)

    works.instance.handle_run_event(run_id, dg.DagsterEvent("PIPELINE_START", "process_video"))

    for _ in range(LOOKS):
        seen, repairs = reconciler.look(works.instance, seen)
        assert repairs == []
    assert reconciler.look(works.instance, seen)[1] == ["web-a: its worker is lost"]


def test_a_worker_without_a_sign_of_life_is_lost_and_the_third_one_parks_the_video_with_the_evidence(
    works: Factory,
) -> None:
    works.submit()
    for nth in (1, 2, 3):
        [request] = works.ask()
        run_id = started(works, request)
        lease = works.queue.begin("web-a", run_id, nth, PipelineStep.RAW_VIDEO)

        assert look(works, LOOKS + 1) == ["web-a: its worker is lost"]

        assert works.row().lost_workers == nth
        run = works.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is DagsterRunStatus.FAILURE
        assert not works.queue.beat(lease)
        with pytest.raises(SupersededError):
            works.queue.require_lease("web-a", run_id)
    row = works.row()
    assert (row.status, row.failure_cause) == (QueueStatus.PARKED, "poison_input")
    assert run_id in (row.failure_details or "")
    assert works.ask() == []


def test_a_worker_that_gives_signs_of_life_is_not_lost_however_long_it_takes(works: Factory) -> None:
    request = claimed(works)
    lease = works.queue.begin("web-a", started(works, request), 1, PipelineStep.RAW_VIDEO)
    reconciler = Reconciler(works.queue, LOOKS, one_process=True)
    seen: Seen = {}

    for _ in range(5 * LOOKS):
        assert works.queue.beat(lease)
        seen, repairs = reconciler.look(works.instance, seen)
        assert repairs == []


def test_where_a_run_is_many_processes_one_that_waits_for_a_pool_is_not_lost(works: Factory) -> None:
    request = claimed(works)
    works.queue.begin("web-a", started(works, request), 1, PipelineStep.RAW_VIDEO)

    assert look(works, LOOKS + 1, one_process=False) == []


def test_a_run_that_failed_without_a_word_counts_as_a_lost_worker(works: Factory) -> None:
    request = claimed(works)
    run = works.instance.get_run_by_id(started(works, request))
    assert run is not None
    works.instance.report_run_failed(run, "Run execution process unexpectedly exited")

    assert look(works) == ["web-a: worker_lost: waiting"]
    assert (works.row().lost_workers, works.row().retry) == (1, 0)


def test_the_slots_of_a_killed_run_are_free_for_others_at_once(works: Factory) -> None:
    run = works.instance.get_run_by_id(started(works, claimed(works)))
    assert run is not None
    storage = works.instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    assert storage.claim_concurrency_slot("gpu", run.run_id, "transcript").is_claimed
    works.instance.report_run_failed(run, "Run execution process unexpectedly exited")
    assert storage.get_concurrency_run_ids() == {run.run_id}

    look(works)

    assert storage.get_concurrency_run_ids() == set()


def test_a_run_that_somebody_cancelled_stays_stopped_until_somebody_requeues_it(works: Factory) -> None:
    run = works.instance.get_run_by_id(started(works, claimed(works)))
    assert run is not None
    works.instance.report_run_canceled(run)

    look(works)

    assert (works.row().status, works.row().failure_cause) == (QueueStatus.FAILED, "cancelled")
    assert works.ask() == []


def test_a_failure_that_the_worker_could_not_tell_is_read_from_its_run(
    works: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.submit()
    works.tools.plan(PipelineStep.TRANSCRIPT, CorruptMediaError("at 3 s"))
    with monkeypatch.context() as deaf:
        deaf.setattr("madvision_assets.tools.database.queue.Queue.fail", lambda *_: None)
        works.tick()
    assert works.row().status is QueueStatus.RUNNING

    look(works)

    row = works.row()
    assert (row.status, row.failure_cause, row.pipeline_step) == (QueueStatus.FAILED, "corrupt_media", "transcript")
    assert row.failure_details == "at 3 s"


def test_a_run_that_ended_well_without_a_last_word_is_queued_and_found_done(
    works: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    works.submit()
    with monkeypatch.context() as deaf:
        deaf.setattr("madvision_assets.tools.database.queue.Queue.finish_step", lambda *_, **__: None)
        works.tick()
    assert works.row().status is QueueStatus.RUNNING

    look(works)

    assert works.row().status is QueueStatus.QUEUED
    assert works.ask() == []
    assert works.row().status is QueueStatus.DONE
    assert works.tools.calls.total() == len(PipelineStep)
