"""The command that runs videos here and now: process."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from madvision_assets.command.display import (
    EXIT_FAILED,
    StageDisplay,
    echo,
    failure_as_json,
    local_time,
    make_console,
    place_of,
    show_clips,
    tell,
    told_plainly,
)
from madvision_assets.command.naming import STANDARD_INPUT
from madvision_assets.command.queue import (
    as_format,
    cut_options,
    end_with_bad,
    from_step_option,
    identified,
    options_of,
)
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.documents import Json
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.settings import load_settings

OF_CLIP = {"clip_id", "rank", "title", "reason", "score", "start_s", "end_s", "duration_s", "width", "height", "failed"}


@click.command()
@click.argument("sources", metavar="URL_OR_FILE...", nargs=-1, required=True)
@from_step_option("Do this stage and all later ones again, even where they are done.")
@cut_options
@as_format
@told_plainly
def process(sources: tuple[str, ...], from_step: str | None, form: str, **asked: Any) -> None:
    """Run videos here and now, one after the other, and print their clips; - takes addresses and files from stdin.

    Stages that are done already are not done again. Ends with 0 also where there is honestly nothing to cut, with 1
    where a video failed, which does not end the others.
    """
    workplace = Workplace(load_settings())
    options, bad = options_of(asked), list[int]()
    # All at once: what runs might read the rest of standard input.
    named = list(identified(sources, bad))
    several = len(sources) > 1 or STANDARD_INPUT in sources
    console = make_console(stderr=form == "json")
    anew = PipelineStep(from_step) if from_step else None
    told: list[Json] = []
    for video_id, address in named:
        video = workplace.add(video_id, address, options)
        try:
            told.append(_processed(workplace, console, video, anew))
        except Failure as failure:
            if not several:
                raise
            tell(make_console(stderr=True), f"{failure.code}:", "red", str(failure))
            told.append(_named(video) | failure_as_json(failure.code, str(failure)))
    if form == "json":
        echo(json.dumps(told if several else told[0], indent=2))
    end_with_bad(bad)
    if any(each["failure"] for each in told):
        sys.exit(EXIT_FAILED)


def _processed(workplace: Workplace, console: Console, video: Video, anew: PipelineStep | None) -> Json:
    """Run one video and show how it goes; gives the same for a program."""
    steps = workplace.pending(video.video_id, anew)
    tell(console, f"Video {video.video_id}:", "bold", public_address(video.address))
    _tell_done(console, workplace, video.video_id, [step for step in PipelineStep if step not in steps])
    told = _named(video) | {"steps": [], "warnings": [], "failure": None}
    if steps:
        display = StageDisplay(console, steps)
        with display.shown() as sink:
            report = workplace.run_pending(video.video_id, anew, sink)
        # Others may have done them since.
        _tell_done(console, workplace, video.video_id, [step for step in steps if step not in report.steps])
        for warning in report.warnings:
            tell(console, "warning:", "yellow", warning)
        told |= {"steps": [step.value for step in report.steps], "warnings": list(report.warnings)}
        if report.failure is not None:
            label = f"{report.failure.step} failed ({report.failure.cause}):"
            tell(make_console(stderr=True), label, "red", report.failure.sentence)
            return told | {"failure": asdict(report.failure)}
    else:
        console.print("All stages are done; nothing to do. Use --from STEP to do one again.")
    made = workplace.clips(video.video_id)
    if made.clips:
        show_clips(console, made, workplace.store)
    else:
        tell(console, f"No clips ({made.outcome.value}):", "bold", made.outcome_reason)
    return told | _of_clips(workplace, made)


def _named(video: Video) -> Json:
    return {"video_id": video.video_id, "address": public_address(video.address)}


def _of_clips(workplace: Workplace, made: Clips) -> Json:
    clips = [
        each.model_dump(mode="json", include=OF_CLIP)
        | {"files": {role: place_of(workplace.store, file) for role, file in each.files.items()}}
        for each in made.clips
    ]
    told = {"outcome": made.outcome.value, "outcome_reason": made.outcome_reason, "provisional": made.provisional}
    return {**told, "clips": clips, "failed_clips": [each.model_dump(mode="json") for each in made.failed]}


def _tell_done(console: Console, workplace: Workplace, video_id: str, steps: list[PipelineStep]) -> None:
    """Say when each of these was done."""
    for step in steps:
        if provenance := workplace.provenance(video_id, step):
            console.print(f"{step.value.ljust(15)}  already done {local_time(provenance.created_at)}, not done again")
