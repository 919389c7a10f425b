"""The plan of a soak: what is submitted when, how long each stage of it takes, and what is to fail. From a seed alone.

Service times are those that ``madvision cost estimate`` assumes of a video of that length, times a scale that lets the
narrowest pool, the GPU, be busy for a share of the given time.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from madvision_assets.domain.costs import Plan as CostPlan
from madvision_assets.domain.sizing import Load
from madvision_assets.domain.stages import PipelineStep, Pool
from madvision_assets.domain.video import web_video_id
from madvision_assets.tools.download.addresses import canonical_address

MEAN_MINUTES, SPREAD, LONGEST_MINUTES = 10.0, 0.8, 90.0  # of a video: log-normal
# By the public route: nothing goes before those who ask for nothing.
PRIORITIES = {-5: 0.7, -4: 0.2, 0: 0.1}
PERMANENT, TRANSIENT, TWICE = 0.02, 0.10, 0.25
# The GPU pool is busy for so much of the time, and so much of it has passed when the last video is submitted.
GPU_SHARE, SUBMITTED_BY = 0.6, 0.5
AT_ONCE, BATCH = 0.25, 50


@dataclass(frozen=True)
class Planned:
    """A video.

    Attributes:
        video_id: that its address gets.
        address: that is submitted.
        priority: with which.
        at_s: when, seconds after the beginning.
        work_s: that each stage takes, seconds, scaled.
        fails_at: the stage at which it fails; None where it does not.
        times: how often it fails there; 0 is for good.
    """

    video_id: str
    address: str
    priority: int
    at_s: float
    work_s: Mapping[PipelineStep, float]
    fails_at: PipelineStep | None = None
    times: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether it fails for good."""
        return self.fails_at is not None and self.times == 0


@dataclass(frozen=True)
class SoakPlan:
    """All of it.

    Attributes:
        seed: of the random numbers.
        minutes: in which the load is to be done.
        scale: real seconds of a stage become so many.
        videos: in the order of their submission.
    """

    seed: int
    minutes: float
    scale: float
    videos: tuple[Planned, ...]

    def write(self, path: Path) -> None:
        """Into a file, for the processes of the runs."""
        path.write_text(json.dumps({video.video_id: asdict(video) for video in self.videos}))


def read_videos(path: Path) -> dict[str, Planned]:
    """The videos of a plan by their IDs, out of its file."""
    told = json.loads(path.read_text())
    return {
        video_id: Planned(
            **{
                **video,
                "work_s": {PipelineStep(step): work_s for step, work_s in video["work_s"].items()},
                "fails_at": PipelineStep(video["fails_at"]) if video["fails_at"] else None,
            }
        )
        for video_id, video in told.items()
    }


def make_plan(seed: int, videos: int, minutes: float, scale: float | None = None) -> SoakPlan:
    """A plan for so many videos in so many minutes.

    Args:
        seed: the same gives the same plan.
        videos: how many.
        minutes: the time that the load is to take.
        scale: of the service times; by default so that the GPU is busy for ``GPU_SHARE`` of the time.
    """
    dice = random.Random(seed)  # noqa: S311 - a plan is no secret
    lengths = [min(LONGEST_MINUTES, dice.lognormvariate(0.0, SPREAD)) for _ in range(videos)]
    mean = sum(lengths) / videos
    works = [work_of(length / mean * MEAN_MINUTES) for length in lengths]
    busy_s = sum(work[PipelineStep.TRANSCRIPT] for work in works) / Pool.GPU.limit
    scale = GPU_SHARE * minutes * 60 / busy_s if scale is None else scale
    planned = []
    for number, work in enumerate(works):
        address = f"https://soak-{seed}.example.org/{number}.mp4"
        luck, step, twice = dice.random(), dice.choice(tuple(PipelineStep)), dice.random() < TWICE
        fails = luck < PERMANENT + TRANSIENT
        planned.append(
            Planned(
                video_id=web_video_id(canonical_address(address)),
                address=address,
                priority=dice.choices(list(PRIORITIES), list(PRIORITIES.values()))[0],
                at_s=submitted_at_s(number, videos, minutes),
                work_s={each: round(work_s * scale, 4) for each, work_s in work.items()},
                fails_at=step if fails else None,
                times=0 if luck < PERMANENT or not fails else 1 + twice,
            )
        )
    return SoakPlan(seed, minutes, scale, tuple(planned))


def work_of(minutes: float) -> dict[PipelineStep, float]:
    """Seconds that each stage works on a video of so many minutes, as it is assumed in ``domain.costs``."""
    per_minute = CostPlan(Load(1.0), video_minutes=minutes, pod_start_s=0.0).seconds()
    return {step: seconds * minutes for step, seconds in per_minute.items()}


def submitted_at_s(number: int, videos: int, minutes: float) -> float:
    """The first part at once, the others in batches, evenly until a share of the time has passed."""
    at_once = int(videos * AT_ONCE)
    if number < at_once:
        return 0.0
    batch = min(BATCH, max(1, videos // 20))
    nth, batches = (number - at_once) // batch + 1, -(-(videos - at_once) // batch)
    return round(nth / batches * SUBMITTED_BY * minutes * 60, 3)
