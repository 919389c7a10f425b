"""A report for a person, and for a program."""

import json
from collections.abc import Sequence

from madvision_assets.domain.provenance import Recipe
from madvision_assets.evaluation.metrics import FURTHER, MAIN
from madvision_assets.evaluation.report import AGREEMENT, ANALYST, Report

_NAMES = {
    "r1_iou_0.5": "R1@0.5",
    "r1_iou_0.7": "R1@0.7",
    "starts_inside_sentence": "starts inside",
    "ends_inside_sentence": "ends inside",
    "clip_s": "seconds",
    AGREEMENT: "agreement",
}


def to_table(report: Report, recipes: Sequence[Recipe] = ()) -> str:
    """Two tables of text: the main figures with their intervals, and the further ones; and who was measured."""
    main = [["picker", *MAIN]]
    main += [[picker, *(_with_interval(picker, report, name) for name in MAIN)] for picker in report]
    names = [*FURTHER, *([AGREEMENT] if any(AGREEMENT in row for row in report.values()) else [])]
    further = [["picker", *(_NAMES.get(name, name) for name in names)]]
    further += [
        [picker, *(f"{row[name].mean:.3g}" if name in row else "-" for name in names)] for picker, row in report.items()
    ]
    measured_ones = (" ".join(filter(None, each.values())) for each in _made_by(recipes))
    measured = [f"\n\nMeasured: {'; '.join(measured_ones)}."] if recipes else []
    return "".join((f"{_aligned(main)}\n\n{_aligned(further)}", *measured))


def to_json(report: Report, recipes: Sequence[Recipe] = ()) -> str:
    """``{picker: {measure: {"mean": …, "interval": [low, high]}}}``; of the analyst ``made_by`` as well: who it is."""
    plain: dict[str, dict[str, object]] = {
        picker: {name: each.model_dump() for name, each in row.items()} for picker, row in report.items()
    }
    plain[ANALYST]["made_by"] = _made_by(recipes)
    return json.dumps(plain, indent=1)


def _made_by(recipes: Sequence[Recipe]) -> list[dict[str, str | None]]:
    """Engine, model and version of the prompts of each that is told, once."""
    names = ((each.engine, each.model, each.prompt_version) for each in recipes)
    return [
        {"engine": engine, "model": model, "prompt_version": prompt} for engine, model, prompt in dict.fromkeys(names)
    ]


def _with_interval(picker: str, report: Report, name: str) -> str:
    found = report[picker][name]
    low, high = found.interval
    return f"{found.mean:.3f} ({low:.3f}-{high:.3f})"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
