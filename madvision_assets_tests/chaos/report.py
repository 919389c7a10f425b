"""The table at the end of a campaign: of each kind of fault how many, how long to get over them, and what it cost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from madvision_assets_tests.chaos.invariants import GRACE_S, Evidence

if TYPE_CHECKING:
    from madvision_assets_tests.chaos.campaign import Happened

HEAD = ("fault", "made", "not made", "median s", "worst s", "broken off, and done again")


# A cause that one kind of fault makes; whatever else is told comes of the others.
MADE_BY = {
    "host_unresolved": {"dns"},
    "disk_full": {"disk"},
    "store_unavailable": {"store", "lose result"},
    "analyst_unavailable": {"analyst"},
    "analyst_rate_limited": {"analyst"},
    "database_unavailable": {"kill database", "stop database", "lose result"},
}
SPECIFIC = {"dns", "disk", "store", "analyst", "receiver"}


def clear_s(begin: float, end: float, spans: Iterable[tuple[float, float]]) -> float:
    """How much of the time from begin to end is in none of these spans."""
    clear, at = 0.0, begin
    for first, last in sorted(spans):
        clear += max(0.0, min(first, end) - at)
        at = max(at, min(last, end))
    return clear + max(0.0, end - at)


def table(happened: Sequence["Happened"], evidence: Evidence) -> str:
    """One line for each kind."""
    lines = [HEAD]
    costs = broken_off(happened, evidence)
    for kind in dict.fromkeys(each.fault.kind for each in sorted(happened, key=lambda h: h.fault.kind)):
        made = [each for each in happened if each.fault.kind == kind and each.not_done is None]
        times = [each.recovery_s for each in made if each.recovery_s is not None]
        not_made = sum(each.fault.kind == kind for each in happened) - len(made)
        cost = ", ".join(f"{step} {count}" for step, count in costs.get(kind, Counter()).items())
        figures = (f"{median(times):.1f}", f"{max(times):.1f}") if times else ("-", "-")
        lines.append((kind, str(len(made)), str(not_made), *figures, cost or "-"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def broken_off(happened: Sequence["Happened"], evidence: Evidence) -> dict[str, Counter[str]]:
    """Attempts that were broken off, by step, for each kind: each counts for the latest fault that can have done it."""
    costs: dict[str, Counter[str]] = {}
    for film in evidence.films:
        for attempt in film.attempts:
            if not attempt.was_broken_off or attempt.ended_at is None:
                continue
            kinds = MADE_BY.get(attempt.cause or "")
            on = [
                each
                for each in happened
                if each.not_done is None
                and each.began_at <= attempt.ended_at <= each.ended_at + GRACE_S
                and (each.fault.kind in kinds if kinds else each.fault.kind not in SPECIFIC)
            ]
            if on:
                kind = max(on, key=lambda each: each.began_at).fault.kind
                costs.setdefault(kind, Counter())[attempt.step] += 1
    return costs
