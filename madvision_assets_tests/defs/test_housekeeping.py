"""Claims about the housekeeping: what leaves Dagster by itself, with all that Dagster kept of it, and what stays."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import create_engine, inspect, text

from madvision_assets.connections import make_database, make_store
from madvision_assets.defs import housekeeping, sensors
from madvision_assets.defs.housekeeping import Housekeeper
from madvision_assets.defs.launch import open_instance
from madvision_assets.defs.partitions import VideoPartitions, videos
from madvision_assets.defs.runtime.lease import PARTITION_TAG
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import HOUR_S
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.uploads import Uploads
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets.tools.store.incoming import IncomingFiles
from madvision_assets.work.forgetting import forget
from madvision_assets.work.sweeping import UploadSweeper
from madvision_assets_tests.databases import KINDS, alter, new_database, url_of
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

DAYS = 30
LONG_AGO = timedelta(days=DAYS + 10)
# What Dagster keeps of the instance, and not of a run.
STANDING = {
    "alembic_version", "secondary_indexes", "snapshots", "asset_keys", "concurrency_limits", "concurrency_slots",
    "kvs", "daemon_heartbeats", "jobs", "instigators", "job_ticks",
}  # fmt: skip


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


def process(harness: Harness, *names: str) -> None:
    """Submit these videos and have all of them done."""
    for name in names:
        harness.submit(name)
    harness.tick()
    assert {name: harness.row(name).status for name in names} == dict.fromkeys(names, QueueStatus.DONE)


def housekeeper(harness: Harness, days: int = DAYS) -> Housekeeper:
    return Housekeeper(make_database(harness.settings), days)


def sweep(harness: Harness, days: int = DAYS) -> tuple[int, int]:
    swept = housekeeper(harness, days).sweep(harness.instance)
    return swept.archived, swept.runs


def kept(harness: Harness) -> dict[str, list[str]]:
    """The rows of Dagster's tables, in whatever files they are."""
    folder = Path(harness.instance.root_directory)
    storage = harness.instance.event_log_storage
    url = getattr(storage, "postgres_url", None)
    urls = [url] if url else [f"sqlite:///{path}" for path in (folder / "history").rglob("*.db")]
    found: dict[str, list[str]] = {}
    for each in urls:
        engine = create_engine(each)
        with engine.connect() as connection:
            for name in inspect(engine).get_table_names():
                rows = connection.execute(text(f'SELECT * FROM "{name}"'))  # noqa: S608 - its own
                found.setdefault(name, []).extend(str(tuple(row)) for row in rows)
        engine.dispose()
    return found


def tables(harness: Harness) -> dict[str, int]:
    """Rows of Dagster's tables that have any of a run."""
    return {name: len(rows) for name, rows in kept(harness).items() if rows and name not in STANDING}


def age_runs(harness: Harness) -> None:
    """All runs so far ended long ago, as Dagster has it."""
    storage = harness.instance.run_storage
    with storage.connect() as connection:  # type: ignore[attr-defined]
        then = (datetime.now(UTC) - LONG_AGO).replace(tzinfo=None)
        connection.execute(text("UPDATE runs SET update_timestamp = :then"), {"then": then})


def age(harness: Harness, *names: str) -> None:
    """These videos, and all runs so far, ended long ago."""
    for name in names:
        alter(make_database(harness.settings), f"web-{name}", finished_at=datetime.now(UTC) - LONG_AGO)
    age_runs(harness)


def test_what_ended_long_ago_goes_and_nothing_of_it_is_left_in_dagster(harness: Harness) -> None:
    process(harness, "old")
    assert tables(harness)["event_logs"] > 40
    age(harness, "old")

    assert sweep(harness) == (1, 1)

    assert tables(harness) == {}
    assert harness.row("old").status is QueueStatus.DONE
    assert len(make_database(harness.settings).lineage_of("web-old")) == len(PipelineStep)
    history = Path(harness.instance.root_directory) / "history" / "runs"
    assert [path.name for path in history.glob("*") if not path.name.startswith("index")] == []


def test_what_ended_lately_and_what_is_not_over_stays_with_all_its_runs(harness: Harness) -> None:
    process(harness, "lately", "queued")
    Operations(make_database(harness.settings)).requeue(video_ids=["web-queued"], from_step=PipelineStep.CLIPS)
    age_runs(harness)

    assert sweep(harness) == (0, 0)

    made = harness.instance.get_materialized_partitions(dg.AssetKey(PipelineStep.CLIPS.value))
    assert made == {"web-lately", "web-queued"}


def test_runs_of_videos_that_were_forgotten_go_too(harness: Harness) -> None:
    tags = {"dagster/partition": "web-forgotten"}
    create_run_for_test(harness.instance, "theirs", tags=tags, status=dg.DagsterRunStatus.SUCCESS)
    create_run_for_test(harness.instance, "not_of_a_video", status=dg.DagsterRunStatus.SUCCESS)
    age_runs(harness)
    create_run_for_test(harness.instance, "lately", tags=tags, status=dg.DagsterRunStatus.FAILURE)
    create_run_for_test(harness.instance, "going", tags=tags, status=dg.DagsterRunStatus.STARTED)

    sweep(harness)

    assert {run.job_name for run in harness.instance.get_runs()} >= {"not_of_a_video", "going"}
    assert "theirs" not in {run.job_name for run in harness.instance.get_runs()}


def test_for_ever_is_for_ever(harness: Harness) -> None:
    process(harness, "old")
    age(harness, "old")

    assert sweep(harness, days=0) == (0, 0)

    assert len(harness.instance.get_run_ids()) == 1


def test_a_sweep_that_is_over_goes_on_where_it_was_and_passes_over_what_stays(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "SWEEP_RUNS", 1)
    for name in ("stays", "goes", "too"):
        process(harness, name)
    age(harness, "goes", "too")
    keeper, told = housekeeper(harness), None
    numbers = []
    for _ in range(4):
        swept = keeper.sweep(harness.instance, told, limit_s=0.0)
        told = swept.last_kept
        numbers.append((swept.archived, swept.runs, told is None))

    assert numbers == [(0, 0, False), (1, 1, False), (1, 1, False), (0, 0, True)]
    assert len(harness.instance.get_run_ids()) == 1


def test_the_sensor_sweeps_and_waits_for_the_end_of_a_backfill(harness: Harness) -> None:
    process(harness, "old")
    age(harness, "old")
    backfill = PartitionBackfill(
        backfill_id="mine", status=BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0,
        asset_selection=[dg.AssetKey(PipelineStep.CLIPS.value)],
    )  # fmt: skip
    harness.instance.add_backfill(backfill)

    def told() -> str | None:
        context = dg.build_sensor_context(instance=harness.instance)
        answer = sensors.housekeeping(
            context,
            housekeeper=housekeeper(harness),
            upload_sweeper=upload_sweeper(harness),
            withdrawn_sweeper=harness.resources()["withdrawn_sweeper"],
            quotas=harness.resources()["quotas"],
            upgrader=harness.resources()["upgrader"],
            summariser=harness.resources()["summariser"],
            indexer=harness.resources()["indexer"],
            catalogue=harness.resources()["catalogue"],
            database=make_database(harness.settings),
        )
        skip = answer.skip_reason if isinstance(answer, dg.SensorResult) else answer
        assert isinstance(skip, dg.SkipReason)
        return skip.skip_message

    assert told() == "The backfill mine is under way: wait for its end, or cancel it."
    harness.instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))  # type: ignore[no-untyped-call]
    assert told() == "1 videos archived, 1 runs deleted, 0 uploads swept, 0 videos to be redone."


def test_the_sensor_deletes_what_uploads_left_and_nobody_needs(harness: Harness) -> None:
    sweeper = upload_sweeper(harness)
    uploads, files = Uploads(sweeper.database), IncomingFiles(sweeper.store)
    for name, lasts_s in (("over", 1e-6), ("goes on", HOUR_S)):
        place = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        told = {"name": name, "size_bytes": 2, "asked": {}}
        uploads.create(name, place, "client", told, lambda _: None, lasts_s)
        files.put(place, 0, 1, name.encode())

    context = dg.build_sensor_context(instance=harness.instance)
    names = ("quotas", "upgrader", "summariser", "indexer", "catalogue", "withdrawn_sweeper", "database")
    others = {name: harness.resources()[name] for name in names}
    sensors.housekeeping(context, housekeeper=housekeeper(harness), upload_sweeper=sweeper, **others)

    (left,) = sweeper.store.list_keys("incoming")
    assert sweeper.store.get_bytes(left) == b"goes on"


def upload_sweeper(harness: Harness) -> UploadSweeper:
    sweeper = harness.resources()["upload_sweeper"]
    assert isinstance(sweeper, UploadSweeper)
    return sweeper


def test_the_sensor_deletes_what_its_submitters_deleted_once_no_run_is_at_work_on_it(harness: Harness) -> None:
    receipt = harness.submit("mine")
    harness.instance.add_dynamic_partitions(str(videos.name), ["web-mine"])
    assert Withdrawals(make_database(harness.settings)).withdraw(receipt.token)
    resources = harness.resources()
    names = sensors.housekeeping.required_resource_keys

    def tick() -> str:
        context = dg.build_sensor_context(instance=harness.instance)
        answer = sensors.housekeeping(context, **{name: resources[name] for name in names})
        skip = answer.skip_reason if isinstance(answer, dg.SensorResult) else answer
        assert isinstance(skip, dg.SkipReason)
        return str(skip.skip_message)

    tags = {PARTITION_TAG: "web-mine"}
    run = create_run_for_test(harness.instance, "going", tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert "of their submitters" not in tick()
    harness.instance.report_run_failed(run)

    assert "1 videos of their submitters deleted" in tick()
    assert harness.instance.get_dynamic_partitions(str(videos.name)) == []
    assert harness.queue.get("web-mine") is None


def test_what_is_forgotten_goes_out_of_dagster_at_once_with_all_that_its_runs_told(harness: Harness) -> None:
    process(harness, "other")
    process(harness, "mine")
    printed = Path(harness.instance.storage_directory()) / harness.instance.get_run_ids(limit=1)[0] / "compute_logs"
    printed.mkdir(parents=True)
    assert {name for name, rows in kept(harness).items() if "web-mine" in str(rows)} >= {"event_logs", "asset_keys"}
    database, store = make_database(harness.settings), make_store(harness.settings)

    list(forget(database, store, harness.settings.work_folder, VideoPartitions(harness.instance), ["web-mine"]))

    assert [name for name, rows in kept(harness).items() if "web-mine" in str(rows)] == []
    assert not printed.parent.exists()
    last = harness.instance.get_latest_materialization_event(dg.AssetKey(PipelineStep.CLIPS.value))
    assert last is not None
    assert last.asset_materialization is not None
    assert last.asset_materialization.partition == "web-other"
