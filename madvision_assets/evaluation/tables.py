"""A report for a person, and for a program."""

import json

from madvision_assets.evaluation.metrics import FURTHER, MAIN
from madvision_assets.evaluation.report import AGREEMENT, Report

_NAMES = {
    "r1_iou_0.5": "R1@0.5",
    "r1_iou_0.7": "R1@0.7",
    "starts_inside_sentence": "starts inside",
    "ends_inside_sentence": "ends inside",
    "clip_s": "seconds",
    AGREEMENT: "agreement",
}


def to_table(report: Report) -> str:
    """Two tables of text: the main figures with their intervals, and the further ones."""
    main = [["picker", *MAIN]]
    main += [[picker, *(_with_interval(picker, report, name) for name in MAIN)] for picker in report]
    names = [*FURTHER, *([AGREEMENT] if any(AGREEMENT in row for row in report.values()) else [])]
    further = [["picker", *(_NAMES.get(name, name) for name in names)]]
    further += [
        [picker, *(f"{row[name].mean:.3g}" if name in row else "-" for name in names)] for picker, row in report.items()
    ]
    return f"{_aligned(main)}\n\n{_aligned(further)}"


def to_json(report: Report) -> str:
    """``{picker: {measure: {"mean": …, "interval": [low, high]}}}``."""
    plain = {picker: {name: each.model_dump() for name, each in row.items()} for picker, row in report.items()}
    return json.dumps(plain, indent=1)


def _with_interval(picker: str, report: Report, name: str) -> str:
    found = report[picker][name]
    low, high = found.interval
    return f"{found.mean:.3f} ({low:.3f}-{high:.3f})"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
