"""What a load costs in a cloud: pure arithmetic over a plan, a table of prices and, where there is one, a history.

Storage is that of the steady state: as much is deleted in a day as is added. Gigabytes are 10^9 bytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from madvision_assets.domain.failures import Resource
from madvision_assets.domain.prices import SPOT, Price
from madvision_assets.domain.sizing import Load
from madvision_assets.domain.stages import PipelineStep

DAYS_PER_MONTH = 365 / 12
_HOURS_PER_DAY = 24
_SECONDS_PER_MINUTE, _SECONDS_PER_HOUR = 60, 3600
_MEGABITS_PER_GB = 8000

# openai-whisper with large-v2 and beam 5 on an RTX 3070 Ti, from faster-whisper's README; turbo is faster: measure it.
PUBLISHED_REAL_TIME_FACTOR = 5.5
# Assumed.
DATABASE_GB_PER_VIDEO = 0.0002
# Counted in the sample talk: prompts, a line for each sentence, and what an answer takes.
TOKENS_PER_MINUTE, PROMPT_TOKENS, SAMPLED_MINUTES = 280, 700, 20
TOKENS_PER_MOMENT, MOMENTS_PER_CLIP, KIND_TOKENS = 110, 1.5, 120
# FLAC of 16 kHz, 16 bit, mono is about half of its 0.256 Mbit/s.
AUDIO_MBPS = 0.13
# tools/store: media go up in parts of 8 MiB.
PART_GB = 8 * 1024**2 / 1e9
# Documents, pointers and what asks for them.
PUTS_PER_VIDEO, PUTS_PER_CLIP, GETS_PER_VIDEO, GETS_PER_VIEW = 14, 3, 40, 4

# The run's own pod stays for all of it.
RUN_CORES = 0.25
PRIVATE_ENDPOINTS, ZONES = 4, 2  # deployments/aws/network.yaml: S3, STS, ECR twice
STANDING_CORES = 3.0  # webserver, daemon, code server, two of the intake


@dataclass(frozen=True)
class Measured:
    """What videos took so far.

    Attributes:
        videos: how many.
        minutes: of video, in all.
        seconds: that each step took for a minute of video.
        usd: paid to third parties for a minute of video, by step, US dollars.
        hearing_s: of the transcripts, seconds for a minute of video of the engine, of loading its model (which is
            part of that), of a GPU as it counted, and of idling, by those names; what nobody told is missing.
    """

    videos: int
    minutes: float
    seconds: Mapping[PipelineStep, float]
    usd: Mapping[PipelineStep, float]
    hearing_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def extent(self) -> str:
        """For a person."""
        return f"{self.videos:,} video{'s' * (self.videos != 1)} of {self.minutes:,.0f} minutes in all"


@dataclass(frozen=True)
class Plan:
    """What is to be processed, and on what.

    Attributes:
        load: what arrives.
        video_minutes: mean length of a video.
        bitrate_mbps: of videos and clips, Mbit/s.
        clips_per_video: how many.
        clip_seconds: mean length of a clip.
        views_per_clip: how often it is fetched from outside.
        retention_days: that media are kept.
        gpu: name of the machine in the price table.
        spot: whether it may be taken away.
        real_time_factor: seconds of speech that it transcribes in a second.
        pod_start_s: from a step's pod being scheduled to its work, seconds.
        model: that reads the transcripts; None for the offline analyst.
        measured: takes the place of what is assumed of the stages.
    """

    load: Load
    video_minutes: float = 30.0
    bitrate_mbps: float = 5.0
    clips_per_video: float = 5.0
    clip_seconds: float = 45.0
    views_per_clip: float = 10.0
    retention_days: float = 30.0
    gpu: str = "g4dn.xlarge"
    spot: bool = False
    real_time_factor: float = PUBLISHED_REAL_TIME_FACTOR
    pod_start_s: float = 15.0
    model: str | None = "gpt-4o"
    measured: Measured | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses what cannot be reckoned with.

        Raises:
            ValueError: names it.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int | float) and not 0 <= value < math.inf:
                raise ValueError(f"{each.name} cannot be {value:g}.")
        for name in ("video_minutes", "real_time_factor"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be above 0.")

    @property
    def videos_per_day(self) -> float:
        """How many."""
        return self.load.minutes_per_day / self.video_minutes

    @property
    def source_gb_per_day(self) -> float:
        """Downloaded."""
        return self.load.minutes_per_day * _SECONDS_PER_MINUTE * self.bitrate_mbps / _MEGABITS_PER_GB

    @property
    def clips_gb_per_day(self) -> float:
        """Cut."""
        return self.videos_per_day * self.clips_per_video * self.clip_seconds * self.bitrate_mbps / _MEGABITS_PER_GB

    @property
    def stored_gb(self) -> float:
        """In the store at the steady state: videos, their sound, clips."""
        sound = self.load.minutes_per_day * _SECONDS_PER_MINUTE * AUDIO_MBPS / _MEGABITS_PER_GB
        return (self.source_gb_per_day + sound + self.clips_gb_per_day) * self.retention_days

    def seconds(self) -> dict[PipelineStep, float]:
        """Seconds that each step holds its worker for a minute of video, the start of its pod among them."""
        if self.measured is not None:
            work = dict(self.measured.seconds)
        else:
            work = {step: self._assumed_s(step) for step in PipelineStep}
        return {step: work[step] + self.pod_start_s / self.video_minutes for step in PipelineStep}

    def _assumed_s(self, step: PipelineStep) -> float:
        """Seconds that a step works on a minute of video, where nothing is measured."""
        effort = step.stage.effort
        if step.stage.guard is Resource.ANALYST and self.model is None:
            return 0.0  # rules take next to nothing
        of_the_minute_s = _SECONDS_PER_MINUTE * (
            effort.per_source_megabit_s * self.bitrate_mbps + effort.times_speech / self.real_time_factor
        )
        of_the_video_s = effort.per_video_s + effort.per_clip_second_s * self.clips_per_video * self.clip_seconds
        return of_the_minute_s + of_the_video_s / self.video_minutes

    def gpu_s_per_hour(self) -> float:
        """Seconds that a GPU is held for an hour of video, its pod's start and its idling among them."""
        seconds = self.seconds()
        return sum(seconds[step] for step in PipelineStep if step.stage.needs.gpu) * _SECONDS_PER_MINUTE

    def tokens_per_day(self) -> tuple[float, float]:
        """Tokens that the model reads and writes."""
        read = (self.video_minutes + min(self.video_minutes, SAMPLED_MINUTES)) * TOKENS_PER_MINUTE + PROMPT_TOKENS
        written = KIND_TOKENS + TOKENS_PER_MOMENT * MOMENTS_PER_CLIP * self.clips_per_video
        return self.videos_per_day * read, self.videos_per_day * written


@dataclass(frozen=True)
class CostLine:
    """One thing that is paid for.

    Attributes:
        name: of the stage or resource.
        price_name: in the price table; None for what was measured in money.
        quantity: a day.
        price: of one unit.
        usd_per_day: both multiplied, US dollars.
    """

    name: str
    price_name: str | None
    quantity: float
    price: Price

    @property
    def usd_per_day(self) -> float:
        """US dollars a day."""
        return self.quantity * self.price.usd


@dataclass(frozen=True)
class Saving:
    """A change of the plan, and what it saves, US dollars a month."""

    change: str
    usd_per_month: float


def cost_lines(plan: Plan, prices: Mapping[str, Price]) -> list[CostLine]:
    """Everything that is paid for.

    Args:
        plan: what is to be processed.
        prices: by name; ``<model>.input`` and ``<model>.output`` among them.

    Raises:
        ValueError: the model has no price.
    """
    return [
        CostLine(name, price_name, quantity, prices[price_name])
        for name, price_name, quantity in [*_computing(plan), *_keeping(plan)]
    ] + _analysis(plan, prices)


def usd_per_month(lines: Sequence[CostLine]) -> float:
    """The sum, US dollars a month."""
    return sum(line.usd_per_day for line in lines) * DAYS_PER_MONTH


def savings(plan: Plan, prices: Mapping[str, Price], most: int = 2) -> list[Saving]:
    """The changes that save most, the largest first."""
    now = usd_per_month(cost_lines(plan, prices))
    found = [Saving(text, now - usd_per_month(cost_lines(other, prices))) for text, other in _changes(plan, prices)]
    return sorted((each for each in found if each.usd_per_month > 0), key=lambda each: -each.usd_per_month)[:most]


def _computing(plan: Plan) -> list[tuple[str, str, float]]:
    """Machines: what a worker is idle is paid for too."""
    seconds = plan.seconds()
    hours = {
        step: plan.load.minutes_per_day * seconds[step] / _SECONDS_PER_HOUR / plan.load.utilisation
        for step in PipelineStep
    }
    gpu = plan.gpu + (SPOT if plan.spot else "")
    on_gpu = [step for step in PipelineStep if step.stage.needs.gpu]
    others = [step for step in PipelineStep if step not in on_gpu]
    return [
        *((f"{step}: GPU nodes", gpu, hours[step]) for step in on_gpu),
        *((f"{step}: pods", "cpu", step.stage.needs.cores * hours[step]) for step in others),
        ("runs: pods", "cpu", RUN_CORES * sum(hours.values())),
        ("services: pods", "cpu", STANDING_CORES * _HOURS_PER_DAY),
        ("Kubernetes", "eks", _HOURS_PER_DAY),
        ("load balancer", "load_balancer", _HOURS_PER_DAY),
        ("NAT gateway", "nat.hour", _HOURS_PER_DAY),
        ("private endpoints", "endpoint.hour", PRIVATE_ENDPOINTS * ZONES * _HOURS_PER_DAY),
        ("PostgreSQL", "postgresql.hour", _HOURS_PER_DAY),
    ]


def _keeping(plan: Plan) -> list[tuple[str, str, float]]:
    """Bytes: fetched, kept, handed out."""
    clips = plan.videos_per_day * plan.clips_per_video
    parts = (plan.source_gb_per_day + plan.clips_gb_per_day) / PART_GB
    puts = plan.videos_per_day * PUTS_PER_VIDEO + clips * PUTS_PER_CLIP + parts
    gets = plan.videos_per_day * GETS_PER_VIDEO + clips * plan.views_per_clip * GETS_PER_VIEW + parts
    rows_gb = plan.videos_per_day * DATABASE_GB_PER_VIDEO * plan.retention_days
    return [
        ("download", "nat.traffic", plan.source_gb_per_day),
        ("store: by its endpoint", "endpoint.traffic", plan.source_gb_per_day + plan.clips_gb_per_day),
        ("PostgreSQL: rows", "postgresql.storage", rows_gb / DAYS_PER_MONTH),
        ("store: media", "s3.storage", plan.stored_gb / DAYS_PER_MONTH),
        ("store: writing", "s3.put", puts / 1000),
        ("store: reading", "s3.get", gets / 1000),
        ("clips: views", "egress", plan.clips_gb_per_day * plan.views_per_clip),
    ]


def _analysis(plan: Plan, prices: Mapping[str, Price]) -> list[CostLine]:
    """What the model is paid: as it was so far, else by tokens."""
    if plan.measured is not None:
        paid = Price(sum(plan.measured.usd.values()), "video minute", f"measured on {plan.measured.extent}")
        return [CostLine("analysis", None, plan.load.minutes_per_day, paid)]
    if plan.model is None:
        return []
    lines = []
    for kind, tokens in zip(("input", "output"), plan.tokens_per_day(), strict=True):
        name = f"{plan.model}.{kind}"
        if name not in prices:
            known = ", ".join(key.removesuffix(".input") for key in prices if key.endswith(".input"))
            raise ValueError(f"The price of the model {plan.model!r} is not known. Known: {known}.")
        lines.append(CostLine(f"analysis: {kind}", name, tokens / 1e6, prices[name]))
    return lines


def _changes(plan: Plan, prices: Mapping[str, Price]) -> list[tuple[str, Plan]]:
    """What may be changed without changing what is processed."""
    days, half = plan.retention_days / 2, plan.bitrate_mbps / 2
    changes = [
        (f"Keep media for {days:g} days instead of {plan.retention_days:g}", replace(plan, retention_days=days)),
        ("Fetch at most 720p (MADVISION_MAX_HEIGHT=720), about half of the bytes", replace(plan, bitrate_mbps=half)),
    ]
    if not plan.spot:
        changes.append(("Run the transcripts on spot nodes (--spot)", replace(plan, spot=True)))
    if plan.model is not None and plan.measured is None:
        models = [key.removesuffix(".input") for key in prices if key.endswith(".input")]
        cheapest = min(models, key=lambda model: prices[f"{model}.input"].usd)
        changes.append((f"Ask {cheapest} (MADVISION_OPENAI_MODEL={cheapest})", replace(plan, model=cheapest)))
    return changes
