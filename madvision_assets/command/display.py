"""What the command line shows: progress by stage, the table of clips, the doctor's findings, failures."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from madvision_assets.domain.clips import Clips, Role
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failure_records import failure_of, from_text
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.health import Finding, Health
from madvision_assets.domain.redaction import visible
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.wording import timecode
from madvision_assets.settings import SettingsError
from madvision_assets.tools.store.objects import ObjectStore

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT
UNBROKEN = 1000  # columns
WIDE_ENOUGH = 150  # columns in which paths still fit into the table
# Whether a program was told something already: what it reads is one document.
_ANSWERED: ContextVar[bool] = ContextVar("answered", default=False)
STYLES = {Health.OK: "green", Health.WARNING: "yellow", Health.FAILED: "red"}


class StageDisplay:
    """A bar for each stage on a terminal; a line for each finished stage elsewhere."""

    def __init__(self, console: Console, steps: Sequence[PipelineStep]) -> None:
        self._console = console
        self._width = max(len(step) for step in PipelineStep)
        self._started: dict[PipelineStep, float] = {}
        self._ended: set[PipelineStep] = set()
        self._bars = Progress(
            TextColumn("{task.fields[step]}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", style="dim", markup=False),
            console=console,
        )
        self._tasks: dict[PipelineStep, TaskID] = {
            step: self._bars.add_task("", start=False, total=1.0, step=step.value.ljust(self._width), said="waiting")
            for step in (steps if console.is_terminal else ())
        }

    def report(self, _video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
        """The progress sink of a run."""
        if step not in self._started:
            self._started[step] = time.monotonic()
            if step in self._tasks:
                self._bars.start_task(self._tasks[step])
        if step in self._tasks:
            self._bars.update(self._tasks[step], completed=fraction, said=text)
        elif fraction >= 1.0 and step not in self._ended:
            self._ended.add(step)
            took_s = time.monotonic() - self._started[step]
            self._console.print(f"{step.value.ljust(self._width)}  done in {took_s:.1f} s")

    @contextmanager
    def shown(self) -> Iterator[Callable[[str, PipelineStep, float, str], None]]:
        """Show it while a run goes on; gives the sink."""
        if not self._tasks:
            yield self.report
            return
        with self._bars:
            yield self.report


def show_clips(console: Console, clips: Clips, store: ObjectStore) -> None:
    """The clips: title, from-to, score, file; on a narrow terminal the files stand below, each on a line of its own."""
    files = {clip.rank: place_of(store, clip.file(Role.SOURCE)) for clip in clips.clips}
    in_table = console.width >= WIDE_ENOUGH
    count = len(clips.clips)
    table = Table(title=Text(f"{count} clip{'s' * (count != 1)} of {clips.video_id}"))
    for name, justify in (
        ("#", "right"),
        ("Title", "left"),
        ("From-to", "left"),
        ("Seconds", "right"),
        ("Score", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=name == "From-to")  # type: ignore[arg-type] # rich's Literal
    if in_table:
        table.add_column("File", overflow="fold")
    for clip in clips.clips:
        span = f"{timecode(clip.start_s)}-{timecode(clip.end_s)}"
        row = [str(clip.rank), clip.title, span, f"{clip.duration_s:.1f}", f"{clip.score:.2f}"]
        table.add_row(*map(Text, [*row, files[clip.rank]] if in_table else row))
    console.print(table)
    if not in_table:
        for rank, file in files.items():
            console.print(f"{rank}  {file}", soft_wrap=True)
    for failed in clips.failed:
        sentence = failure_of(failed.cause, failed.details)
        console.print(Text(f"Clip {failed.rank} could not be made: {failed.title}. {sentence}"))
    for clip in clips.clips:
        for role, why in clip.failed.items():
            console.print(Text(f"Clip {clip.rank} is without {role}. {from_text(why)}"))
    if clips.provisional:
        console.print("Provisional: rules chose these moments, for want of a language model.")


def place_of(store: ObjectStore, file: ObjectRef | None) -> str:
    """Where an object is: its path in a folder store, else its address."""
    return str(store.local_path(file.key) or store.uri(file.key)) if file else "(no such file)"


def findings_table(findings: Iterable[Finding]) -> Table:
    """The doctor's findings."""
    table = Table(title="madvision doctor")
    for column in ("Part", "State", "Found", "What to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        state = Text(finding.health.value, STYLES[finding.health])
        table.add_row(finding.part, state, Text(finding.found), Text(finding.remedy))
    return table


class VisibleConsole(Console):
    """A console that shows foreign words and obeys none: titles, file names and answers may hold escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """As rich does, with what a terminal would obey made visible; rich's own styles and moves are not text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text as it is, but for what a terminal would obey."""
    if not err:
        _ANSWERED.set(True)
    click.echo(visible(text), err=err, nl=nl)


def make_console(*, stderr: bool = False) -> Console:
    """A console; where no terminal tells a width, wide enough that nothing is broken."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNBROKEN
    # No markup: titles, addresses and paths are foreign words, and may look like it.
    return VisibleConsole(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def tell(console: Console, label: str, style: str, text: str) -> None:
    """A line that begins with a coloured word."""
    console.print(Text.assemble((label, style), " ", text), soft_wrap=True)


def answer(form: str, told: Any, sentence: str) -> None:
    """What a command came to: a sentence for a person, or a document for a program."""
    echo(json.dumps(told, indent=2) if form == "json" else sentence)


def failure_as_json(cause: str, sentence: str) -> dict[str, Any]:
    """How a failure is told to a program, wherever one is told."""
    return {"failure": {"cause": cause, "sentence": sentence}}


def told_plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Failures leave as a sentence and an exit code, never as a traceback.

    With ``--format json`` they are the document on standard output besides, if nothing of another was written.
    """

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        def end(label: str, style: str, cause: str, sentence: str, code: int) -> None:
            for_program(cause, sentence)
            tell(make_console(stderr=True), label, style, sentence)
            sys.exit(code)

        def for_program(cause: str, sentence: str) -> None:
            if kwargs.get("form") == "json" and not _ANSWERED.get():
                answer("json", failure_as_json(cause, sentence), "")

        _ANSWERED.set(False)
        try:
            command(*args, **kwargs)
        except Failure as failure:
            end(f"{failure.code}:", "red", failure.code, str(failure), EXIT_FAILED)
        except KeyboardInterrupt:
            going_on = "What is finished is kept; the same command goes on from there."
            end("Stopped.", "yellow", "interrupted", going_on, EXIT_INTERRUPTED)
        except (SettingsError, ValueError) as error:
            end("error:", "red", "usage", str(error), EXIT_USAGE)
        except click.ClickException as error:  # click tells it
            for_program("usage" if isinstance(error, click.UsageError) else "refused", error.format_message())
            raise

    return wrapper


def local_time(moment: datetime) -> str:
    """A time for a person."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
