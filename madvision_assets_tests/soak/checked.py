"""The simulation beside the soak that was measured: the same load, with what starts and stages cost as measured."""

from collections.abc import Mapping
from datetime import datetime

from madvision_assets.domain.stages import PipelineStep, Pool
from madvision_assets_tests.soak import report
from madvision_assets_tests.soak.plan import Planned, SoakPlan
from madvision_assets_tests.soak.records import Record
from madvision_assets_tests.soak.simulation import Arrival, Fleet, Passage, simulate
from madvision_assets_tests.soak.usage import RUNS

# The rest of a run's CPU seconds goes to its stages, evenly.
START_SHARE = 0.6
TICK_S = 5.0
MIN_CORES = 0.2
RETRY_S = 2.0  # as the soak's system has it: the first pause, less its jitter, more the wait for a tick
START_S = 1.5  # a run is dequeued each second, and looked for as often


def compare(plan: SoakPlan, measured: report.Report, records: Mapping[str, Record]) -> dict[str, list[float]]:
    """Measured and simulated, by what it is: throughput, waiting by priority, submission to end."""
    if not measured.ended:
        return {}
    began = min(record.came_at for record in records.values())
    arrivals = [
        arrival_of(video, came_s(records[video.video_id], began)) for video in plan.videos if video.video_id in records
    ]
    passages = simulate(fleet_of(measured), arrivals, until_s=plan.minutes * 60)
    found = {"videos an hour": [measured.videos_per_hour, rate_of(passages)]}
    for priority, (median, *_) in measured.waiting_s.items():
        found[f"median wait, priority {priority}, s"] = [
            median, report.spread([p.waited_s for p in _begun(passages) if str(p.arrival.priority) == priority])[0],
        ]  # fmt: skip
    stays = [p.ended_s - p.arrival.at_s for p in _ended(passages) if p.arrival.fails_at is None]
    found["median from submission to end, s"] = [measured.turnaround_s[0], report.spread(stays)[0]]
    return found


def fleet_of(measured: report.Report) -> Fleet:
    """The machine of a soak: what runs cost, and what the standing parts take of the cores beside them.

    What others keep busy of the cores makes everything that computes slower.
    """
    cores, busy = measured.cores
    slower = cores / max(MIN_CORES, cores - busy)
    run_s, daemon_s = (measured.cpu_s[name] * slower for name in (RUNS, "daemon"))
    others_s = sum(measured.cpu_s.values()) * slower - run_s - daemon_s
    return Fleet(
        in_flight=int(measured.plan["in_flight"]),
        pools={pool.value: pool.limit for pool in Pool},
        cores=cores,
        tick_s=TICK_S,
        start_s=START_S,
        launch_cpu_s=daemon_s,
        start_cpu_s=run_s * START_SHARE + others_s,
        stage_cpu_s=run_s * (1 - START_SHARE) / len(PipelineStep),
        retry_s=RETRY_S,
    )


def arrival_of(video: Planned, at_s: float) -> Arrival:
    """A planned video, as the simulation takes it."""
    steps = tuple(PipelineStep)
    return Arrival(
        at_s=at_s,
        stages=[(step.stage.pool.value, video.work_s[step]) for step in steps],
        priority=video.priority,
        fails_at=None if video.fails_at is None else steps.index(video.fails_at),
        times=video.times,
    )


def came_s(record: Record, began: datetime) -> float:
    """When it was submitted, seconds after the first."""
    return (record.came_at - began).total_seconds()


def rate_of(passages: list[Passage]) -> float:
    """Videos an hour, in steady state."""
    return report.steady_rate(passage.ended_s for passage in _ended(passages))


def _begun(passages: list[Passage]) -> list[Passage]:
    return [passage for passage in passages if passage.began_s < float("inf")]


def _ended(passages: list[Passage]) -> list[Passage]:
    return [passage for passage in passages if passage.ended_s < float("inf")]
