"""Lineage to read: as a tree, a table, JSON, CSV and a Mermaid flowchart."""

import re
from typing import TYPE_CHECKING

from madvision_assets.domain.plain_text import as_cell
from madvision_assets.domain.wording import timecode
from madvision_assets.lineage.frames import to_frame
from madvision_assets.lineage.queries import ClipLineage, StageLineage, VideoLineage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from rich.tree import Tree

SHORT_VERSION_CHARS = 12
TABLE_COLUMNS = (
    "asset",
    "current",
    "data_version",
    "engine",
    "model",
    "prompt_version",
    "cost_usd",
    "wall_s",
    "created_at",
    "run_id",
)
# Anything else has, or may come to have, a meaning of its own in a Mermaid label.
_NOT_PLAIN = re.compile(r"[^\w .,:/@+-]")


def to_tree(lineage: VideoLineage) -> "Tree":
    """A tree for a terminal: the video, the clip if one was asked for, each stage and what it was made from."""
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text.assemble((lineage.video_id, "bold"), f"  {lineage.address}"))
    if lineage.clip:
        branch = tree.add(Text(_clip_line(lineage.clip), "bold green"))
        for segment in lineage.clip.segments:
            branch.add(Text(f"{timecode(segment.start_s)} {segment.text}"))
    for stage in lineage.stages:
        branch = tree.add(Text.assemble((stage.asset, "bold cyan"), f"  {_short(stage.data_version)}"))
        for line in _stage_lines(stage):
            branch.add(Text(line))
    for sentence in lineage.unreadable:
        tree.add(Text(sentence, "yellow"))
    tree.add(Text(_cost_line(lineage)))
    return tree


def to_table(*lineages: VideoLineage) -> str:
    """Every materialisation as plain text, the columns that people ask for; of several videos with their IDs."""
    of_which = ["video_id"] if len(lineages) > 1 else []
    frame = _joined(lineages)[[*of_which, *TABLE_COLUMNS]]
    frame["data_version"] = frame["data_version"].str[:SHORT_VERSION_CHARS]
    frame["created_at"] = frame["created_at"].dt.strftime("%Y-%m-%d %H:%M:%SZ")
    return frame.astype(object).fillna("-").to_string(index=False)


def to_json(lineage: VideoLineage) -> str:
    """All of it as one JSON object, indented by two."""
    return lineage.model_dump_json(indent=2)


def to_csv(*lineages: VideoLineage) -> str:
    """Every materialisation as CSV with one header; times are ISO 8601, and no text is a formula."""
    frame = _joined(lineages)
    texts: list[str] = list(frame.select_dtypes("string").columns)
    frame[texts] = frame[texts].map(as_cell, na_action="ignore")
    text: str = frame.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%f%z", lineterminator="\n")
    return text


def to_mermaid(lineage: VideoLineage) -> str:
    """A flowchart from the address to the clips; see https://mermaid.js.org/syntax/flowchart.html.

    An arrow stands for "was made from", and is dotted where its source has a newer version by now.
    """
    lines = ["flowchart LR", f"  source([{_label(lineage.address)}])"]
    for stage in lineage.stages:
        lines.append(f"  {stage.asset}[{_label(stage.asset, *_facts(stage))}]")
        if not stage.inputs:
            lines.append(f"  source --> {stage.asset}")
        for made_from in stage.inputs:
            arrow = "-.->" if made_from.asset in stage.outdated_inputs else "-->"
            lines.append(f"  {made_from.asset} {arrow} {stage.asset}")
    if lineage.clip:
        lines.append(f"  clip([{_label(_clip_line(lineage.clip))}])")
        lines.append("  clips --> clip")
    return "\n".join(lines) + "\n"


def _facts(stage: StageLineage) -> tuple[str, ...]:
    known = (_short(stage.data_version), f"{stage.engine} {stage.engine_version}".strip(), stage.model)
    prompt = f"prompt {stage.prompt_version}" if stage.prompt_version else None
    return tuple(fact for fact in (*known, prompt) if fact)


def _stage_lines(stage: StageLineage) -> list[str]:
    made_at = f"{stage.created_at:%Y-%m-%d %H:%M:%S%z}"
    lines = [
        f"{stage.engine} {stage.engine_version}".strip() + (f", model {stage.model}" if stage.model else ""),
        f"code {stage.code_version}, run {stage.run_id}, {made_at}, {stage.wall_s:.1f} s, ${stage.cost_usd:.4f}",
        stage.uri,
    ]
    if stage.prompt_version:
        lines.insert(1, f"prompt {stage.prompt_version}, sha256 {_short(stage.prompt_hash or '-')}")
    lines += [
        f"from {made_from.asset} {_short(made_from.data_version)}"
        + (" (there is a newer one now)" if made_from.asset in stage.outdated_inputs else "")
        for made_from in stage.inputs
    ]
    if stage.unreadable:
        lines.append(stage.unreadable)
    if stage.superseded:
        lines.append(f"{stage.superseded} other version(s) were made")
    return lines


def _clip_line(clip: ClipLineage) -> str:
    return f"{clip.clip_id}  {clip.title}  {timecode(clip.start_s)} - {timecode(clip.end_s)}"


def _joined(lineages: "Sequence[VideoLineage]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat([to_frame(each) for each in lineages], ignore_index=True)


def _cost_line(lineage: VideoLineage) -> str:
    steps = len(lineage.materialisations)
    return f"paid: ${lineage.current_cost_usd:.4f} for these, ${lineage.total_cost_usd:.4f} for all {steps} ever made"


def _short(version: str) -> str:
    return version[:SHORT_VERSION_CHARS]


def _label(*lines: str) -> str:
    return '"' + "<br/>".join(_NOT_PLAIN.sub(lambda char: f"#{ord(char[0])};", line) for line in lines) + '"'
