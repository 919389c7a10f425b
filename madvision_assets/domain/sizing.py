"""How many workers a load takes: Little's law.

What is under way at once is what arrives in a second, times the seconds that it stays. A pool that is busy all the
time lets a queue grow without bound, so it is planned to be busy for a share of it, and for more than the mean load.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from madvision_assets.domain.stages import PipelineStep, Pool

MINUTES_PER_HOUR = 60
SECONDS_PER_DAY = 86_400
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Load:
    """What arrives, and how tightly workers are planned for it.

    Attributes:
        hours_per_day: of video.
        utilisation: the share of the time in which a worker is to be busy, above 0 and at most 1.
        peak: the busiest hour, as a multiple of the mean.
    """

    hours_per_day: float
    utilisation: float = 0.7
    peak: float = 2.0

    def __post_init__(self) -> None:
        """Refuses what is no load.

        Raises:
            ValueError: says which.
        """
        if not 0 < self.hours_per_day < math.inf:
            raise ValueError(f"{self.hours_per_day:g} hours of video a day cannot be planned for.")
        if not 0 < self.utilisation <= 1:
            raise ValueError(f"A utilisation is above 0 and at most 1, not {self.utilisation:g}.")
        if not 1 <= self.peak < math.inf:
            raise ValueError(f"The busiest hour is at least the mean: a peak of 1 or more, not {self.peak:g}.")

    @property
    def minutes_per_day(self) -> float:
        """Minutes of video a day."""
        return self.hours_per_day * MINUTES_PER_HOUR

    def busy(self, seconds_per_minute: float) -> float:
        """Workers that are busy on the mean, when a minute of video takes one of them so many seconds."""
        return self.minutes_per_day * seconds_per_minute / SECONDS_PER_DAY

    def workers(self, seconds_per_minute: float) -> int:
        """Workers that are needed in the busiest hour; at least one where there is anything to do."""
        return math.ceil(self.busy(seconds_per_minute) * self.peak / self.utilisation - _ROUNDING)


@dataclass(frozen=True)
class PoolSize:
    """The size of a pool.

    Attributes:
        pool: which.
        steps: that it bounds.
        seconds_per_minute: that a minute of video takes in it.
        busy: workers that are busy on the mean.
        workers: that are needed.
    """

    pool: Pool
    steps: tuple[PipelineStep, ...]
    seconds_per_minute: float
    busy: float
    workers: int


def sizes(load: Load, seconds: Mapping[PipelineStep, float]) -> list[PoolSize]:
    """The size of every pool.

    Args:
        load: what arrives.
        seconds: that each step takes for a minute of video.
    """
    found = []
    for pool in Pool:
        steps = tuple(step for step in PipelineStep if step.stage.pool is pool)
        needed = sum(seconds[step] for step in steps)
        found.append(PoolSize(pool, steps, needed, load.busy(needed), load.workers(needed)))
    return found
