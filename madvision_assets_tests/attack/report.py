"""The table at the end: for each kind how many attacks, how they ended, and the worst of what they took."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from madvision_assets.tools.sandbox import policy
from madvision_assets_tests.attack.rows import Family

if TYPE_CHECKING:
    from madvision_assets_tests.attack.suite import Played

HEAD = ("kind", "attacks", "through", "memory MB", "own MB", "CPU s", "wall s", "inside", "ended as")
TOLD_CHARS = 160


def line(played: "Played") -> str:
    """One attack."""
    said = "; ".join(played.troubles) or str(played.ended.how)
    taken = played.measured
    figures = f"{taken.peak_bytes / 1e6:.0f} MB, {taken.cpu_s:.1f} s of CPU, {taken.wall_s:.1f} s"
    word = "THROUGH" if played.troubles else "stopped"
    told = played.ended.told[:TOLD_CHARS].encode("ascii", "backslashreplace").decode()
    return f"{word}: {played.family}: {played.attack.kind}: {played.attack.name}: {said} [{figures}] {told!r}"


def table(played: Sequence["Played"], families: Sequence[Family], wall_s: float, controls: Sequence[str]) -> str:
    """One line for each kind, and what they come to together."""
    rows: list[tuple[str, ...]] = [HEAD]
    for family in families:
        ours = [each for each in played if each.family == family.name]
        rows += [_row(kind, [p for p in ours if p.attack.kind == kind]) for kind in dict.fromkeys(_kinds(ours))]
    rows.append(_row("all", played))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = ", ".join(f"{len([p for p in played if p.family == f.name])} {f.name}" for f in families)
    through = sum(bool(each.troubles) for each in played)
    lines += [
        "",
        f"{len(played)} attacks ({counts}) in {wall_s:.0f} s",
        f"at most {policy.memory_bytes() // 1_000_000} MB for each; controls: {', '.join(controls) or 'none'}",
        f"{through} through" if through else "0 through",
        "",
    ]
    return "\n".join(lines)


def _kinds(played: Sequence["Played"]) -> list[str]:
    return [each.attack.kind for each in played]


def _row(kind: str, played: Sequence["Played"]) -> tuple[str, ...]:
    taken = [each.measured for each in played]
    ends = Counter(str(each.ended.how or "nothing that is right") for each in played)
    inside = sum(len(each.touched.connections) + len(each.touched.opened) for each in played)
    return (
        kind,
        str(len(played)),
        str(sum(bool(each.troubles) for each in played)),
        f"{max((each.peak_bytes for each in taken), default=0) / 1e6:.0f}",
        f"{max((each.own_bytes for each in taken), default=0) / 1e6:.0f}",
        f"{max((each.cpu_s for each in taken), default=0.0):.1f}",
        f"{max((each.wall_s for each in taken), default=0.0):.1f}",
        str(inside),
        ", ".join(f"{how} {count}" for how, count in ends.most_common()),
    )
