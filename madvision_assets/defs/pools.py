"""The pools of a Dagster instance: what each bounds, how full it is, and another limit."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.domain.stages import PipelineStep, Pool


@dataclass(frozen=True)
class PoolState:
    """How a pool stands.

    Attributes:
        name: such as ``gpu``.
        limit: so many of its stages run at once; 0 is a pause.
        running: stages that hold a slot.
        waiting: stages that wait for one.
        steps: that it bounds.
        why: it is bounded.
    """

    name: str
    limit: int
    running: int
    waiting: int
    steps: tuple[PipelineStep, ...]
    why: str


def read_pools(instance: dg.DagsterInstance) -> list[PoolState]:
    """Every pool, in pipeline order.

    Raises:
        Failure: the instance's database cannot be used.
    """
    from madvision_assets.tools.database.errors import database_failures

    with database_failures():
        uses = dagster_inside.pools_at_work(instance, [pool.value for pool in Pool])
    return [
        PoolState(
            name=pool.value,
            limit=uses[pool].limit,
            running=uses[pool].running,
            waiting=uses[pool].waiting,
            steps=tuple(step for step in PipelineStep if step.stage.pool is pool),
            why=pool.why,
        )
        for pool in Pool
    ]


def set_limit(instance: dg.DagsterInstance, name: str, limit: int) -> None:
    """Let so many stages of a pool run at once, 0 to 1000; what runs already is not stopped.

    Raises:
        Failure: the instance's database cannot be used.
    """
    from madvision_assets.tools.database.errors import database_failures

    with database_failures():
        dagster_inside.limit_pool(instance, name, limit)


def hints(pools: Sequence[PoolState], max_in_flight: int, max_runs: int | None) -> list[str]:
    """What else bounds the pools, and more tightly; a sentence each.

    Args:
        pools: how they stand.
        max_in_flight: videos that the queue has under way at once.
        max_runs: runs that Dagster executes at once, one for each video; None where nothing bounds them.
    """
    found = []
    if max_runs is not None and max_runs < max_in_flight:
        found.append(
            f"Dagster executes only {max_runs} of the {max_in_flight} videos in flight (max_concurrent_runs in "
            f"dagster.yaml), and the others wait where priority does not count: raise it to {max_in_flight}."
        )
    bounds = {"MADVISION_MAX_IN_FLIGHT": max_in_flight}
    if max_runs is not None:
        bounds["max_concurrent_runs (dagster.yaml)"] = max_runs
    bound = min(bounds.values())
    cause = " and ".join(name for name in bounds if bounds[name] == bound)
    idle = [f"{pool.name} {pool.limit}" for pool in pools if pool.limit > bound]
    if idle:
        found.append(f"{', '.join(idle)}, but only {bound} videos are in flight at once: raise {cause}.")
    paused = [pool.name for pool in pools if pool.limit == 0]
    if paused:
        found.append(f"Paused: {', '.join(paused)}. Videos that come there wait, and count as in flight.")
    return found
