"""What the command line shows of the queue: receipts, the whole, one video."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from madvision_assets.command.display import echo, local_time, tell
from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.breakers import Breaker
from madvision_assets.domain.failure_records import failure_of
from madvision_assets.domain.operator_pages import run_page
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.summaries import About
from madvision_assets.domain.video import Video
from madvision_assets.domain.wording import shortened
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.newest import about_videos
from madvision_assets.tools.database.operations import Attempt, Operations, QueueCount
from madvision_assets.tools.database.queue import Queue, utc_now
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import Receipt

# So many breakers are shown; there is one for each host that turns us away.
MAX_BREAKERS = 10
# What one statement asks of: no database takes endlessly many.
NAMED_AT_ONCE = 1000
# Columns below which IDs would be folded, and could not be copied.
NARROW = 100
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
STYLES = {
    QueueStatus.RUNNING: "cyan",
    QueueStatus.DONE: "green",
    QueueStatus.WAITING: "yellow",
    QueueStatus.PARKED: "red",
    QueueStatus.FAILED: "red",
}
# Of most IDs, and of the longest status.
ID_CHARS, STATUS_CHARS = 21, 7
GAP = "  "


class View(Protocol):
    """Something to show to a person or to a program."""

    def show(self, console: Console) -> None:
        """For a person."""

    def as_json(self) -> dict[str, Any]:
        """For a program."""


class ReceiptPrinter:
    """Prints receipts as they come: tokens are shown once, so none may be lost where the command is broken off."""

    def __init__(self, console: Console, form: str) -> None:
        self._console = console
        self._as_json = form == "json"
        self._printed = 0

    def __enter__(self) -> Self:
        """Begins."""
        if self._as_json:
            echo("[", nl=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends."""
        if self._as_json:
            echo("\n]" if self._printed else "]")

    def print(self, receipts: Sequence[Receipt]) -> None:
        """Print some more."""
        for receipt in receipts:
            row = receipt.row
            if self._as_json:
                told = {"video_id": row.video_id, "token": receipt.token, "status": row.status.value}
                echo(("," if self._printed else "") + "\n  " + json.dumps(told), nl=False)
            else:
                if self._console.is_terminal and not self._printed:
                    tell(self._console, self._line("Video", "Status", "Token"), "bold", "")
                self._console.print(self._line(row.video_id, row.status.value, receipt.token), soft_wrap=True)
            self._printed += 1

    @staticmethod
    def _line(video_id: str, status: str, token: str) -> str:
        return GAP.join([video_id.ljust(ID_CHARS), status.ljust(STATUS_CHARS), token])


@dataclass(frozen=True)
class QueueView:
    """How the queue stands.

    Attributes:
        counts: of all videos.
        rows: the most urgent of those that were asked for.
        wanted: how many were asked for in all.
        now: when it was looked at.
        titles: of the rows' videos, by their IDs, as far as they are known.
    """

    counts: Sequence[QueueCount]
    breakers: Sequence[Breaker]
    rows: Sequence[QueueRow]
    wanted: int
    now: datetime
    titles: Mapping[str, str] = field(default_factory=dict)

    def show(self, console: Console) -> None:
        """Counts, breakers and the most urgent videos, as tables."""
        if not self.counts:
            console.print("The queue is empty. Fill it with: madvision submit URL_OR_FILE", soft_wrap=True)
        else:
            total = sum(count.count for count in self.counts)
            table = _table(f"{total:,} videos in the queue" if total != 1 else "1 video in the queue")
            for name in ("Status", "Next or last step", "Cause"):
                table.add_column(name, overflow="fold")
            table.add_column("Videos", justify="right", no_wrap=True)
            for each in self.counts:
                cells = (_status(each.status), Text(each.pipeline_step), Text(each.failure_cause or ""))
                table.add_row(*cells, f"{each.count:,}")
            console.print(table)
        if self.breakers:
            _show_breakers(console, self.breakers, self.now)
        if self.rows:
            shown = f"{len(self.rows):,} of {self.wanted:,}" if len(self.rows) < self.wanted else f"{self.wanted:,}"
            heading = f"{shown} video{'s' * (self.wanted != 1)}, most urgent first"
            _show_rows(console, heading, self.rows, self.now, self.titles)
        elif self.counts:
            console.print("No video is like that.")

    def as_json(self) -> dict[str, Any]:
        """The same, whole."""
        return {
            "counts": [count.model_dump(mode="json") for count in self.counts],
            "breakers": [_breaker_as_json(breaker) for breaker in self.breakers],
            "videos": [row.model_dump(mode="json") for row in self.rows],
            "wanted": self.wanted,
        }


@dataclass(frozen=True)
class VideoView:
    """How one video stands.

    Attributes:
        row: None where it was never queued.
        dagster_url: where Dagster's UI is; None where nobody said so.
    """

    video: Video
    row: QueueRow | None
    about: About
    attempts: Sequence[Attempt]
    now: datetime
    dagster_url: str | None = None

    def show(self, console: Console) -> None:
        """What is known of it, then its history."""
        tell(console, f"Video {self.video.video_id}:", "bold", _plain(public_address(self.video.address)))
        for label, text in _names(self.about):
            tell(console, f"{label}:".ljust(11), "dim", text)
        if self.row is None:
            console.print(f"It was never queued. Queue it with: madvision requeue --video {self.video.video_id}")
            return
        for label, text in _facts(self.row, self.attempts, self.now):
            tell(console, f"{label}:".ljust(11), "dim", text)
        if url := run_page(self.dagster_url, self.row.run_id):
            tell(console, "In Dagster:", "dim", url)
        if self.attempts:
            _show_attempts(console, self.attempts, self.now)

    def as_json(self) -> dict[str, Any]:
        """The same."""
        row = self.row
        return {
            **self.video.model_dump(mode="json"),
            "address": public_address(self.video.address),
            "about": self.about.model_dump(mode="json"),
            "queue": row.model_dump(mode="json") if row else None,
            "failure": _sentence(row.failure_cause, row.failure_details) if row else None,
            "run_url": run_page(self.dagster_url, row.run_id) if row else None,
            "attempts": [
                {**attempt.model_dump(mode="json"), "run_url": run_page(self.dagster_url, attempt.run_id)}
                for attempt in self.attempts
            ],
        }


def look_at_queue(
    operations: Operations, status: QueueStatus | None, cause: str | None, limit: int, named_by: Database | None = None
) -> QueueView:
    """How the queue stands, and the most urgent videos of a state or a cause; with their titles where those are had."""
    counts = operations.counts()
    wanted = [c.count for c in counts if status in {None, c.status} and cause in {None, c.failure_cause}]
    rows = operations.rows(status, cause, limit)
    titles: dict[str, str] = {}
    if named_by is not None:
        for at in range(0, len(rows), NAMED_AT_ONCE):
            found = about_videos(named_by, [row.video_id for row in rows[at : at + NAMED_AT_ONCE]])
            titles |= {video_id: about.title for video_id, about in found.items()}
    return QueueView(counts, operations.open_breakers(), rows, sum(wanted), utc_now(), titles)


def look_at_video(database: Database, video_id: str, dagster_url: str | None = None) -> VideoView:
    """How one video stands, with links to its runs where one knows where Dagster's UI is.

    Raises:
        UnknownVideoError: there is none.
    """
    operations = Operations(database)
    video = database.get_video(video_id)
    row = Queue(database).get(video_id)
    if row is not None:
        shut = {breaker.name: breaker for breaker in operations.open_breakers()}
        row = row.behind(shut.get(row.resource or ""))
    about = about_videos(database, [video_id]).get(video_id, About())
    return VideoView(video, row, about, operations.history(video_id), utc_now(), dagster_url)


def what_to_do(breaker: Breaker) -> str:
    """The sentence of what opened a breaker, and the command that closes it."""
    cause = breaker.cause or "unexpected"
    return f"{_sentence(cause, breaker.details)} Mended? madvision requeue --cause {cause}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago something was."""
    return "" if moment is None else f"{_span((now - moment).total_seconds())} ago"


def when(moment: datetime | None, now: datetime) -> str:
    """In what time something will be."""
    if moment is None or moment <= now:
        return "due"
    return f"in {_span((moment - now).total_seconds())}"


def _span(span_s: float) -> str:
    span_s = max(0.0, span_s)
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if span_s >= 2 * unit_s:
            return f"{span_s // unit_s:.0f} {unit}"
    return f"{span_s:.0f} s"


def _show_breakers(console: Console, breakers: Sequence[Breaker], now: datetime) -> None:
    """What is left alone, each with what to do; as lines, so that the command can be copied."""
    tell(console, "Left alone because it is broken", "italic", "")
    for breaker in breakers[:MAX_BREAKERS]:
        trying = f"tried now by {breaker.probe_video_id}" if breaker.probe_video_id else when(breaker.probe_at, now)
        tell(console, f"{breaker.name}:", "bold", f"open, first {ago(breaker.opened_at, now)}, next try {trying}")
        console.print(f"{GAP}{what_to_do(breaker)}", soft_wrap=True)
    if len(breakers) > MAX_BREAKERS:
        console.print(f"{GAP}and {len(breakers) - MAX_BREAKERS:,} more; --format json lists them all")


def _show_rows(
    console: Console, title: str, rows: Sequence[QueueRow], now: datetime, titles: Mapping[str, str]
) -> None:
    """Videos as a table; on a narrow terminal two lines for each."""
    if console.width < NARROW:
        tell(console, title, "italic", "")
        for row in rows:
            tell(console, row.video_id, "bold", row.status.value)
            if told := titles.get(row.video_id):
                console.print(Text(f"  {_plain(told)}"))
            console.print(Text(f"  {_place(row)}, {_moment(row, now)}  {_told(row)}"))
        return
    table = _table(title)
    table.add_column("Video", overflow="fold", min_width=12)
    for name in ("Status", "Step", "Priority", "When"):
        table.add_column(name)
    table.add_column("What", overflow="fold")
    for row in rows:
        times = (str(row.priority or ""), _moment(row, now))
        named = Text("\n".join(filter(None, (row.video_id, _plain(titles.get(row.video_id, ""))))))
        table.add_row(named, _status(row.status), Text(_place(row)), *times, Text(_told(row)))
    console.print(table)


def _place(row: QueueRow) -> str:
    under_way = f" {row.step_progress:.0%}" if row.status is QueueStatus.RUNNING else ""
    return row.pipeline_step + under_way


def line_of(row: QueueRow) -> str:
    """How a video stands, on a line that changes only when something happens."""
    return GAP.join(filter(None, [row.status.value, _place(row), _told(row)]))


def _told(row: QueueRow) -> str:
    """What is to be said of a row in its state, in a few words."""
    told = row.message if row.status is QueueStatus.RUNNING else row.failure_cause or row.outcome or ""
    return _plain(told)


def _moment(row: QueueRow, now: datetime) -> str:
    """The time that matters in a row's state."""
    if row.status is QueueStatus.RUNNING:
        return f"alive {ago(row.heartbeat_at or row.updated_at, now)}"
    if row.status is QueueStatus.QUEUED:
        return f"since {_span((now - row.next_attempt_at).total_seconds())}"
    return when(row.next_attempt_at, now) if row.status is QueueStatus.WAITING else ago(row.updated_at, now)


def _names(about: About) -> Iterable[tuple[str, str]]:
    if about.title:
        yield "Title", about.title + (f" ({about.uploader})" if about.uploader else "")
    told = [_span(about.duration_s)] if about.duration_s is not None else []
    told += filter(None, (about.language, about.kind))
    if told:
        yield "It is", ", ".join(told)


def _facts(row: QueueRow, attempts: Sequence[Attempt], now: datetime) -> Iterable[tuple[str, str]]:
    told = f", {_plain(row.message)}" if row.message else ""
    yield "Status", f"{row.status} ({_moment(row, now)})"
    yield "Step", f"{row.pipeline_step}, {row.step_progress:.0%} of it, {row.progress:.0%} of all{told}"
    if row.from_step:
        yield "Again from", row.from_step
    if row.failure_cause:
        yield "Cause", f"{row.failure_cause}: {_sentence(row.failure_cause, row.failure_details)}"
    last = attempts[-1] if attempts else None
    if last is not None and last.failure_cause and row.status is QueueStatus.DONE:
        why = f"{last.failure_cause}: {_sentence(last.failure_cause, last.failure_details)}"
        yield "Last try", f"nothing came of it, and what was made before counts. {why}"
    if row.outcome:
        yield "Outcome", f"{row.outcome}: {_plain(row.outcome_reason or '')}"
    yield "Priority", str(row.priority)
    yield "Tries", f"{row.attempt} started, {row.retry} retries used, {row.lost_workers} workers lost on this step"
    if row.run_id:
        yield "Last run", row.run_id
    yield "Submitted", local_time(row.created_at)


def _show_attempts(console: Console, attempts: Iterable[Attempt], now: datetime) -> None:
    """The history as a table; on a narrow terminal a few lines for each attempt."""
    table = _table("History")
    table.add_column("#", justify="right", no_wrap=True)
    for name in ("Started", "Took", "Step", "Then"):
        table.add_column(name)
    table.add_column("Cause", overflow="fold")
    for each in attempts:
        cause = ": ".join(filter(None, [each.failure_cause, shortened(_plain(each.failure_details or ""), 200)]))
        took = _span(((each.ended_at or now) - each.started_at).total_seconds())
        cells = (str(each.attempt), local_time(each.started_at), took, each.pipeline_step.value)
        if console.width < NARROW:
            tell(console, f"#{cells[0]}", "bold", f"{GAP.join(cells[1:])}{GAP}{each.status}{GAP}{cause}")
        else:
            table.add_row(*cells, _status(each.status), Text(cause))
    if table.row_count:
        console.print(table)


def _sentence(cause: str | None, details: str | None) -> str | None:
    failure = failure_of(cause, details)
    return _plain(str(failure)) if failure else None


def _breaker_as_json(breaker: Breaker) -> dict[str, Any]:
    return {**breaker.model_dump(mode="json"), "what_to_do": what_to_do(breaker)}


def _status(status: QueueStatus) -> Text:
    return Text(status.value, STYLES.get(status, ""))


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left")


def _plain(text: str) -> str:
    """Foreign words, which may hold what commands a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
