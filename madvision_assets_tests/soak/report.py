"""What a soak came to: the arithmetic over its records and samples, as a table and as JSON."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from madvision_assets_tests.soak.records import NOT_LAUNCHED, Record
from madvision_assets_tests.soak.usage import Size, slope_per_hour

KIB = 1024
# Ends before and after these shares of all are left out: the system fills and empties.
STEADY = (0.1, 0.9)


@dataclass(frozen=True)
class Sample:
    """Memory of the standing parts, MiB, at a time, seconds after the beginning; and how many videos had ended."""

    at_s: float
    ended: int
    rss_mib: Mapping[str, float]


@dataclass
class Report:
    """All figures; what is told per video is told per five stages that were made.

    Attributes:
        plan: seed, videos, minutes, scale, in_flight.
        cores: of the machine, and how many of them others kept busy meanwhile.
        wall_s: from the first submission to the last end.
        submitted: taken in.
        ended: that are over; the others were not reached.
        states: how many ended in which.
        not_launched: attempts that were given back since no worker came.
        videos_per_hour: in steady state.
        waiting_s: until the first claim, by priority: median, 95th percentile, how many.
        turnaround_s: from submission to the end, likewise, of those that are done.
        idle: cores that each part keeps busy while there is nothing to do.
        cpu_s: CPU seconds per video, by part; what it takes with nothing to do is in it, since on a busy machine
            nobody can tell the two apart. The more videos an hour, the less it weighs.
        connections: to PostgreSQL that were made, per video, by database.
        memory: of each standing part: MiB at the start, at the end, and growth per hour.
        tables: rows and bytes per video, by database and table.
        events: rows and bytes per video of Dagster's event log, by type.
        broken: promises that were not held.
        simulated: what the simulation says of the same load.
    """

    plan: dict[str, float]
    cores: list[float]
    wall_s: float
    submitted: int
    ended: int
    states: dict[str, int]
    not_launched: int
    videos_per_hour: float
    waiting_s: dict[str, list[float]]
    turnaround_s: list[float]
    idle: dict[str, float]
    cpu_s: dict[str, float]
    connections: dict[str, float]
    memory: dict[str, list[float]]
    tables: dict[str, dict[str, list[float]]]
    events: dict[str, list[float]]
    broken: list[str] = field(default_factory=list)
    simulated: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def spread(values: Sequence[float]) -> list[float]:
    """Median, 95th percentile, and how many."""
    if not values:
        return [0.0, 0.0, 0]
    percentile = statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]
    return [round(statistics.median(values), 2), round(percentile, 2), len(values)]


def steady_rate(ends_s: Iterable[float]) -> float:
    """Ends per hour between the first tenth and the last tenth of them; 0 where there are too few."""
    ends = sorted(ends_s)
    first, last = (int(share * (len(ends) - 1)) for share in STEADY)
    if last <= first or ends[last] <= ends[first]:
        return 0.0
    return (last - first) / (ends[last] - ends[first]) * 3600


def waiting(records: Iterable[Record]) -> dict[str, list[float]]:
    """Seconds from the submission to the first claim, by priority, the highest first."""
    found: dict[int, list[float]] = {}
    for record in records:
        if record.began_at is not None:
            found.setdefault(record.priority, []).append((record.began_at - record.came_at).total_seconds())
    return {str(priority): spread(found[priority]) for priority in sorted(found, reverse=True)}


def turnaround(records: Iterable[Record]) -> list[float]:
    """Seconds from the submission to the end, of those that are done without a failure on their way."""
    return spread([(r.ended_at - r.came_at).total_seconds() for r in records if r.ended_at and not r.causes])


def memory(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Of each part that stands all the time: MiB in the first and the last sample, and growth per hour."""
    times = [sample.at_s for sample in samples]
    found = {}
    for name in samples[0].rss_mib:
        values = [sample.rss_mib[name] for sample in samples]
        found[name] = [round(each, 1) for each in (values[0], values[-1], slope_per_hour(times, values))]
    return found


def per_video(grown: Mapping[str, Size], videos: float) -> dict[str, list[float]]:
    """Rows and bytes per video that have come to each table, the largest first."""
    largest = sorted(grown, key=lambda name: -grown[name].size_bytes)
    return {
        name: [round(grown[name].rows / videos, 2), round(grown[name].size_bytes / videos)]
        for name in largest
        if grown[name].rows or grown[name].size_bytes
    }


def states(records: Iterable[Record]) -> dict[str, int]:
    """How many are in which state, with the cause where they failed."""
    return dict(Counter(f"{r.status}: {r.cause}" if r.cause else str(r.status) for r in records).most_common())


def not_launched(records: Iterable[Record]) -> int:
    """Attempts of which no worker came."""
    return sum(record.causes.count(NOT_LAUNCHED) for record in records)


def lines(report: Report) -> list[tuple[str, str, str]]:
    """The table: of what, which figure, how much."""
    not_reached = report.submitted - report.ended
    found = [
        ("load", "submitted, ended, not reached", f"{report.submitted}, {report.ended}, {not_reached}"),
        ("load", "from the first submission to the last end", f"{report.wall_s:.0f} s"),
        ("load", "cores, and busy with other things", f"{report.cores[0]:.0f}, {report.cores[1]:.1f}"),
        ("load", "videos an hour, in steady state", f"{report.videos_per_hour:,.0f}"),
        *(("ends", state, str(count)) for state, count in report.states.items()),
        ("ends", "starts given back, since no worker came", str(report.not_launched)),
    ]  # fmt: skip
    for priority, (median, p95, count) in report.waiting_s.items():
        found.append(
            ("waiting", f"priority {priority} ({count:.0f} videos)", f"median {median:.0f} s, 95th {p95:.0f} s")
        )
    found.append(("waiting", "submission to end, no failure", _spread_text(report.turnaround_s)))
    found += [("CPU while idle", part, f"{cores:.1%} of a core") for part, cores in report.idle.items() if cores]
    found += [("CPU per video", part, f"{cpu_s:.2f} s") for part, cpu_s in report.cpu_s.items()]
    found.append(("CPU per video", "in all", f"{sum(report.cpu_s.values()):.2f} s"))
    found += [("connections per video", name, f"{count:.0f}") for name, count in report.connections.items()]
    for part, (first, last, growth) in report.memory.items():
        found.append(("memory", part, f"{first:.0f} MiB, at the end {last:.0f} MiB, {growth:+.0f} MiB/h"))
    for database, tables in report.tables.items():
        shown = list(tables.items())
        rows, size = (sum(each[n] for _, each in shown) for n in (0, 1))
        found.append((f"tables, {database}", "all, per video", f"{rows:.1f} rows, {size / KIB:.1f} KiB"))
        found += [
            (f"tables, {database}", name, f"{rows:.1f} rows, {size / KIB:.1f} KiB") for name, (rows, size) in shown[:6]
        ]
    found += [
        ("events per video", name, f"{rows:.1f} rows, {size / KIB:.2f} KiB")
        for name, (rows, size) in report.events.items()
    ]
    for name, (measured, simulated) in report.simulated.items():
        error = f", {simulated / measured - 1:+.0%}" if measured else ""
        found.append(("simulation", name, f"{simulated:,.1f}, measured {measured:,.1f}{error}"))
    return found


def _spread_text(spread_s: Sequence[float]) -> str:
    return f"median {spread_s[0]:.0f} s, 95th {spread_s[1]:.0f} s"
