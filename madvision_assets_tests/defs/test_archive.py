"""Claims about the archive: what leaves Dagster, what stays, and what comes back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import select

from madvision_assets.connections import make_database, make_store
from madvision_assets.defs import archive as archiving
from madvision_assets.defs.archive import Plan, archive, plan_archive
from madvision_assets.defs.launch import open_instance
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failures import PrivateVideoError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.ended import Ended
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.tables import video_processing_queue
from madvision_assets.tools.store.documents import read_current
from madvision_assets_tests.databases import KINDS, alter, new_database, url_of
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

LONG_AGO = datetime.now(UTC) - timedelta(days=40)
MONTH = timedelta(days=30)
CLIPS = dg.AssetKey(PipelineStep.CLIPS.value)


@pytest.fixture(params=KINDS)
def harness(request: pytest.FixtureRequest, tmp_path: Path, media: Path) -> Iterator[Harness]:
    """Our tables and Dagster's, both on SQLite or both on PostgreSQL."""
    home = tmp_path / "dagster"
    home.mkdir()
    with new_database(request.param, request, tmp_path) as ours, new_database(request.param, request, tmp_path) as its:
        storage = ""
        if request.param == "postgresql":
            ours.migrate()
            storage = f"storage: {{postgres: {{postgres_url: '{url_of(its)}'}}}}\n"
        (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{storage}")
        with (
            open_instance(home, None) as instance,
            open_harness(tmp_path / "home", media, instance=instance, database_url=url_of(ours)) as made,
        ):
            yield made


@pytest.fixture
def local(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def ended(harness: Harness) -> Ended:
    return Ended(make_database(harness.settings), datetime.now(UTC) - MONTH)


def plan(harness: Harness, keep: int = 0) -> Plan:
    return plan_archive(harness.instance, ended(harness), keep)


def run_archive(harness: Harness, *, with_runs: bool = False) -> tuple[int, int, int]:
    """Archive what can be: videos archived, left alone, runs deleted."""
    done = list(archive(harness.instance, ended(harness), plan(harness).video_ids, with_runs=with_runs))
    return sum(d.archived for d in done), sum(d.left_alone for d in done), sum(d.runs for d in done)


def age(harness: Harness, name: str, moment: datetime = LONG_AGO) -> None:
    alter(make_database(harness.settings), f"web-{name}", finished_at=moment)


def finish_long_ago(harness: Harness, *names: str) -> None:
    """Videos that ended without a run, the first named first."""
    harness.instance.add_dynamic_partitions("videos", [f"web-{name}" for name in names])
    for n, name in enumerate(names):
        harness.submit(name)
        moment = LONG_AGO + timedelta(hours=n)
        alter(
            make_database(harness.settings), f"web-{name}", status="done", outcome="clips", pipeline_step="clips",
            finished_at=moment,
        )  # fmt: skip


def partitions(harness: Harness) -> set[str]:
    return set(harness.instance.get_dynamic_partitions("videos"))


def test_what_ended_long_ago_leaves_dagster_and_keeps_all_that_is_ours(harness: Harness) -> None:
    token = harness.submit("old").token
    harness.submit("new")
    harness.tick()
    age(harness, "old")
    harness.submit("queued")
    harness.instance.add_dynamic_partitions("videos", ["web-queued"])

    assert run_archive(harness) == (1, 0, 0)

    assert partitions(harness) == {"web-new", "web-queued"}
    tracked = harness.submissions.find(token)
    assert tracked is not None
    assert tracked.row.status is QueueStatus.DONE
    assert read_current(make_store(harness.settings), Clips, "web-old").video_id == "web-old"
    assert len(make_database(harness.settings).lineage_of("web-old")) == len(PipelineStep)
    assert run_archive(harness) == (0, 0, 0)


def test_requeued_it_gets_its_partition_back_and_is_processed(harness: Harness) -> None:
    harness.submit()
    harness.tick()
    age(harness, "a")
    run_archive(harness)

    Operations(make_database(harness.settings)).requeue(video_ids=["web-a"], from_step=PipelineStep.CLIPS)
    [result] = harness.tick()

    assert result.success
    assert partitions(harness) == {"web-a"}
    assert harness.row().status is QueueStatus.DONE


def test_a_failed_one_that_is_submitted_again_comes_back_too_and_a_done_one_needs_no_run(local: Harness) -> None:
    local.tools.plan(PipelineStep.RAW_VIDEO, PrivateVideoError())
    local.submit("failed")
    local.tick()
    local.submit("done")
    local.tick()
    for name in ("failed", "done"):
        age(local, name)
    assert run_archive(local) == (2, 0, 0)

    assert local.submit("done").row.status is QueueStatus.DONE
    local.submit("failed")
    local.tick()

    assert partitions(local) == {"web-failed"}
    assert local.row("failed").status is QueueStatus.DONE


def test_without_runs_dagster_still_knows_what_was_made_and_with_runs_it_does_not(harness: Harness) -> None:
    for name in ("a", "b"):
        harness.submit(name)
    harness.tick()
    age(harness, "a")

    run_archive(harness)

    assert harness.instance.get_materialized_partitions(CLIPS) == {"web-a", "web-b"}
    age(harness, "b")
    assert run_archive(harness, with_runs=True) == (1, 0, 1)
    assert harness.instance.get_materialized_partitions(CLIPS) == {"web-a"}
    assert len(harness.instance.get_run_ids()) == 1


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_a_partition_with_a_run_under_way_stays_whoever_launched_it(
    local: Harness, status: dg.DagsterRunStatus
) -> None:
    finish_long_ago(local, "busy", "idle")
    create_run_for_test(local.instance, "by_hand", tags={"dagster/partition": "web-busy"}, status=status)

    assert run_archive(local, with_runs=True) == (1, 1, 0)

    assert partitions(local) == {"web-busy"}
    assert len(local.instance.get_run_ids()) == 1


def test_what_is_queued_again_after_the_plan_is_left_alone(harness: Harness) -> None:
    finish_long_ago(harness, "a", "b")
    chosen = plan(harness).video_ids
    Operations(make_database(harness.settings)).requeue(video_ids=["web-a"])

    [done] = archive(harness.instance, ended(harness), chosen)

    assert (done.archived, done.left_alone) == (1, 1)
    assert partitions(harness) == {"web-a"}


@pytest.mark.parametrize("harness", ["postgresql"], indirect=True)
def test_a_row_that_somebody_is_about_to_move_is_not_waited_for(harness: Harness) -> None:
    finish_long_ago(harness, "a", "b")
    chosen = plan(harness).video_ids
    mine = select(video_processing_queue).where(video_processing_queue.c.video_id == "web-a").with_for_update()
    with make_database(harness.settings).writing() as connection:
        connection.execute(mine)

        [done] = archive(harness.instance, ended(harness), chosen)

    assert (done.archived, done.left_alone) == (1, 1)
    assert partitions(harness) == {"web-a"}


def test_those_that_ended_first_go_first_and_so_many_partitions_stay(local: Harness) -> None:
    finish_long_ago(local, "c", "a", "b")
    local.instance.add_dynamic_partitions("videos", ["not-of-ours"])

    assert plan(local).video_ids == ("web-c", "web-a", "web-b")
    assert plan(local, keep=2).video_ids == ("web-c", "web-a")
    assert plan(local, keep=9).video_ids == ()
    assert plan(local).partitions == 4


def test_broken_off_it_goes_on_where_it_was(local: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "BATCH", 2)
    finish_long_ago(local, *"abcde")
    going = archive(local.instance, ended(local), plan(local).video_ids)

    next(going)

    assert partitions(local) == {"web-c", "web-d", "web-e"}
    assert run_archive(local) == (3, 0, 0)


def test_while_a_backfill_is_under_way_nothing_is_archived(local: Harness) -> None:
    finish_long_ago(local, "a")
    backfill = PartitionBackfill(
        backfill_id="mine", status=BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0,
        asset_selection=[CLIPS],
    )  # fmt: skip
    local.instance.add_backfill(backfill)

    with pytest.raises(ValueError, match="The backfill mine is under way"):
        run_archive(local)

    assert partitions(local) == {"web-a"}
    over = backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS)  # type: ignore[no-untyped-call]
    local.instance.update_backfill(over)
    assert run_archive(local) == (1, 0, 0)
