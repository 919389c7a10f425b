"""Claims about the way from a row to its runs and back, over the real assets with quick tools."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.connections import make_database
from madvision_assets.domain.failures import (
    AnalystUnavailableError,
    ConnectionLostError,
    PrivateVideoError,
    SourceRateLimitedError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.operations import Operations
from madvision_assets_tests.databases import alter
from madvision_assets_tests.harness import TITLE, Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def test_a_run_is_as_urgent_in_the_pools_as_its_video_has_become_by_waiting(harness: Harness) -> None:
    harness.submit(priority=1)
    alter(make_database(harness.settings), "web-a", next_attempt_at=datetime.now(UTC) - timedelta(hours=2.5))

    [request] = harness.ask()

    assert request.tags["dagster/priority"] == "3"


def test_runs_are_found_by_the_title_of_their_video_once_it_is_known_and_by_why_they_failed(harness: Harness) -> None:
    harness.submit()
    harness.tools.plan(HEARD, ConnectionLostError("it broke off"))

    [failed] = harness.tick()
    [request] = harness.ask()

    run = harness.instance.get_run_by_id(failed.run_id)
    assert run is not None
    assert run.tags["madvision/cause"] == "connection_lost"
    assert run.tags["madvision/title"] == TITLE
    assert request.tags["madvision/title"] == TITLE


def test_who_is_at_work_on_a_video_that_is_cancelled_publishes_nothing_and_it_goes_on_where_it_stopped(
    harness: Harness,
) -> None:
    harness.submit()
    harness.tools.plan(HEARD, lambda: harness.queue.cancel("web-a"))

    [result] = harness.tick()

    assert not result.success
    run = harness.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["madvision/cause"] == "superseded"
    assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.FAILED, "cancelled")
    assert harness.ask() == []
    Operations(make_database(harness.settings)).requeue(video_ids=["web-a"])
    [request] = harness.ask()
    assert selected(request) == [HEARD.value, KIND.value, CHOSEN.value, CUT.value]
    assert harness.launch(request).success


def selected(request: dg.RunRequest) -> list[str]:
    return [key.to_user_string() for key in request.asset_selection or ()]


def test_a_new_row_becomes_a_partition_and_one_run_of_all_stages_and_is_done_by_them(harness: Harness) -> None:
    harness.submit(priority=7)

    [request] = harness.ask()

    assert (request.run_key, request.partition_key) == ("web-a:1", "web-a")
    assert request.tags["dagster/priority"] == "7"
    assert request.tags["madvision/attempt"] == "1"
    assert request.tags["madvision/host"] == "a.example.org"
    assert selected(request) == [step.value for step in PipelineStep]
    assert harness.instance.has_dynamic_partition("videos", "web-a")
    assert harness.row().status is QueueStatus.RUNNING
    result = harness.launch(request)
    row = harness.row()
    assert result.success
    assert (row.status, row.outcome, row.progress, row.attempt, row.run_id) == (
        QueueStatus.DONE, "too_short", 1.0, 1, result.run_id,
    )  # fmt: skip
    assert harness.ask() == []


@pytest.mark.parametrize("step", list(PipelineStep))
def test_a_transient_failure_comes_back_at_the_failed_stage_and_does_no_stage_twice(
    harness: Harness, step: PipelineStep
) -> None:
    harness.submit()
    harness.tools.plan(step, ConnectionLostError("it broke off"))

    harness.tick()

    waiting = harness.row()
    assert (waiting.status, waiting.pipeline_step, waiting.failure_cause, waiting.retry) == (
        QueueStatus.WAITING, step, "connection_lost", 1,
    )  # fmt: skip
    [request] = harness.ask()
    assert selected(request) == [later.value for later in step.onwards()]
    harness.launch(request)
    done = harness.row()
    assert (done.status, done.attempt, done.failure_cause) == (QueueStatus.DONE, 2, None)
    assert harness.tools.calls == {each: 2 if each is step else 1 for each in PipelineStep}


def test_a_permanent_failure_is_final_and_a_new_submission_tries_again(harness: Harness) -> None:
    harness.submit()
    harness.tools.plan(RAW, PrivateVideoError())

    harness.tick()

    assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.FAILED, "private_video")
    assert harness.ask() == []
    harness.submit()
    harness.tick()
    assert harness.row().status is QueueStatus.DONE


def test_a_rate_limit_pauses_its_host_and_no_other(tmp_path: Path, media: Path) -> None:
    with open_harness(tmp_path, media, max_in_flight=1) as harness:
        for name in ("slow", "other"):
            harness.submit(name, priority=int(name == "slow"))
        harness.tools.plan(RAW, SourceRateLimitedError(retry_after_s=3600))

        harness.tick()
        harness.tick()

        assert (harness.row("slow").status, harness.row("slow").retry) == (QueueStatus.WAITING, 0)
        assert harness.row("other").status is QueueStatus.DONE
        later = harness.submissions.find(harness.submit("slow").token)
        assert later is not None
        assert later.row.failure_cause == "source_rate_limited"


def test_during_an_outage_of_the_analyst_downloads_and_transcripts_go_on_and_nothing_is_done_twice_afterwards(
    tmp_path: Path, media: Path
) -> None:
    with open_harness(tmp_path, media, breaker_pause_s=3600) as harness:
        harness.tools.plan(KIND, *[AnalystUnavailableError("connection refused")] * 3)
        for name in "abcdef":
            harness.submit(name)

        for _ in range(3):
            harness.tick()

        rows = [harness.row(name) for name in "abcdef"]
        assert {row.status for row in rows} == {QueueStatus.WAITING}
        assert {row.failure_cause for row in rows} == {"analyst_unavailable"}
        assert harness.tools.calls == {RAW: 6, HEARD: 6, KIND: 3}, "the open breaker spares the analyst"

        assert Operations(make_database(harness.settings)).requeue(cause="analyst_unavailable") == 6
        for _ in range(2):
            harness.tick()

        assert {harness.row(name).status for name in "abcdef"} == {QueueStatus.DONE}
        assert harness.tools.calls == {RAW: 6, HEARD: 6, KIND: 9, CHOSEN: 6, CUT: 6}


def test_a_run_by_hand_is_in_the_table_and_a_stage_alone_leaves_a_finished_video_finished(harness: Harness) -> None:
    harness.submit()
    harness.tick()

    harness.by_hand("a", CUT)

    row = harness.row()
    assert (row.status, row.attempt, row.outcome) == (QueueStatus.DONE, 2, "too_short")
    harness.tools.plan(HEARD, ConnectionLostError())
    harness.by_hand("a", HEARD)
    assert (harness.row().status, harness.row().pipeline_step) == (QueueStatus.WAITING, HEARD)
    harness.tick()
    assert harness.row().status is QueueStatus.DONE


def test_stages_done_by_hand_are_not_done_again(harness: Harness) -> None:
    harness.submit()
    harness.by_hand("a", RAW, HEARD)

    [request] = harness.ask()

    assert selected(request) == ["content_type", "clip_candidates", "clips"]


def test_a_video_whose_stages_are_all_done_is_done_without_a_run(harness: Harness) -> None:
    harness.submit()
    harness.tick()
    Operations(make_database(harness.settings)).requeue(video_ids=["web-a"])
    assert harness.row().status is QueueStatus.QUEUED

    assert harness.ask() == []

    assert (harness.row().status, harness.row().outcome) == (QueueStatus.DONE, "too_short")


def test_a_run_that_was_overtaken_publishes_nothing_and_says_so(harness: Harness) -> None:
    harness.submit()
    harness.tools.plan(HEARD, lambda: harness.by_hand("a", RAW))

    [overtaken] = harness.tick()

    run = harness.instance.get_run_by_id(overtaken.run_id)
    assert run is not None
    assert run.tags["madvision/cause"] == "superseded"
    assert (harness.row().status, harness.row().attempt) == (QueueStatus.QUEUED, 2)
    assert not list((harness.settings.home / "store" / "transcript").rglob("*.json"))
    harness.tick()
    assert harness.row().status is QueueStatus.DONE
