"""Claims about pools: what they show, and what a limit does."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.defs.compute import limit_pools
from madvision_assets.defs.dagster_inside import max_concurrent_runs
from madvision_assets.defs.launch import open_instance
from madvision_assets.defs.pools import PoolState, hints, read_pools, set_limit
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.databases import KINDS, new_database, url_of

pytestmark = pytest.mark.whole

QUEUED = """
concurrency: {runs: {max_concurrent_runs: 3}}
run_coordinator: {module: dagster.core.run_coordinator, class: QueuedRunCoordinator}
"""


@pytest.fixture(params=KINDS)
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One whose storage is SQLite, one whose storage is PostgreSQL."""
    with new_database(request.param, request, tmp_path) as database:
        storage = f"storage: {{postgres: {{postgres_url: '{url_of(database)}'}}}}\n"
        (tmp_path / "dagster.yaml").write_text(
            f"telemetry: {{enabled: false}}\n{QUEUED}{storage if request.param == 'postgresql' else ''}"
        )
        with open_instance(tmp_path, None) as opened:
            yield opened


LIMITS = {"download": 4, "gpu": 1, "llm": 4, "render": 2}


def limits(instance: dg.DagsterInstance) -> dict[str, int]:
    return {pool.name: pool.limit for pool in read_pools(instance)}


def pool(limit: int, name: str = "gpu") -> PoolState:
    return PoolState(name, limit, 0, 0, (PipelineStep.TRANSCRIPT,), "")


def test_every_pool_is_there_with_its_stages_and_a_reason(instance: dg.DagsterInstance) -> None:
    found = read_pools(instance)

    assert limits(instance) == LIMITS
    assert {step: pool.name for pool in found for step in pool.steps} == {
        step: step.stage.pool for step in PipelineStep
    }
    assert all(pool.why for pool in found)
    assert max_concurrent_runs(instance) == 3


def test_a_limit_that_was_set_stays(instance: dg.DagsterInstance) -> None:
    set_limit(instance, "gpu", 4)

    limit_pools(instance)

    assert limits(instance) == {**LIMITS, "gpu": 4}


def test_nought_pauses_a_pool_and_a_later_limit_lets_the_waiting_stage_go(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    set_limit(instance, "gpu", 0)

    assert not storage.claim_concurrency_slot("gpu", "run", "transcript").is_claimed
    limit_pools(instance)
    [gpu] = [pool for pool in read_pools(instance) if pool.name == "gpu"]
    assert (gpu.limit, gpu.running, gpu.waiting) == (0, 0, 1)

    set_limit(instance, "gpu", 1)

    assert storage.claim_concurrency_slot("gpu", "run", "transcript").is_claimed
    [gpu] = [pool for pool in read_pools(instance) if pool.name == "gpu"]
    assert (gpu.limit, gpu.running, gpu.waiting) == (1, 1, 0)


def test_a_lower_limit_stops_nothing_that_runs(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    for run in ("one", "two"):
        assert storage.claim_concurrency_slot("render", run, "clips").is_claimed

    set_limit(instance, "render", 1)

    [render] = [pool for pool in read_pools(instance) if pool.name == "render"]
    assert (render.limit, render.running) == (1, 2)
    storage.free_concurrency_slots_for_run("one")
    assert not storage.claim_concurrency_slot("render", "three", "clips").is_claimed


def test_what_bounds_more_tightly_than_a_pool_is_told() -> None:
    assert hints([pool(4)], 4, None) == []
    assert hints([pool(4)], 4, 4) == []
    assert hints([pool(4)], 2, 8) == ["gpu 4, but only 2 videos are in flight at once: raise MADVISION_MAX_IN_FLIGHT."]
    [runs, idle] = hints([pool(4)], 8, 2)
    assert "only 2 of the 8 videos" in runs
    assert idle.endswith("raise max_concurrent_runs (dagster.yaml).")
    assert hints([pool(0)], 4, None) == ["Paused: gpu. Videos that come there wait, and count as in flight."]
