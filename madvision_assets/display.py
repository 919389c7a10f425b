"""What the command line shows: progress by stage, the table of clips, the doctor's findings."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.tools.doctor import Finding, Health
from madvision_assets.tools.store.objects import ObjectStore

MINUTE_S = 60
HOUR_S = 3600
STYLES = {Health.OK: "green", Health.WARNING: "yellow", Health.FAILED: "red"}


class StageDisplay:
    """A bar for each stage on a terminal; a line for each finished stage elsewhere."""

    def __init__(self, console: Console, steps: Sequence[PipelineStep]) -> None:
        self._console = console
        self._width = max(len(step) for step in PipelineStep)
        self._started: dict[PipelineStep, float] = {}
        self._bars = Progress(
            TextColumn("{task.fields[step]}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[said]}"),
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
        elif fraction >= 1.0:
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


def clips_table(clips: Clips, store: ObjectStore) -> Table:
    """The clips: title, from-to, score, file."""
    table = Table(title=f"{len(clips.clips)} clips of {clips.video_id}")
    table.add_column("#", justify="right")
    table.add_column("Title", overflow="fold")
    table.add_column("From-to", no_wrap=True)
    table.add_column("Seconds", justify="right")
    table.add_column("Score", justify="right")
    table.add_column("File", overflow="fold")
    for clip in clips.clips:
        local = store.local_path(clip.media.key)
        table.add_row(
            str(clip.rank),
            clip.title,
            f"{timecode(clip.start_s)}-{timecode(clip.end_s)}",
            f"{clip.duration_s:.1f}",
            f"{clip.score:.2f}",
            str(local or store.uri(clip.media.key)),
        )
    return table


def findings_table(findings: Iterable[Finding]) -> Table:
    """The doctor's findings."""
    table = Table(title="madvision doctor")
    for column in ("Part", "State", "Found", "What to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        style = STYLES[finding.health]
        table.add_row(finding.part, f"[{style}]{finding.health.value}[/]", finding.found, finding.remedy)
    return table


def timecode(time_s: float) -> str:
    """Seconds as ``m:ss.t``, or ``h:mm:ss.t`` from an hour on."""
    tenths = round(time_s * 10)
    hours, rest = divmod(tenths, HOUR_S * 10)
    minutes, rest = divmod(rest, MINUTE_S * 10)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def make_console(*, stderr: bool = False) -> Console:
    """A console; where no terminal tells a width, wide enough that nothing is broken."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, soft_wrap=False, width=None if stream.isatty() else 1000, highlight=False)
