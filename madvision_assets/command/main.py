"""The ``madvision`` command."""

import json
import sys
from dataclasses import asdict
from itertools import chain
from typing import Any

import click
from rich.console import Console

from madvision_assets.command import (
    clips,
    edit,
    evaluate,
    inbox,
    mcp_server,
    naming,
    parts,
    query,
    queue,
    scale,
    search,
    stale,
    store,
    transcript,
)
from madvision_assets.command.display import (
    EXIT_FAILED,
    StageDisplay,
    echo,
    findings_table,
    local_time,
    make_console,
    show_clips,
    tell,
    told_plainly,
)
from madvision_assets.command.group import Group
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import Executor, load_settings, present_names, variable_names

__all__ = ["Workplace", "main"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="madvision-assets")
def main() -> None:
    """Videos in, insightful clips out."""


@main.command()
@click.argument("source", metavar="URL_OR_FILE")
@queue.from_step_option("Do this stage and all later ones again, even where they are done.")
@queue.cut_options
@told_plainly
def process(source: str, from_step: str | None, **asked: Any) -> None:
    """Run one video here and now, and print its clips.

    Stages that are done already are not done again. Ends with 0 also where there is honestly nothing to cut.
    """
    console = make_console()
    settings = load_settings()
    workplace = Workplace(settings)
    video = workplace.register(source, queue.options_of(asked))
    anew = PipelineStep(from_step) if from_step else None
    steps = workplace.pending(video.video_id, anew)
    tell(console, f"Video {video.video_id}:", "bold", public_address(video.address))
    _tell_done(console, workplace, video.video_id, [step for step in PipelineStep if step not in steps])
    if steps:
        display = StageDisplay(console, steps)
        with display.shown() as sink:
            report = workplace.run_pending(video.video_id, anew, sink)
        # Others may have done them since.
        _tell_done(console, workplace, video.video_id, [step for step in steps if step not in report.steps])
        for warning in report.warnings:
            tell(console, "warning:", "yellow", warning)
        if report.failure is not None:
            label = f"{report.failure.step} failed ({report.failure.cause}):"
            tell(make_console(stderr=True), label, "red", report.failure.sentence)
            sys.exit(EXIT_FAILED)
    else:
        console.print("All stages are done; nothing to do. Use --from STEP to do one again.")
    made = workplace.clips(video.video_id)
    if made.clips:
        show_clips(console, made, workplace.store)
    else:
        tell(console, f"No clips ({made.outcome.value}):", "bold", made.outcome_reason)


def _tell_done(console: Console, workplace: Workplace, video_id: str, steps: list[PipelineStep]) -> None:
    """Say when each of these was done."""
    for step in steps:
        if provenance := workplace.provenance(video_id, step):
            console.print(f"{step.value.ljust(15)}  already done {local_time(provenance.created_at)}, not done again")


@main.command()
@click.argument("identity", metavar="VIDEO")
@click.option("--format", "form", type=click.Choice(["tree", "table", "json", "csv", "mermaid"]), default="tree")
@told_plainly
def lineage(identity: str, form: str) -> None:
    """Print from which exact versions, model and prompt each stage of a video was made.

    VIDEO is an ID, a token, an address or file, or the ID of one of its clips, of which the words are told then.
    """
    from madvision_assets.lineage import render
    from madvision_assets.lineage.queries import video_lineage

    workplace = Workplace(load_settings())
    named = naming.find(workplace, identity)
    found = video_lineage(workplace.database, workplace.store, named.clip_id or named.video_id)
    if form == "tree":
        make_console().print(render.to_tree(found))
        return
    text = {"table": render.to_table, "json": render.to_json, "csv": render.to_csv, "mermaid": render.to_mermaid}
    echo(text[form](found))


@main.command()
@queue.as_format
@told_plainly
def doctor(form: str) -> None:
    """Check packages, ffmpeg, model, key, database, store and queue, and tell what to do about each."""
    from madvision_assets.domain.health import Health
    from madvision_assets.tools.cluster import pod_findings
    from madvision_assets.tools.speech.registry import find_engine
    from madvision_assets.work.doctor import examine, packages, takes_part_in_processing, variables

    settings = load_settings()
    on_cluster = settings.executor is Executor.K8S
    engine = find_engine(settings.whisper_engine)
    installed = packages(engine.extra, transcript_elsewhere=on_cluster)
    findings = [installed, *variables(present_names(), variable_names())]
    if installed.health is Health.OK:  # without them nothing else can be looked at
        workplace = Workplace(settings, prepare=False)
        findings += examine(workplace.probes())
        findings += workplace.queue_findings()
        findings += pod_findings() if on_cluster and takes_part_in_processing() else []
    failed = [f.part for f in findings if f.health is Health.FAILED]
    if form == "json":
        echo(json.dumps({"ready": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
        sys.exit(EXIT_FAILED if failed else 0)
    make_console().print(findings_table(findings))
    if failed:
        echo(f"Not ready: {', '.join(failed)}.", err=True)
        sys.exit(EXIT_FAILED)
    echo("Ready.")


@main.command()
@told_plainly
def migrate() -> None:
    """Bring the database's tables to this version."""
    workplace = Workplace(load_settings(), prepare=False)
    workplace.database.migrate()
    echo(workplace.database.newer_tables() or f"The tables at {workplace.database.url} are up to date.")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@told_plainly
def serve(host: str, port: int) -> None:
    """Take submissions over HTTP, and show their pages."""
    from madvision_assets.intake.server import serve as serve_intake

    settings = load_settings()
    Workplace(settings)
    serve_intake(settings, host, port)


FAMILIES = (queue.COMMANDS, inbox.COMMANDS, parts.COMMANDS, scale.COMMANDS, evaluate.COMMANDS, search.COMMANDS)
for command in (
    *chain.from_iterable(FAMILIES),
    clips.clips,
    edit.edit,
    edit.labels,
    mcp_server.mcp,
    query.query,
    stale.stale,
    store.store,
    transcript.transcript,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
