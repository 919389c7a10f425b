"""The ``madvision`` command."""

import hashlib
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from madvision_assets.display import StageDisplay, findings_table, make_console, show_clips, tell
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failures import Failure, HomeUnusableError, without_secrets
from madvision_assets.domain.provenance import Provenance, pending_steps
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.video import Video, canonical_address, file_video_id
from madvision_assets.settings import Settings, SettingsError, load_settings

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT
ROOT = Path(__file__).resolve().parents[1]


def told_plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Failures leave as a sentence and an exit code, never as a traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Failure as failure:
            tell(make_console(stderr=True), f"{failure.code}:", "red", str(failure))
            sys.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            going_on = "What is finished is kept; the same command goes on from there."
            tell(make_console(stderr=True), "Stopped.", "yellow", going_on)
            sys.exit(EXIT_INTERRUPTED)
        except (SettingsError, ValueError) as error:
            tell(make_console(stderr=True), "error:", "red", str(error))
            sys.exit(EXIT_USAGE)

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="madvision-assets")
def main() -> None:
    """Videos in, insightful clips out."""


@main.command()
@click.argument("source", metavar="URL_OR_FILE")
@click.option(
    "--from",
    "from_step",
    type=click.Choice([step.value for step in PipelineStep]),
    help="Do this stage and all later ones again, even where they are done.",
)
@told_plainly
def process(source: str, from_step: str | None) -> None:
    """Run one video here and now, and print its clips.

    Stages that are done already are not done again. Ends with 0 also where there is honestly nothing to cut.
    """
    console = make_console()
    settings = load_settings()
    workplace = Workplace(settings)
    video = workplace.register(source)
    steps = workplace.pending(video.video_id, PipelineStep(from_step) if from_step else None)
    tell(console, f"Video {video.video_id}:", "bold", without_secrets(video.address))
    for step, provenance in workplace.current(video.video_id).items():
        if provenance is not None and step not in steps:
            console.print(f"{step.value.ljust(15)}  already done {local_time(provenance.created_at)}, not done again")
    if steps:
        display = StageDisplay(console, steps)
        with display.shown() as sink:
            report = workplace.run(video.video_id, steps, sink)
        for warning in report.warnings:
            tell(console, "warning:", "yellow", warning)
        if report.failure is not None:
            label = f"{report.failure.step} failed ({report.failure.cause}):"
            tell(make_console(stderr=True), label, "red", report.failure.sentence)
            sys.exit(EXIT_FAILED)
    else:
        console.print("All five stages are done; nothing to do. Use --from STEP to do one again.")
    made = workplace.clips(video.video_id)
    if made.clips:
        show_clips(console, made, workplace.store)
    else:
        tell(console, f"No clips ({made.outcome.value}):", "bold", made.outcome_reason)


@main.command()
@click.argument("source", metavar="URL_OR_FILE")
@told_plainly
def submit(source: str) -> None:
    """Register a video, so that its partition can be materialised in the Dagster UI."""
    workplace = Workplace(load_settings())
    video = workplace.register(source)
    workplace.add_partition(video.video_id)
    click.echo(f"{video.video_id} is registered: {without_secrets(video.address)}")


@main.command()
@click.argument("identity", metavar="VIDEO_OR_CLIP_ID")
@click.option("--format", "form", type=click.Choice(["tree", "table", "json", "csv", "mermaid"]), default="tree")
@told_plainly
def lineage(identity: str, form: str) -> None:
    """Print from which exact versions, model and prompt each stage of a video was made."""
    from madvision_assets.lineage import render
    from madvision_assets.lineage.queries import video_lineage

    workplace = Workplace(load_settings())
    found = video_lineage(workplace.database, workplace.store, identity)
    if form == "tree":
        make_console().print(render.to_tree(found))
        return
    text = {"table": render.to_table, "json": render.to_json, "csv": render.to_csv, "mermaid": render.to_mermaid}
    click.echo(text[form](found))


@main.command()
@told_plainly
def doctor() -> None:
    """Check packages, ffmpeg, model, key, database and store, and tell what to do about each."""
    from madvision_assets.tools.doctor import Health, examine, packages

    findings = [packages()]
    if findings[0].health is Health.OK:  # without them nothing else can be looked at
        findings += examine(Workplace(load_settings(), prepare=False).probes())
    make_console().print(findings_table(findings))
    failed = [f.part for f in findings if f.health is Health.FAILED]
    if failed:
        click.echo(f"Not ready: {', '.join(failed)}.", err=True)
        sys.exit(EXIT_FAILED)
    click.echo("Ready.")


@main.command()
@told_plainly
def migrate() -> None:
    """Bring the database's tables to this version."""
    workplace = Workplace(load_settings(), prepare=False)
    workplace.database.migrate()
    click.echo(f"The tables at {workplace.database.url} are up to date.")


class Workplace:
    """What the commands work with, made from settings."""

    def __init__(self, settings: Settings, *, prepare: bool = True) -> None:
        from madvision_assets.defs import resources

        self.settings = settings
        self.store = resources.make_store(settings)
        self.database = resources.make_database(settings)
        if prepare:
            make_home(settings.home_folder)
            self.database.ensure_schema()

    def register(self, source: str) -> Video:
        """The row of an address or a local file, made on first sight."""
        video_id, address = identify(source)
        return self.database.add_video(video_id, address)

    def current(self, video_id: str) -> dict[PipelineStep, Provenance | None]:
        """For each stage the provenance of its newest document; None where there is none that can be read."""
        from madvision_assets.tools.store.documents import current_provenance

        return {step: current_provenance(self.store, step, video_id) for step in PipelineStep}

    def pending(self, video_id: str, from_step: PipelineStep | None) -> tuple[PipelineStep, ...]:
        """The stages that are still to be done."""
        return pending_steps(self.current(video_id), from_step)

    def run(self, video_id: str, steps: tuple[PipelineStep, ...], sink: Any) -> Any:
        """Materialise these stages in this process."""
        from madvision_assets.definitions import build_defs
        from madvision_assets.defs.launch import open_instance, run_video
        from madvision_assets.defs.workbench import Workbench

        bench = Workbench(self.store, self.settings.work_folder, sink)
        definitions = build_defs(self.settings, {"bench": bench})
        with open_instance(self.dagster_folder, ROOT / "dagster.yaml") as instance:
            return run_video(definitions, instance, video_id, steps)

    @property
    def dagster_folder(self) -> Path:
        """The Dagster instance: DAGSTER_HOME, else below our own home."""
        return self.settings.dagster_home or self.settings.home_folder / "dagster"

    def add_partition(self, video_id: str) -> None:
        """Make a video known to Dagster."""
        from madvision_assets.defs.launch import add_partition, open_instance

        with open_instance(self.dagster_folder, ROOT / "dagster.yaml") as instance:
            add_partition(instance, video_id)

    def clips(self, video_id: str) -> Clips:
        """The newest clips of a video."""
        from madvision_assets.tools.store.documents import read_current

        return read_current(self.store, Clips, video_id)

    def probes(self) -> dict[str, Any]:
        """What the doctor looks at, in the order it tells."""
        from madvision_assets.defs import resources
        from madvision_assets.tools.media import ffmpeg

        analyst = resources.make_analyst(self.settings, self.database)
        return {
            "ffmpeg": lambda: (True, ffmpeg.version()),
            "Whisper model": resources.make_speech(self.settings).check,
            "analyst": lambda: (True, analyst.check()),
            "database": self._check_database,
            "store": self._check_store,
        }

    def _check_database(self) -> tuple[bool, str]:
        self.database.ensure_schema()
        self.database.check()
        return True, self.database.url

    def _check_store(self) -> tuple[bool, str]:
        self.store.check()
        return True, self.store.url


def identify(source: str) -> tuple[str, str]:
    """Video ID and address of what was typed: an ``http(s)`` address, or a file on this machine.

    Raises:
        InvalidAddressError: it begins like an address and is none.
        click.BadParameter: it is neither, or the file cannot be read.
    """
    if source.strip().lower().startswith(("http://", "https://")):
        from madvision_assets.tools.download import identify as identify_address

        address = canonical_address(source)
        return identify_address(address), address
    try:
        path = Path(source).expanduser().resolve()
        if not path.is_file():
            raise FileNotFoundError
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "there is no such file"
        raise click.BadParameter(
            f"{source[:200]!r} is neither a file on this machine that can be read ({reason}) "
            "nor an http:// or https:// address.",
            param_hint="URL_OR_FILE",
        ) from error
    return file_video_id(digest), path.as_uri()


def make_home(folder: Path) -> None:
    """Make the folder of local state.

    Raises:
        HomeUnusableError: it cannot be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnusableError(f"{folder}: {os.strerror(error.errno or 0)}") from error
    if not os.access(folder, os.W_OK):
        raise HomeUnusableError(f"{folder} cannot be written to")


def local_time(moment: datetime) -> str:
    """A time for a person."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


if __name__ == "__main__":
    main()
