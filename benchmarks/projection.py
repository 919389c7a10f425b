"""From a soak's figures to a load of any size: what one of each part can do in a day, and the same fleet in simulation.

``python benchmarks/projection.py soak.json --videos-per-day 1000000``. What a part costs is measured by ``make soak``;
how long stages work is assumed, as ``madvision cost estimate`` has it.
"""

import argparse
import json
import math
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measure import ROOT  # noqa: F401 - makes the packages of the repository known
from rich.console import Console
from rich.table import Table

from madvision_assets.domain.stages import PipelineStep, Pool
from madvision_assets_tests.soak.checked import START_SHARE, rate_of
from madvision_assets_tests.soak.plan import MEAN_MINUTES, PRIORITIES, SPREAD, work_of
from madvision_assets_tests.soak.report import spread
from madvision_assets_tests.soak.simulation import Arrival, Fleet, Passage, simulate

DAY_S = 86_400
UTILISATION = 0.7
# More of the machine than this must not be at work for others while a soak measures.
QUIET = 0.1
# A tick that claims four videos, with 100,000 in the table (benchmarks/queue_size.py, docs/benchmarks.md).
CLAIM_S = 0.057 / 4
# Deleting a run with its events from PostgreSQL (docs/scaling.md).
DELETE_S = 0.019
SIMULATED_S = 1800.0
TICK_S, START_S, RETRY_S = 5.0, 1.5, 60.0
GIB = 1024**3


@dataclass(frozen=True)
class Limit:
    """What bounds the load.

    Attributes:
        name: of the part.
        taken: of it by a video, in words.
        seconds: of it by a video.
        most: of it that one installation can have; infinite where more of it can be added.
    """

    name: str
    taken: str
    seconds: float
    most: float = math.inf

    @property
    def per_day(self) -> float:
        """Videos that one of it can do in a day."""
        return DAY_S / self.seconds

    def needed(self, per_day: float) -> float:
        """How many are needed for so many videos a day."""
        return per_day / self.per_day


def limits(soak: dict[str, Any]) -> list[Limit]:
    """Every part, the tightest first: those that an installation has one of, then those that can be added."""
    cpu = soak["cpu_s"]
    work = work_of(MEAN_MINUTES)
    parts = [
        Limit("daemon", f"{cpu['daemon']:.2f} CPU s", cpu["daemon"], 1),
        Limit("code server", f"{cpu['code-server']:.2f} CPU s", cpu["code-server"], 1),
        Limit("claims, one transaction at a time", f"{CLAIM_S * 1000:.0f} ms", CLAIM_S, 1),
        Limit("housekeeping's deletes, one at a time", f"{DELETE_S * 1000:.0f} ms", DELETE_S, 1),
        Limit("core of Dagster's PostgreSQL", f"{cpu['PostgreSQL, dagster']:.2f} CPU s", cpu["PostgreSQL, dagster"]),
        Limit("core of our PostgreSQL", f"{cpu['PostgreSQL, ours']:.2f} CPU s", cpu["PostgreSQL, ours"]),
        Limit("core of the intake", f"{cpu['intake']:.2f} CPU s", cpu["intake"]),
        Limit("core of the runs", f"{cpu['runs']:.2f} CPU s, beside the stages' own work", cpu["runs"]),
    ]
    for pool in Pool:
        seconds = sum(work[step] for step in PipelineStep if step.stage.pool is pool)
        parts.append(Limit(f"slot of the pool {pool}", f"{seconds:.0f} s, assumed", seconds))
    return sorted(parts, key=lambda part: (part.most, part.per_day))


def fleet_of(soak: dict[str, Any], per_day: float) -> Fleet:
    """A fleet that is large enough wherever more can be added; one daemon."""
    rate, work, cpu = per_day / DAY_S, work_of(MEAN_MINUTES), soak["cpu_s"]
    pools = {
        pool.value: math.ceil(
            rate * sum(work[step] for step in PipelineStep if step.stage.pool is pool) / UTILISATION
        )
        for pool in Pool
    }  # fmt: skip
    return Fleet(
        in_flight=math.ceil(rate * (sum(work.values()) + cpu["runs"] + START_S + TICK_S) / UTILISATION),
        pools=pools,
        tick_s=TICK_S,
        start_s=START_S,
        launch_cpu_s=cpu["daemon"],
        start_cpu_s=cpu["runs"] * START_SHARE,
        stage_cpu_s=cpu["runs"] * (1 - START_SHARE) / len(PipelineStep),
        claim_s=CLAIM_S,
        retry_s=RETRY_S,
    )


def arrivals_of(per_day: float, seed: int = 1) -> list[Arrival]:
    """Videos at random moments, of lengths and priorities as in a soak."""
    dice, at_s, found = random.Random(seed), 0.0, []
    mean = math.exp(SPREAD**2 / 2)
    while at_s < SIMULATED_S:
        at_s += dice.expovariate(per_day / DAY_S)
        work = work_of(dice.lognormvariate(0.0, SPREAD) / mean * MEAN_MINUTES)
        stages = [(step.stage.pool.value, work[step]) for step in PipelineStep]
        [priority] = dice.choices(list(PRIORITIES), list(PRIORITIES.values()))
        found.append(Arrival(at_s, stages, priority))
    return found


def row(name: str, passages: list[Passage], per_day: float) -> tuple[str, ...]:
    """What a simulation came to: videos a day in steady state, and how long they wait to begin."""
    waits = spread([p.waited_s for p in passages if p.began_s < math.inf])
    left = sum(p.ended_s == math.inf for p in passages)
    return name, f"{rate_of(passages) * 24:,.0f}", f"{waits[0]:.0f} s, {waits[1]:.0f} s", f"{left:,}", f"{per_day:,.0f}"


def show(soak: dict[str, Any], per_day: float) -> None:
    """Both tables, and the first bottleneck."""
    console = Console(width=140)
    cores, busy = soak["cores"]
    if busy > QUIET * cores:
        console.print(
            f"Other things kept {busy:.1f} of {cores:.0f} cores busy: these figures are worth little.", style="bold red"
        )
    if soak["ended"] < soak["submitted"]:
        console.print(f"Only {soak['ended']} of {soak['submitted']} videos were reached.", style="bold red")
    checked = Table(title="The simulation beside the soak that it is fed with")
    for column in ("Figure", "Measured", "Simulated", "Error"):
        checked.add_column(column)
    for name, (measured, simulated) in soak["simulated"].items():
        error = f"{simulated / measured - 1:+.0%}" if measured else "-"
        checked.add_row(name, f"{measured:,.1f}", f"{simulated:,.1f}", error)
    console.print(checked)

    bounds = Table(title=f"What each part can do, and how many {per_day:,.0f} videos a day need")
    for column in ("Part", "A video takes", "One does in a day", "Needed", "There can be"):
        bounds.add_column(column)
    known = limits(soak)
    for each in known:
        most = "one" if each.most == 1 else "more"
        bounds.add_row(each.name, each.taken, f"{each.per_day:,.0f}", f"{each.needed(per_day):,.2f}", most)
    console.print(bounds)

    events, tables = soak["events"], soak["tables"]["dagster"]
    rows, size = (sum(each[n] for each in tables.values()) for n in (0, 1))
    rate = per_day / DAY_S
    written = sum(each[0] for each in events.values()) * rate
    console.print(
        f"Dagster's database: {written:,.0f} events and {rows * rate:,.0f} rows a second, "
        f"{soak['connections']['dagster'] * rate:,.0f} connections a second, {size * per_day / GIB:,.0f} GiB a day."
    )

    ran = Table(title=f"Simulated: {SIMULATED_S / 60:.0f} minutes of {per_day:,.0f} videos a day")
    for column in ("Fleet", "Videos a day", "Wait: median, 95th", "Under way at the end", "Wanted"):
        ran.add_column(column)
    fleet, arrivals = fleet_of(soak, per_day), arrivals_of(per_day)
    first = known[0]
    instances = math.ceil(first.needed(per_day) / UTILISATION)
    for name, daemons in (("one installation", 1), (f"{instances} installations", instances)):
        passages = simulate(replace(fleet, daemons=daemons), arrivals, until_s=SIMULATED_S)
        ran.add_row(*row(name, passages, per_day))
    console.print(ran)
    console.print(
        f"The first bottleneck is the {first.name}: {first.taken} a video, {first.per_day:,.0f} videos a day; "
        f"{per_day:,.0f} need {instances} installations."
    )


def main() -> int:
    """Project what a soak measured."""
    parser = argparse.ArgumentParser(description="From a soak's figures to a load of any size.")
    parser.add_argument("soak", type=Path, help="the figures of `make soak`")
    parser.add_argument("--videos-per-day", type=float, default=1e6)
    arguments = parser.parse_args()
    show(json.loads(arguments.soak.read_text()), arguments.videos_per_day)
    return 0


if __name__ == "__main__":
    sys.exit(main())
