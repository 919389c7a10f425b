"""Following videos until they are over: lines that change on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from madvision_assets.command.display import tell
from madvision_assets.command.display_queue import STYLES, line_of
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database.rows import QueueRow

EVERY_S = 2.0

# The rows of what is watched, by the videos' IDs; None is not in the queue, and so is over.
Look = Callable[[], Mapping[str, QueueRow | None]]


def watch(look: Look, console: Console, every_s: float = EVERY_S) -> bool:
    """Show how videos get on until all are over; tells whether all of them are done.

    Args:
        look: what is watched, as it stands.
        console: where it is shown.
        every_s: it is looked so often.
    """
    said: dict[str, str] = {}
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with live or nullcontext():
        while True:
            rows = look()
            if live is None:
                _say_changes(console, rows, said)
            else:
                shown = [Text(_line(video_id, row), _style(row), no_wrap=True) for video_id, row in rows.items()]
                room = max(1, console.height - 2)
                left_out = [Text(f"and {len(shown) - room} more", "dim")] if len(shown) > room else []
                live.update(Group(*shown[:room], *left_out), refresh=True)
            if all(row is None or row.status.is_final for row in rows.values()):
                return all(row is not None and row.status is QueueStatus.DONE for row in rows.values())
            time.sleep(every_s)


def _say_changes(console: Console, rows: Mapping[str, QueueRow | None], said: dict[str, str]) -> None:
    for video_id, row in rows.items():
        line = _line(video_id, row)
        if said.get(video_id) != line:
            said[video_id] = line
            tell(console, line, "", "")


def _line(video_id: str, row: QueueRow | None) -> str:
    return f"{video_id}  {line_of(row) if row else 'never queued'}"


def _style(row: QueueRow | None) -> str:
    return STYLES.get(row.status, "") if row else "red"
