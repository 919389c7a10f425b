"""The commands for whoever makes the system larger: pools, cost, archive."""

import json
import re
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from madvision_assets.command.display import answer, echo, make_console, tell, told_plainly
from madvision_assets.command.group import Group
from madvision_assets.command.queue import as_format
from madvision_assets.command.workplace import ROOT, Workplace
from madvision_assets.domain.costs import Plan
from madvision_assets.domain.prices import GPUS, PRICES, Price, with_other_prices
from madvision_assets.domain.sizing import Load
from madvision_assets.settings import load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

MAX_LIMIT = 1000  # Dagster's own, for one pool
AGE = re.compile(r"(\d{1,5})([hdw])")
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType[timedelta]):
    """``36h``, ``30d`` or ``2w``, as a timedelta."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The time that it means."""
        matched = AGE.fullmatch(value)
        if matched is None:
            self.fail(f"{value!r} is no age: give 36h, 30d or 2w.", param, ctx)
        return timedelta(**{UNITS[matched[2]]: int(matched[1])})


# --- pools ---


@click.group(cls=Group, invoke_without_command=True)
@as_format
@click.pass_context
@told_plainly
def pools(context: click.Context, form: str) -> None:
    """Show what bounds the stages that run at once, or set a bound."""
    if context.invoked_subcommand is not None:
        return
    from madvision_assets.command.display_scale import PoolsView
    from madvision_assets.defs import dagster_inside
    from madvision_assets.defs import pools as known

    workplace = Workplace(load_settings(), prepare=False)
    in_flight = workplace.settings.max_in_flight
    with _instance(workplace) as instance:
        standing, runs = known.read_pools(instance), dagster_inside.max_concurrent_runs(instance)
    view = PoolsView(standing, in_flight, runs, known.hints(standing, in_flight, runs))
    if form == "json":
        echo(json.dumps(view.as_json(), indent=2))
    else:
        view.show(make_console())


@pools.command("set")
@click.argument("name")
@click.argument("limit", type=click.IntRange(0, MAX_LIMIT))
@as_format
@told_plainly
def set_pool(name: str, limit: int, form: str) -> None:
    """Let so many stages of a pool run at once; 0 pauses it.

    It holds from the next stage on that begins; what runs is not stopped.
    """
    from madvision_assets.defs import dagster_inside
    from madvision_assets.defs import pools as known

    workplace = Workplace(load_settings(), prepare=False)
    with _instance(workplace) as instance:
        before = {pool.name: pool.limit for pool in known.read_pools(instance)}
        if name not in before:
            raise click.BadParameter(f"There is no pool {name[:100]!r}. Pools: {', '.join(before)}.", param_hint="NAME")
        known.set_limit(instance, name, limit)
        standing = known.read_pools(instance)
        told = known.hints(standing, workplace.settings.max_in_flight, dagster_inside.max_concurrent_runs(instance))
    sentence = f"{name}: {limit} instead of {before[name]}, from the next stage on that begins; what runs goes on."
    answer(form, {"pool": name, "limit": limit, "before": before[name], "notes": list(told)}, sentence)
    for hint in told:
        tell(make_console(stderr=True), "note:", "yellow", hint)


# --- cost ---


@click.group(cls=Group)
def cost() -> None:
    """Reckon what a load costs and needs."""


def _plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that describe a plan; the defaults are those of the model."""
    number, plan = click.FLOAT, Plan(Load(1.0))
    options = [
        click.option("--hours-per-day", type=number, required=True, help="Hours of video a day."),
        click.option(
            "--utilisation", type=number, default=plan.load.utilisation, help="Share of time a worker is busy."
        ),
        click.option("--peak", type=number, default=plan.load.peak, help="The busiest hour, in means."),
        click.option("--video-minutes", type=number, default=plan.video_minutes, help="Mean length of a video."),
        click.option("--bitrate-mbps", type=number, default=plan.bitrate_mbps, help="Of videos and clips, Mbit/s."),
        click.option("--clips-per-video", type=number, default=plan.clips_per_video),
        click.option("--clip-seconds", type=number, default=plan.clip_seconds, help="Mean length of a clip."),
        click.option(
            "--views-per-clip", type=number, default=plan.views_per_clip, help="Fetched so often from outside."
        ),
        click.option("--retention-days", type=number, default=plan.retention_days, help="Media are kept so long."),
        click.option("--gpu", type=click.Choice(GPUS), default=plan.gpu, help="Machine of the transcripts."),
        click.option("--spot", is_flag=True, help="Machines that may be taken away, at a lower price."),
        click.option(
            "--pod-start-s", type=number, default=plan.pod_start_s, help="Until a stage's pod works, seconds."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cost.command("estimate", context_settings={"show_default": True})
@_plan_options
@click.option("--real-time-factor", type=float, help="Seconds of speech transcribed in a second. [default: 5.5]")
@click.option("--model", help="That reads the transcripts. [default: MADVISION_OPENAI_MODEL]")
@click.option("--offline", is_flag=True, help="The analyst without a model.")
@click.option("--measured", is_flag=True, help="What the stages took and cost so far, instead of what is assumed.")
@click.option(
    "--prices", "listed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML: name = USD."
)
@as_format
@told_plainly
def estimate_cost(
    real_time_factor: float | None,
    model: str | None,
    offline: bool,
    measured: bool,
    listed: Path | None,
    form: str,
    **given: Any,
) -> None:
    """Estimate what a load costs on AWS, and how many workers it needs.

    Prices are list prices, to be checked; --prices puts other ones in place.
    """
    from madvision_assets.command.display_scale import estimate

    if measured and (real_time_factor is not None or offline or model is not None):
        raise click.UsageError(
            "--measured knows speed and model; leave --real-time-factor, --model and --offline away."
        )
    if offline and model is not None:
        raise click.UsageError("Give either --model or --offline.")
    load = Load(given.pop("hours_per_day"), given.pop("utilisation"), given.pop("peak"))
    if real_time_factor is not None:
        given["real_time_factor"] = real_time_factor
    settings = load_settings()
    chosen = None if offline else model or settings.openai_model
    plan = Plan(load, **given, model=chosen, measured=_measured() if measured else None)
    found = estimate(plan, _prices(listed))
    if form == "json":
        echo(json.dumps(found.as_json(), indent=2))
    else:
        found.show(make_console())


def _measured() -> Any:
    """What this installation's stages took.

    Raises:
        ValueError: nothing is measured yet.
    """
    from madvision_assets.work.measured import measure

    workplace = Workplace(load_settings())
    found = measure(workplace.database, workplace.store)
    if found is None:
        raise ValueError("No video has all its stages yet, so nothing is measured: leave --measured away.")
    return found


def _prices(listed: Path | None) -> dict[str, Price]:
    """The price table, models among them, with what a file puts in place.

    Raises:
        ValueError: the file cannot be understood; says where.
    """
    from madvision_assets.tools.analyst.models import Models

    table = dict(PRICES)
    for model, price in Models(load_settings().models_file).prices().items():
        for kind, usd in (("input", price.input), ("output", price.output)):
            table[f"{model}.{kind}"] = Price(usd, "million tokens", "OpenAI, API pricing (tools/analyst/models.toml)")
    if listed is None:
        return table
    try:
        others = tomllib.loads(listed.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{listed} cannot be read as TOML: {error}") from error
    return with_other_prices(table, others, str(listed))


# --- archive ---


@click.command()
@click.option("--older-than", "age", type=Age(), required=True, metavar="AGE", help="Ended so long ago: 36h, 30d, 2w.")
@click.option(
    "--keep", type=click.IntRange(0), default=0, show_default=True, help="So many partitions stay in any case."
)
@click.option("--runs", "with_runs", is_flag=True, help="Delete their Dagster runs and events too.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_format
@told_plainly
def archive(age: timedelta, keep: int, form: str, *, with_runs: bool, dry_run: bool, yes: bool) -> None:
    """Take videos that ended long ago out of Dagster; those that ended first go first.

    Their rows, clips, documents, tokens and lineage stay. Requeued, a video gets its partition back.
    """
    from madvision_assets.defs.archive import plan_archive
    from madvision_assets.tools.database.ended import Ended

    if form == "json" and not yes and not dry_run:
        raise click.UsageError("With --format json nobody can be asked: add --yes, or --dry-run.")
    workplace = Workplace(load_settings())
    ended = Ended(workplace.database, datetime.now(UTC) - age)
    with _instance(workplace) as instance:
        plan = plan_archive(instance, ended, keep)
        losing = " and their runs" if with_runs else ""
        if form != "json":
            echo(f"{plan.partitions:,} partitions; {len(plan.video_ids):,} can be archived{losing}.")
        told = {"partitions": plan.partitions, "can_be_archived": len(plan.video_ids)}
        if not dry_run and plan.video_ids:
            if not yes:
                click.confirm("Go on?", abort=True)
            told |= _archive(instance, ended, plan.video_ids, form, with_runs=with_runs)
    if form == "json":
        echo(json.dumps({"archived": 0, "runs_deleted": 0, "left_alone": 0, **told}, indent=2))


def _archive(
    instance: "DagsterInstance", ended: Any, video_ids: tuple[str, ...], form: str, *, with_runs: bool
) -> dict[str, int]:
    from rich.progress import track

    from madvision_assets.defs.archive import BATCH, archive

    began_s = time.monotonic()
    console = make_console(stderr=form == "json")
    batches = archive(instance, ended, video_ids, with_runs=with_runs)
    shown = track(batches, "Archiving", -(-len(video_ids) // BATCH), console=console, disable=not console.is_terminal)
    done = list(shown)
    archived, left, runs = (sum(getattr(each, name) for each in done) for name in ("archived", "left_alone", "runs"))
    deleted = f", {runs:,} runs deleted" if with_runs else ""
    if form != "json":
        echo(f"{archived:,} video{'s' * (archived != 1)} archived{deleted}, in {time.monotonic() - began_s:.1f} s.")
    if left:
        tell(
            make_console(stderr=True),
            "note:",
            "yellow",
            f"Left alone, since somebody started or queued them: {left:,}.",
        )
    return {"archived": archived, "runs_deleted": runs, "left_alone": left}


@contextmanager
def _instance(workplace: Workplace) -> "Iterator[DagsterInstance]":
    """The Dagster instance of this installation."""
    from madvision_assets.defs.launch import open_instance

    with open_instance(workplace.dagster_folder, ROOT / "dagster.yaml") as instance:
        yield instance


COMMANDS = (pools, cost, archive)
