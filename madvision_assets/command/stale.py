"""The command that tells what would come out otherwise today, and has it done again."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from madvision_assets.command.display import echo, make_console, told_plainly
from madvision_assets.command.naming import Named, NotFound, end_where_not_found, find_each
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import Settings, load_settings
from madvision_assets.work import staleness
from madvision_assets.work.staleness import Reason, Stale

SHOWN = 50
# OpenAI's names of Whisper's models.
WHISPER = re.compile(r"(tiny|base|small|medium)(\.en)?|large(-v\d(-turbo)?)?|turbo|whisper-1")


@click.command()
@click.argument("named", metavar="[VIDEO]...", nargs=-1)
@click.option(
    "--prompt",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only what this prompt, in place of the one of its name, would ask otherwise.",
)
@click.option("--model", metavar="NAME", help="Only what another model than this one made.")
@click.option("--code", is_flag=True, help="Only what is of another version of our own code.")
@click.option("--redo", is_flag=True, help="Queue them again from there, behind all that is new.")
@as_format
@told_plainly
def stale(named: tuple[str, ...], prompt: Path | None, model: str | None, form: str, *, code: bool, redo: bool) -> None:
    """Tell which videos would come out otherwise today, from which stage on, and what they cost when they were made.

    Of those that are named only these are told; - takes names from stdin. Nothing is done again without --redo. Videos
    that are not done yet are left out.
    """
    if sum((prompt is not None, model is not None, code)) > 1:
        raise click.UsageError("Give one of --prompt, --model and --code.")
    workplace = Workplace(load_settings())
    reason = _reason(workplace, prompt, model, code=code)
    asked = find_each(workplace, named)
    only = {each.video_id for each in asked if isinstance(each, Named)}
    found = [each for each in staleness.find(workplace.database, reason) if not named or each.video_id in only]
    queued = staleness.redo(workplace.database, found) if redo else None
    if form == "json":
        lost = [each.as_json() for each in asked if isinstance(each, NotFound)]
        echo(json.dumps(_as_json(found, queued) | ({"not_found": lost} if named else {}), indent=2))
    else:
        _show(found)
        if queued is not None:
            echo(f"{queued} video{'s' * (queued != 1)} queued again.")
    end_where_not_found(asked)


def _reason(workplace: Workplace, prompt: Path | None, model: str | None, *, code: bool) -> Reason:
    if prompt is not None:
        return _of_prompt(prompt)
    if model is not None:
        return _of_model(workplace.settings, model)
    if code:
        return staleness.changed_code
    from madvision_assets.defs.resources import make_fingerprinted

    # As the Upgrader does: who asks need not have the key of whoever does the work.
    return staleness.changed_since(staleness.code_versions(make_fingerprinted(workplace.settings)))


def _of_prompt(file: Path) -> Reason:
    from madvision_assets.tools.analyst.openai_analyst import ASKED, prompt_hash
    from madvision_assets.tools.analyst.prompts import PROMPTS, read_prompt

    try:
        prompt = read_prompt(file)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{file} cannot be used: {error}.", param_hint="--prompt") from error
    if prompt.name not in PROMPTS:
        names = ", ".join(PROMPTS)
        raise click.BadParameter(f"{file} is a prompt {prompt.name!r}; there are {names}.", param_hint="--prompt")
    asking = [step for step, asked in ASKED.items() if any(each.name == prompt.name for each, _ in asked)]
    return staleness.other_prompt({PipelineStep(step): prompt_hash(step, prompt) for step in asking})


def _of_model(settings: Settings, name: str) -> Reason:
    """Of what a model's name is: one of Whisper's, or else of a language model."""
    from madvision_assets.tools.analyst.models import Models
    from madvision_assets.tools.analyst.openai_analyst import ASKED

    if WHISPER.fullmatch(name):
        return staleness.other_model(name, [PipelineStep.TRANSCRIPT], lambda made: made.partition("@")[0] == name)
    family = Models(settings.models_file).family_of(name)
    named = (lambda made: made == name) if family.names == ("*",) else family.fits
    return staleness.other_model(name, map(PipelineStep, ASKED), named)


def _show(found: Sequence[Stale]) -> None:
    if not found:
        echo("Nothing would come out otherwise.")
        return
    table = Table("Video", "From", "Why", "USD", "Seconds", box=None, pad_edge=False)
    for each in found[:SHOWN]:
        table.add_row(each.video_id, each.step.value, each.why, f"{each.cost_usd:.4f}", f"{each.wall_s:.0f}")
    make_console().print(table)
    left_out = f" ({len(found) - SHOWN} more than are shown; --format json has all)" if len(found) > SHOWN else ""
    usd, wall_s = sum(each.cost_usd for each in found), sum(each.wall_s for each in found)
    videos = f"{len(found)} video{'s' * (len(found) != 1)}"
    echo(f"{videos}{left_out}: when they were made, they cost {usd:.4f} USD and {wall_s:.0f} s.")


def _as_json(found: Sequence[Stale], queued: int | None) -> dict[str, object]:
    rows = [
        {
            "video_id": each.video_id,
            "from_step": each.step.value,
            "why": each.why,
            "cost_usd": round(each.cost_usd, 6),
            "wall_s": round(each.wall_s, 3),
        }
        for each in found
    ]
    total = {"videos": len(rows), "cost_usd": round(sum(each.cost_usd for each in found), 6)}
    return {"stale": rows, "total": total, **({} if queued is None else {"queued": queued})}
