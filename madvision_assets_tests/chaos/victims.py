"""Whom a fault strikes: runs at a stage, what is below a process; none so often that it would be right to park it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.chaos import points
from madvision_assets_tests.chaos.world import World

VICTIM_LIMIT_S = 25.0
ANY_STEP_BEFORE_S = 5.0
PARKED_AFTER = 3
POLL_S = 0.1


class NotNowError(Exception):
    """The fault could not be made just then; says why."""


@dataclass(frozen=True)
class Victim:
    """A run that is at a stage of a video.

    Attributes:
        row: where it stands.
        pid: of its process.
    """

    row: QueueRow
    pid: int

    def __str__(self) -> str:
        """For a line."""
        return f"{self.row.video_id} at {self.row.pipeline_step}, attempt {self.row.attempt}, process {self.pid}"


def find_victim(world: World, step: str) -> Victim:
    """A run at this stage, or after a while at any: one that has lost no worker at it, lest it count as poison."""
    deadline_s = time.monotonic() + VICTIM_LIMIT_S
    while time.monotonic() < deadline_s:
        for row in world.rows() or []:
            at_step = row.pipeline_step == step or not step or time.monotonic() > deadline_s - ANY_STEP_BEFORE_S
            if (
                row.status is not QueueStatus.RUNNING
                or row.lost_workers
                or not at_step
                or row.video_id in world.persons
            ):
                continue
            pid = world.worker(row.video_id)
            if pid is not None and not was_struck(world, row):
                return Victim(row, pid)
        time.sleep(POLL_S)
    raise NotNowError("no worker was at work")


def was_struck(world: World, row: QueueRow) -> bool:
    return any((world.inside / points.DEAD).glob(f"*@{row.video_id}.{row.pipeline_step}"))


def mark(world: World, victim: Victim) -> None:
    """Nobody else kills this step of this video."""
    mark = f"struck-{victim.pid}@{victim.row.video_id}.{victim.row.pipeline_step}"
    (world.inside / points.DEAD / mark).touch()


def wait_until_nobody_is_near_parking(world: World) -> None:
    """Wait until a worker more that is lost makes no video poison: three of them do, and that would be right."""
    deadline_s = time.monotonic() + VICTIM_LIMIT_S
    while time.monotonic() < deadline_s:
        if not any(row.lost_workers >= PARKED_AFTER - 1 for row in world.rows() or []):
            return
        time.sleep(POLL_S)
    raise NotNowError("a video has lost two workers already")


def mark_all(world: World) -> None:
    for row in world.rows() or []:
        pid = world.worker(row.video_id)
        if row.status is QueueStatus.RUNNING and pid is not None:
            mark(world, Victim(row, pid))


def went_on(world: World, victim: Victim) -> bool:
    """Whether a victim was ended, so that its video can go on in its turn, or the step that it was at is over."""
    if not is_there(victim.pid):
        return True
    for row in world.rows() or []:
        if row.video_id == victim.row.video_id:
            return row.status.is_final or row.pipeline_step not in (
                victim.row.pipeline_step,
                *([victim.row.pipeline_step.previous] if victim.row.pipeline_step.previous else []),
            )
    return False


def is_there(pid: int) -> bool:
    """Whether a process lives, stopped or not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their commands."""
    families = _families()
    found: dict[int, str] = {}
    left = [pid]
    while left:
        for child in families.get(left.pop(), []):
            left.append(child)
            with suppress(OSError):
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def children(pid: int) -> list[int]:
    """The processes that one has started itself."""
    return _families().get(pid, [])


def _families() -> dict[int, list[int]]:
    """The children of each process."""
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(folder.name))
    return found
