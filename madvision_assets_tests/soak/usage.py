"""What processes and tables take: CPU seconds and memory out of ``/proc``, rows and bytes out of PostgreSQL."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, inspect, text

JIFFIES = os.sysconf("SC_CLK_TCK")
MIB_PER_KIB = 1 / 1024
# Of what follows the name in /proc/PID/stat, see proc(5).
PARENT, OWN_CPU, CHILDREN_CPU = 1, slice(11, 13), slice(13, 15)
RUNS = "runs"


def machine_busy_s() -> float:
    """CPU seconds that this machine has worked since it started, for whomever."""
    user, nice, system, _idle, _iowait, *others = map(int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + sum(others)) / JIFFIES


@dataclass(frozen=True)
class Process:
    """One process, as the system has it.

    Attributes:
        pid: its ID.
        parent: its parent's.
        own_s: CPU seconds of its own.
        reaped_s: CPU seconds of its children that have ended, and of theirs.
        rss_mib: its memory.
    """

    pid: int
    parent: int
    own_s: float
    reaped_s: float
    rss_mib: float


def processes() -> dict[int, Process]:
    """Every process that can be looked at, by its ID."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = (folder / "status").read_text()
        except OSError:  # it has ended
            continue
        rss_kib = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
        own_s, reaped_s = (sum(map(int, fields[part])) / JIFFIES for part in (OWN_CPU, CHILDREN_CPU))
        pid = int(folder.name)
        found[pid] = Process(pid, int(fields[PARENT]), own_s, reaped_s, sum(rss_kib) * MIB_PER_KIB)
    return found


def below(pid: int, known: Mapping[int, Process]) -> list[Process]:
    """The processes that descend from this one."""
    children = [each for each in known.values() if each.parent == pid]
    return children + [grandchild for child in children for grandchild in below(child.pid, known)]


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the start, and memory now, MiB, of each part."""

    cpu_s: Mapping[str, float]
    rss_mib: Mapping[str, float]


def usage_of(parts: Mapping[str, int], starts_runs: str, known: Mapping[int, Process] | None = None) -> Usage:
    """What the parts take.

    Args:
        parts: process ID of each.
        starts_runs: the one whose descendants are runs; those of the others count with them.
        known: the processes; by default all that there are.
    """
    known = processes() if known is None else known
    cpu_s, rss_mib = {RUNS: 0.0}, {}
    for name, pid in parts.items():
        part, others = known[pid], below(pid, known)
        theirs_s = part.reaped_s + sum(each.own_s + each.reaped_s for each in others)
        is_server = name == starts_runs
        cpu_s[name] = part.own_s + (0.0 if is_server else theirs_s)
        cpu_s[RUNS] += theirs_s if is_server else 0.0
        rss_mib[name] = part.rss_mib
    return Usage(cpu_s, rss_mib)


@dataclass(frozen=True)
class Size:
    """Rows and bytes, indexes among them, of a table."""

    rows: int
    size_bytes: int

    def __sub__(self, other: "Size") -> "Size":
        """How much has come to it."""
        return Size(self.rows - other.rows, self.size_bytes - other.size_bytes)


Sizes = Mapping[str, Size]


@dataclass(frozen=True)
class Figures:
    """Everything that only grows.

    Attributes:
        busy_s: CPU seconds of the machine.
        cpu_s: CPU seconds by part.
        connections: to PostgreSQL, by database.
        sizes: of tables, by database.
        events: of Dagster's log, by type.
    """

    busy_s: float
    cpu_s: Mapping[str, float]
    connections: Mapping[str, int]
    sizes: Mapping[str, Sizes]
    events: Sizes

    def __sub__(self, other: "Figures") -> "Figures":
        """How much has come to each."""
        return Figures(
            self.busy_s - other.busy_s,
            {name: cpu_s - other.cpu_s[name] for name, cpu_s in self.cpu_s.items()},
            {name: count - other.connections[name] for name, count in self.connections.items()},
            {name: _grown(sizes, other.sizes[name]) for name, sizes in self.sizes.items()},
            _grown(self.events, other.events),
        )


def _grown(after: Sizes, before: Sizes) -> Sizes:
    return {name: size - before.get(name, Size(0, 0)) for name, size in after.items()}


def table_sizes(engine: Engine) -> dict[str, Size]:
    """The size of every table."""
    names: Iterable[str] = inspect(engine).get_table_names()
    with engine.connect() as connection:
        return {
            name: Size(
                connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one(),  # noqa: S608 - its own names
                connection.execute(text("SELECT pg_total_relation_size(quote_ident(:name)::regclass)"), {"name": name})
                .scalar_one(),
            )
            for name in names
        }  # fmt: skip


def connections(engine: Engine) -> int:
    """How many connections the server has taken so far."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT sum(sessions) FROM pg_stat_database")).scalar_one())


def event_types(engine: Engine) -> dict[str, Size]:
    """Rows of Dagster's event log by type, and the bytes of what they hold as it is stored."""
    query = text(
        "SELECT coalesce(dagster_event_type, 'a line of the log'), count(*), sum(pg_column_size(event)) "
        "FROM event_logs GROUP BY 1"
    )
    with engine.connect() as connection:
        return {str(name): Size(rows, size_bytes) for name, rows, size_bytes in connection.execute(query).tuples()}


def slope_per_hour(times_s: list[float], values: list[float]) -> float:
    """How much a value grows in an hour, by least squares; 0 for a single one."""
    if len(times_s) < 2:
        return 0.0
    mean_s, mean = sum(times_s) / len(times_s), sum(values) / len(values)
    squares = sum((at_s - mean_s) ** 2 for at_s in times_s)
    products = sum((at_s - mean_s) * (value - mean) for at_s, value in zip(times_s, values, strict=True))
    return products / squares * 3600 if squares else 0.0
