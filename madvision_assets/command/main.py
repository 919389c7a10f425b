"""The ``madvision`` command."""

import json
import sys
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import click

from madvision_assets.command import (
    catalogue,
    clips,
    edit,
    evaluate,
    forget,
    inbox,
    mcp_server,
    naming,
    parts,
    process,
    query,
    queue,
    scale,
    search,
    stale,
    store,
    transcript,
)
from madvision_assets.command.display import EXIT_FAILED, answer, echo, findings_table, make_console, told_plainly
from madvision_assets.command.group import Group
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.failures import Failure
from madvision_assets.settings import Executor, load_settings, present_names, variable_names

if TYPE_CHECKING:
    from madvision_assets.lineage.queries import VideoLineage

__all__ = ["Workplace", "main"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="madvision-assets")
def main() -> None:
    """Videos in, insightful clips out."""


@main.command()
@click.argument("named", metavar="VIDEO...", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["tree", "table", "json", "csv", "mermaid"]), default="tree")
@told_plainly
def lineage(named: tuple[str, ...], form: str) -> None:
    """Print from which exact versions, model and prompt each stage of a video was made; - takes names from stdin.

    VIDEO is an ID, a token, an address or file, or the ID of one of its clips, of which the words are told then. A name
    that leads nowhere is told, does not end the others, and makes the command end with 1.
    """
    from madvision_assets.lineage import render

    several = len(named) > 1 or naming.STANDARD_INPUT in named
    if several and form == "mermaid":
        raise click.UsageError("A Mermaid chart is of one video; name one, or take another --format.")
    workplace = Workplace(load_settings())
    if not several:
        told: list[VideoLineage | naming.NotFound] = [_lineage(workplace, naming.find(workplace, named[0]))]
    else:
        told = [_lineage_or_why_not(workplace, each) for each in naming.find_each(workplace, named)]
    found = [each for each in told if not isinstance(each, naming.NotFound)]
    if form == "tree":
        for each in found:
            make_console().print(render.to_tree(each))
    elif form == "json" and several:
        every = [e.as_json() if isinstance(e, naming.NotFound) else e.model_dump(mode="json") for e in told]
        echo(json.dumps(every, indent=2))
    elif found:
        of_several = {"table": render.to_table, "csv": render.to_csv}
        of_one = {"json": render.to_json, "mermaid": render.to_mermaid}
        echo(of_several[form](*found) if form in of_several else of_one[form](found[0]))
    naming.end_where_not_found(told)


def _lineage(workplace: Workplace, named: naming.Named) -> "VideoLineage":
    from madvision_assets.lineage.queries import video_lineage

    return video_lineage(workplace.database, workplace.store, named.clip_id or named.video_id)


def _lineage_or_why_not(
    workplace: Workplace, found: naming.Named | naming.NotFound
) -> "VideoLineage | naming.NotFound":
    """What one of several has; a video whose lineage cannot be read is told as one that there is none of."""
    if isinstance(found, naming.NotFound):
        return found
    try:
        return _lineage(workplace, found)
    except Failure as failure:
        return naming.NotFound(found.clip_id or found.video_id, failure.code, str(failure))


@main.command()
@queue.as_format
@told_plainly
def doctor(form: str) -> None:
    """Check packages, ffmpeg, model, key, database, store and queue, and tell what to do about each."""
    from madvision_assets.domain.health import Health
    from madvision_assets.tools.cluster import pod_findings
    from madvision_assets.tools.speech.registry import find_engine
    from madvision_assets.work.doctor import (
        examine,
        faces,
        packages,
        takes_part_in_processing,
        traces,
        variables,
    )

    settings = load_settings()
    on_cluster = settings.executor is Executor.K8S
    engine = find_engine(settings.whisper_engine)
    installed = packages(engine.extra, transcript_elsewhere=on_cluster)
    findings = [installed, *variables(present_names(), variable_names()), *traces(settings.no_collector)]
    if installed.health is Health.OK:  # without them nothing else can be looked at
        workplace = Workplace(settings, prepare=False)
        findings += examine(workplace.probes())
        findings += [faces()] if takes_part_in_processing() else []
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
@queue.as_format
@told_plainly
def migrate(form: str) -> None:
    """Bring the database's tables to this version."""
    workplace = Workplace(load_settings(), prepare=False)
    workplace.database.migrate()
    newer, state = workplace.database.newer_tables(), workplace.database.schema_state()
    told = {"database": workplace.database.url, "revision": state.current, "newer": newer}
    answer(form, told, newer or f"The tables at {workplace.database.url} are up to date.")


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
    catalogue.catalogue,
    clips.clips,
    edit.edit,
    edit.labels,
    forget.forget,
    mcp_server.mcp,
    process.process,
    query.query,
    stale.stale,
    store.store,
    transcript.transcript,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
