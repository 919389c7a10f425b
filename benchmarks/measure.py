"""What the benchmarks share: CPU seconds and peak memory of a child process, medians, and the table."""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
# The real servers of the tests, and the way in which `make up` starts its parts.
sys.path += [str(ROOT), str(ROOT / "deployments" / "local")]


@dataclass(frozen=True)
class Cost:
    """What one child process cost."""

    cpu_s: float
    peak_mib: float


@dataclass(frozen=True)
class Figure:
    """One row: ours beside the peer's, measured in the same run."""

    claim: str
    ours: str
    peer: str
    ratio: str
    limit: str
    holds: bool


def at_most(claim: str, ours: float, peer: float, limit: float, form: str) -> Figure:
    """A row where ours may be so many times the peer's; both are written in this form, such as ``{:.2f} s``."""
    ratio = ours / peer
    return Figure(claim, form.format(ours), form.format(peer), f"{ratio:.2f}", f"<= {limit}", ratio <= limit)


def at_least(claim: str, ours: float, peer: float, limit: float, form: str) -> Figure:
    """A row where ours must be so many times the peer's."""
    ratio = ours / peer
    return Figure(claim, form.format(ours), form.format(peer), f"{ratio:.2f}", f">= {limit}", ratio >= limit)


def told(claim: str, ours: float, peer: float, form: str) -> Figure:
    """A row that promises nothing: it says where a time beside it comes from."""
    return Figure(claim, form.format(ours), form.format(peer), f"{ours / peer:.2f}", "none", holds=True)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def cost_of(command: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """CPU seconds (user and system) and peak memory of a command and its children, once."""
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def python(code: str) -> list[str]:
    """A command that runs this code."""
    return [sys.executable, "-c", code]


def medians(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, the commands taking turns so that a busy moment hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(cost_of(command).cpu_s)
    return {name: statistics.median(values) for name, values in taken.items()}


def show(figures: Sequence[Figure]) -> bool:
    """Print the table; whether every limit holds."""
    table = Table(title="MadVision benchmarks: ours beside the peer's, same run")
    for column in ("Claim", "Ours", "Peer", "Ratio", "Limit", "Holds"):
        table.add_column(column, overflow="fold")
    for f in figures:
        table.add_row(f.claim, f.ours, f.peer, f.ratio, f.limit, "yes" if f.holds else "NO")
    Console(width=160).print(table)
    return all(f.holds for f in figures)
