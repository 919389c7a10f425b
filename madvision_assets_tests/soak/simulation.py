"""The pipeline in discrete events: what waits where, without a process of it running.

A video is due; a sensor claims it at a tick, the most urgent first, while fewer than the bound are in flight; the
daemon starts its run, one after the other; each stage waits for a slot of its pool, then works. What costs CPU waits
for a core. Times are seconds. It knows nothing of Dagster: what a start or a stage costs is given.
"""

import heapq
import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

QUANTUM_S = 0.2  # a core is shared in turns of this length
STAGE_FAILED_SHARE = 0.5  # of its work is done when a stage fails


@dataclass(frozen=True)
class Fleet:
    """What there is to work with.

    Attributes:
        in_flight: so many videos at once.
        pools: slots of each.
        cores: of the machine that all runs share; infinite where each brings its own.
        tick_s: between two looks of the sensor.
        daemons: that start runs, each one after the other.
        start_s: until a run that is claimed works, without what waits for a core.
        launch_cpu_s: that the daemon is busy with a run.
        start_cpu_s: of a run, before its first stage.
        stage_cpu_s: of a run, at each stage.
        claim_s: of the sensor, for each video.
        retry_s: until a video that failed is due again.
    """

    in_flight: int
    pools: Mapping[str, int]
    cores: float = math.inf
    tick_s: float = 5.0
    daemons: int = 1
    start_s: float = 1.0
    launch_cpu_s: float = 0.0
    start_cpu_s: float = 0.0
    stage_cpu_s: float = 0.0
    claim_s: float = 0.0
    retry_s: float = 2.0


@dataclass(frozen=True)
class Arrival:
    """A video.

    Attributes:
        at_s: when it is due first.
        stages: pool and seconds of each stage, in their order.
        priority: a higher one goes first.
        fails_at: number of the stage that fails, from 0; None for none.
        times: how often; 0 is for good.
    """

    at_s: float
    stages: Sequence[tuple[str, float]]
    priority: int = 0
    fails_at: int | None = None
    times: int = 0


@dataclass
class Passage:
    """How a video went through: when it was due, claimed first, and over; infinite where that never came."""

    arrival: Arrival
    began_s: float = math.inf
    ended_s: float = math.inf

    @property
    def waited_s(self) -> float:
        """Until it was claimed first."""
        return self.began_s - self.arrival.at_s


@dataclass
class _Video:
    passage: Passage
    stage: int = 0
    failed: int = 0


@dataclass
class _Floor:
    """Everything that is shared, while it runs."""

    env: simpy.Environment
    fleet: Fleet
    pools: Mapping[str, simpy.PriorityResource] = field(init=False)
    cores: simpy.Resource | None = field(init=False)
    daemons: simpy.Resource = field(init=False)
    due: list[tuple[int, float, int, _Video]] = field(default_factory=list)
    running: int = 0
    changed: simpy.Event = field(init=False)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.pools = {name: simpy.PriorityResource(self.env, slots) for name, slots in self.fleet.pools.items()}
        is_shared = self.fleet.cores < math.inf
        self.cores = simpy.Resource(self.env, int(self.fleet.cores)) if is_shared else None
        self.daemons = simpy.Resource(self.env, self.fleet.daemons)
        self.changed = self.env.event()

    def queue(self, video: _Video) -> None:
        """It is due from now on."""
        urgency = (-video.passage.arrival.priority, self.env.now, next(self.numbers))
        heapq.heappush(self.due, (*urgency, video))
        self.change()

    def leave(self) -> None:
        """One is in flight no more."""
        self.running -= 1
        self.change()

    def change(self) -> None:
        """Let the sensor look again at its next tick."""
        if not self.changed.triggered:
            self.changed.succeed()

    @property
    def has_work(self) -> bool:
        """Whether a tick would claim anything."""
        return bool(self.due) and self.running < self.fleet.in_flight

    def compute(self, cpu_s: float) -> Generator[Any, Any, None]:
        """So many CPU seconds, in turns with others."""
        if self.cores is None:
            yield self.env.timeout(cpu_s)
            return
        while cpu_s > 0:
            with self.cores.request() as core:
                yield core
                yield self.env.timeout(min(QUANTUM_S, cpu_s))
            cpu_s -= QUANTUM_S


def simulate(fleet: Fleet, arrivals: Sequence[Arrival], until_s: float | None = None) -> list[Passage]:
    """What becomes of these videos, in their order; until all are over, or until some time."""
    env = simpy.Environment()
    floor = _Floor(env, fleet)
    passages = [Passage(arrival) for arrival in arrivals]
    left = len(passages)
    over = env.event()

    def ended() -> None:
        nonlocal left
        left -= 1
        if not left:
            over.succeed()

    for passage in passages:
        env.process(_arrive(floor, _Video(passage), passage.arrival.at_s))
    env.process(_sense(floor, ended))
    env.run(until=over if until_s is None else until_s)
    return passages


def _arrive(floor: _Floor, video: _Video, after_s: float) -> Generator[Any, Any, None]:
    yield floor.env.timeout(after_s)
    floor.queue(video)


def _sense(floor: _Floor, ended: Any) -> Generator[Any, Any, None]:
    """The sensor: at each tick as many as there is room for. Ticks at which there is nothing to do are passed over."""
    env, fleet = floor.env, floor.fleet
    while True:
        if not floor.has_work:
            floor.changed = env.event()
            yield floor.changed
            continue
        yield env.timeout(fleet.tick_s - env.now % fleet.tick_s)
        while floor.has_work:
            *_, video = heapq.heappop(floor.due)
            floor.running += 1
            video.passage.began_s = min(video.passage.began_s, env.now)
            env.process(_run(floor, video, ended))
            yield env.timeout(fleet.claim_s)


def _run(floor: _Floor, video: _Video, ended: Any) -> Generator[Any, Any, None]:
    env, fleet, arrival = floor.env, floor.fleet, video.passage.arrival
    with floor.daemons.request() as daemon:
        yield daemon
        yield from floor.compute(fleet.launch_cpu_s)
    yield env.timeout(fleet.start_s)
    yield from floor.compute(fleet.start_cpu_s)
    for number in range(video.stage, len(arrival.stages)):
        pool, work_s = arrival.stages[number]
        is_fatal = arrival.fails_at == number and not arrival.times
        fails = is_fatal or (arrival.fails_at == number and video.failed < arrival.times)
        with floor.pools[pool].request(priority=-arrival.priority) as slot:
            yield slot
            yield env.timeout(work_s * (STAGE_FAILED_SHARE if fails else 1.0))
            yield from floor.compute(fleet.stage_cpu_s)
        if fails:
            floor.leave()
            if not is_fatal:
                video.stage, video.failed = number, video.failed + 1
                env.process(_arrive(floor, video, fleet.retry_s))
                return
            break
    else:
        floor.leave()
    video.passage.ended_s = env.now
    ended()
