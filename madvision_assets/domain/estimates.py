"""How long a video will take, going by what was measured lately; nothing is said where too little was.

Rates are seconds of work for a minute of video. The middle half of what was measured makes the range.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import quantiles

from madvision_assets.domain.provenance import Value
from madvision_assets.domain.stages import PipelineStep

# With fewer videos than this a quartile says nothing.
ENOUGH = 10
HOURS_FROM_MIN = 120


class Span(Value):
    """A range of time that something is expected to take, seconds."""

    low_s: float
    high_s: float

    def __add__(self, other: "Span") -> "Span":
        """One after the other."""
        return Span(low_s=self.low_s + other.low_s, high_s=self.high_s + other.high_s)

    def times(self, factor: float) -> "Span":
        """As often."""
        return Span(low_s=self.low_s * factor, high_s=self.high_s * factor)


class Measured(Value):
    """What videos took lately.

    Attributes:
        rates: for each step the seconds of work for a minute of video, one for each video.
        totals: the seconds that all steps of a video took together, one for each video that has them all.
    """

    rates: Mapping[PipelineStep, tuple[float, ...]] = {}
    totals: tuple[float, ...] = ()


def work_left(measured: Measured, step: PipelineStep, step_progress: float, duration_s: float | None) -> Span | None:
    """How long a video is still worked on.

    Args:
        measured: what others took.
        step: the one under way, or the next.
        step_progress: of it, 0 to 1.
        duration_s: of the video; None where it is not known, and then only a whole video can be told.

    Returns:
        None where too little was measured.
    """
    if duration_s is None:
        return middle(measured.totals) if step.previous is None and not step_progress else None
    left = Span(low_s=0.0, high_s=0.0)
    for each in step.onwards():
        rate = middle(measured.rates.get(each, ()))
        if rate is None:
            return None
        left += rate.times(duration_s / 60 * (1 - step_progress if each is step else 1))
    return left


def wait_left(measured: Measured, place: int, at_work: int) -> Span | None:
    """How long a video waits for its turn.

    Args:
        measured: what others took.
        place: its place, 1 being the next.
        at_work: so many videos are being worked on at once.

    Returns:
        None where too little was measured, or nothing is at work.
    """
    each = middle(measured.totals)
    return each.times(place / at_work) if each is not None and at_work else None


def middle(values: Sequence[float]) -> Span | None:
    """From the first to the third quartile; None of too few."""
    if len(values) < ENOUGH:
        return None
    low_s, _, high_s = quantiles(values, n=4, method="inclusive")
    return Span(low_s=low_s, high_s=high_s)


def measured_of(told: Iterable[tuple[str, PipelineStep, float, float | None]]) -> Measured:
    """Rates and totals of videos: their ID, a step, the seconds that it took, and the length of the video in seconds.

    What is told first of a video's step counts.
    """
    seconds: dict[str, dict[PipelineStep, float]] = {}
    lengths_s: dict[str, float] = {}
    for video_id, step, wall_s, duration_s in told:
        seconds.setdefault(video_id, {}).setdefault(step, wall_s)
        if duration_s:
            lengths_s.setdefault(video_id, duration_s)
    rates = {
        step: tuple(
            took[step] / (lengths_s[each] / 60) for each, took in seconds.items() if step in took and each in lengths_s
        )
        for step in PipelineStep
    }
    totals = tuple(sum(took.values()) for took in seconds.values() if len(took) == len(PipelineStep))
    return Measured(rates=rates, totals=totals)


def in_words(span: Span) -> str:
    """A range for a person: ``about 4 to 9 minutes``; never more exact than it is."""
    low, high = (_round(seconds) for seconds in (span.low_s, span.high_s))
    if high[0] == 0:
        return "less than a minute"
    if low[1] == high[1]:
        unit = high[1] if high[0] != 1 else high[1].removesuffix("s")
        return f"about {high[0]} {unit}" if low[0] == high[0] else f"about {low[0]} to {high[0]} {unit}"
    told = [f"{number} {unit if number != 1 else unit.removesuffix('s')}" for number, unit in (low, high)]
    return f"about {told[0]} to {told[1]}"


def _round(seconds: float) -> tuple[int, str]:
    """A number and its unit: minutes, and from two hours on hours."""
    minutes = round(seconds / 60)
    return (minutes, "minutes") if minutes < HOURS_FROM_MIN else (round(minutes / 60), "hours")
