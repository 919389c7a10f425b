"""What the command line shows of scale: pools, and what a load costs and needs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from madvision_assets.defs.pools import PoolState
from madvision_assets.domain import prices
from madvision_assets.domain.costs import (
    DAYS_PER_MONTH,
    CostLine,
    Plan,
    Saving,
    cost_lines,
    savings,
    usd_per_month,
)
from madvision_assets.domain.sizing import PoolSize, sizes
from madvision_assets.domain.stages import Pool

CENT_USD = 0.01
MINUTES_PER_HOUR = 60


@dataclass(frozen=True)
class PoolsView:
    """How the pools stand, and what else bounds them."""

    pools: Sequence[PoolState]
    max_in_flight: int
    max_concurrent_runs: int | None
    hints: Sequence[str]

    def show(self, console: Console) -> None:
        """As a table; a sentence for each hint."""
        table = _table("Pools", "Pool", "Limit", "Running", "Waiting", "Stages", "Bounded because", text=(0, 4, 5))
        for pool in self.pools:
            counts = (str(pool.limit), str(pool.running), str(pool.waiting))
            table.add_row(pool.name, *counts, ", ".join(pool.steps), pool.why)
        console.print(table)
        for hint in self.hints:
            console.print(hint, soft_wrap=True)

    def as_json(self) -> dict[str, Any]:
        """The same."""
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """What a load costs, what it needs, and what would save most."""

    plan: Plan
    lines: Sequence[CostLine]
    sizes: Sequence[PoolSize]
    savings: Sequence[Saving]

    @property
    def usd_per_month(self) -> float:
        """The sum, US dollars a month."""
        return usd_per_month(self.lines)

    @property
    def in_flight(self) -> int:
        """Videos under way at once when every pool is full."""
        return sum(size.workers for size in self.sizes)

    def show(self, console: Console) -> None:
        """Costs, sizes, what to change, and what it rests upon."""
        console.print(self._costs())
        console.print(self._sizes())
        told = f"GPU nodes at the peak: {self._gpu_nodes}. MADVISION_MAX_IN_FLIGHT: {self.in_flight}, at least."
        console.print(told, soft_wrap=True)
        for saving in self.savings:
            share = saving.usd_per_month / self.usd_per_month
            console.print(f"{saving.change}: saves ${saving.usd_per_month:,.2f} a month ({share:.0%}).", soft_wrap=True)
        for line in self._grounds():
            console.print(Text(line, "dim"), soft_wrap=True)

    def as_json(self) -> dict[str, Any]:
        """The same, with every assumption and the source of every price."""
        return {
            "currency": prices.CURRENCY,
            "region": prices.REGION,
            "prices_as_of": prices.AS_OF,
            "plan": asdict(self.plan),
            "lines": [{**asdict(line), **self._amounts(line.usd_per_day)} for line in self.lines],
            "total": self._amounts(sum(line.usd_per_day for line in self.lines)),
            "stored_gb": self.plan.stored_gb,
            "pools": [asdict(size) for size in self.sizes],
            "gpu_nodes": self._gpu_nodes,
            "max_in_flight": self.in_flight,
            "savings": [asdict(saving) for saving in self.savings],
        }

    @property
    def _gpu_nodes(self) -> int:
        return sum(size.workers for size in self.sizes if size.pool is Pool.GPU)

    def _costs(self) -> Table:
        hours = self.plan.load.hours_per_day
        names = ("What", "A day", "Unit", "$ a unit", "$ a day", "$ a month", "$ a video hour")
        table = _table(f"{hours:,g} hours of video a day", *names, text=(0, 2))
        for line in self.lines:
            table.add_row(
                line.name, f"{line.quantity:,.2f}", line.price.unit, f"{line.price.usd:g}", *self._usd(line.usd_per_day)
            )
        table.add_section()
        table.add_row("all", "", "", "", *self._usd(sum(line.usd_per_day for line in self.lines)))
        return table

    def _usd(self, usd_per_day: float) -> list[str]:
        amounts = self._amounts(usd_per_day).values()
        return [f"{usd:,.2f}" if usd >= CENT_USD or not usd else f"{usd:.1g}" for usd in amounts]

    def _amounts(self, usd_per_day: float) -> dict[str, float]:
        return {
            "usd_per_day": usd_per_day,
            "usd_per_month": usd_per_day * DAYS_PER_MONTH,
            "usd_per_video_hour": usd_per_day / self.plan.load.hours_per_day,
        }

    def _sizes(self) -> Table:
        names = ("Pool", "Stages", "Seconds a video minute", "Busy on the mean", "Workers")
        table = _table("Workers", *names, text=(0, 1))
        for size in self.sizes:
            figures = (f"{size.seconds_per_minute:.2f}", f"{size.busy:.2f}", str(size.workers))
            table.add_row(size.pool, ", ".join(size.steps), *figures)
        return table

    def _grounds(self) -> list[str]:
        measured = self.plan.measured
        stages = (
            f"Stages as measured on {measured.extent}, of this installation."
            if measured
            else f"Stages as assumed (transcripts {self.plan.real_time_factor:g} times as fast as the talk): "
            "--measured takes them from this installation's history."
        )
        load = self.plan.load
        hearing = measured.hearing_s if measured else {}
        told = ", ".join(f"{name} {seconds * MINUTES_PER_HOUR:,.1f} s" for name, seconds in sorted(hearing.items()))
        held = f"A GPU is held for {self.plan.gpu_s_per_hour():,.0f} s for an hour of video"
        return [
            stages,
            f"{held} (as transcripts told: {told})." if told else f"{held}, loading and idling among them.",
            f"Workers are busy {load.utilisation:.0%} of the time at the peak, which is {load.peak:g} times the mean.",
            f"In the store at the steady state: {self.plan.stored_gb:,.0f} GB.",
            f"List prices of AWS in {prices.REGION}, {prices.AS_OF}, to be checked; --prices puts others in place.",
        ]


def estimate(plan: Plan, table: dict[str, prices.Price]) -> Estimate:
    """What a plan costs and needs at these prices.

    Raises:
        ValueError: the price of its model is not known.
    """
    return Estimate(plan, cost_lines(plan, table), sizes(plan.load, plan.seconds()), savings(plan, table))


def _table(title: str, *names: str, text: Sequence[int]) -> Table:
    """A table in which all columns but the texts are numbers."""
    table = Table(title=Text(title), title_justify="left")
    for n, name in enumerate(names):
        table.add_column(name, justify="left" if n in text else "right", overflow="fold", no_wrap=n not in text)
    return table
