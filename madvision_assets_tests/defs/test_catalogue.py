"""Claims about the asset ``catalogue``: made by its job, told in Dagster, off the clock until somebody wants it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from madvision_assets.connections import make_database, make_store
from madvision_assets.definitions import build_defs
from madvision_assets.defs.catalogue import JOB, hourly_catalogue
from madvision_assets.defs.compute import catalogue_tags
from madvision_assets.defs.dagster_inside import failed_steps, told_failure
from madvision_assets.defs.housekeeping import Housekeeper
from madvision_assets.defs.launch import open_instance
from madvision_assets.domain.stages import PipelineStep, Reach
from madvision_assets.lineage.frames import read_catalogue
from madvision_assets.settings import Settings
from madvision_assets_tests.lineage.history import write_history

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(_env_file=None, home=tmp_path / "home")
    database = make_database(made)
    database.migrate()
    write_history(database)
    return made


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(tmp_path / "dagster", None) as opened:
        yield opened


def run(settings: Settings, instance: dg.DagsterInstance, *, fails: bool = False) -> dict[str, Any]:
    """A run of the job; what its materialisation tells."""
    job = build_defs(settings).resolve_job_def(JOB)
    result = job.execute_in_process(run_config=QUIET, instance=instance, raise_on_error=False)
    assert result.success is not fails
    told = list(result.asset_materializations_for_node("catalogue")) if result.success else []
    return {name: value.value for each in told for name, value in each.metadata.items()}


def test_the_job_brings_it_up_to_date_and_tells_what_that_took(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    first, again = run(settings, instance), run(settings, instance)

    assert (first["made_anew"], first["rows/videos"], first["rows/clips"]) == (True, 3, 5)
    assert (again["made_anew"], again["files_written"], again["state"]) == (False, 0, first["state"])
    assert first["uri"] == make_store(settings).uri("catalogue")
    assert list(read_catalogue(make_store(settings), "videos").video_id) == ["web-a", "web-b", "web-c"]


def test_what_fails_is_told_as_it_is(settings: Settings, instance: dg.DagsterInstance) -> None:
    make_store(settings).put_bytes("catalogue/.manifests/00000009.json", b'{"schema_version": 999}')

    assert run(settings, instance, fails=True) == {}
    assert len(list(make_store(settings).list_keys("catalogue"))) == 1
    [run_id] = instance.get_run_ids()
    [failed] = failed_steps(instance, run_id)
    told = told_failure(failed)
    assert told is not None
    assert told.metadata["failure_cause"] == "newer_document"


def test_it_has_no_partitions_and_its_schedule_waits_to_be_turned_on(settings: Settings) -> None:
    definitions = build_defs(settings)
    asset = definitions.resolve_assets_def("catalogue")

    assert asset.partitions_def is None
    assert not asset.dependency_keys
    assert [schedule.name for schedule in definitions.schedules or ()] == ["hourly_catalogue"]
    assert hourly_catalogue.default_status is dg.DefaultScheduleStatus.STOPPED


def test_its_pod_reaches_nothing_else_and_has_the_secrets_of_database_and_store_alone() -> None:
    pod = catalogue_tags()["dagster-k8s/config"]

    assert pod["pod_template_spec_metadata"]["labels"]["madvision.io/reach"] == Reach.NOTHING
    assert {"secret_ref": {"name": "madvision-clips"}} in pod["container_config"]["env_from"]
    assert PipelineStep.CLIPS.stage.needs.secrets == frozenset()
    assert "node_selector" not in pod["pod_spec_config"]


def test_runs_that_brought_it_up_to_date_long_ago_leave_dagster(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    run(settings, instance)
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        then = (datetime.now(UTC) - timedelta(days=40)).replace(tzinfo=None)
        connection.execute(text("UPDATE runs SET update_timestamp = :then"), {"then": then})
    run(settings, instance)

    swept = Housekeeper(make_database(settings), 30).sweep(instance)

    assert (swept.archived, swept.runs, swept.last_kept) == (0, 1, None)
    assert len(instance.get_run_ids()) == 1
