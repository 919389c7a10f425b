"""Where in the queue a video is, and about when it is ready: told only where enough was measured."""

import threading
import time
from dataclasses import dataclass, field

from pydantic import BaseModel

from madvision_assets.domain.estimates import Measured, Span, in_words, wait_left, work_left
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.urgency import Ageing
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.rows import QueueRow

# What was measured is looked at again after so long.
FRESH_S = 30.0


class Estimate(BaseModel):
    """What can be told of a video that is not done yet; ``in_words`` is for a person, and empty where nothing can."""

    queue_place: int | None = None
    remaining_s: Span | None = None
    in_words: str = ""


@dataclass
class Estimates:
    """What videos took lately, kept for half a minute.

    Args:
        database: where it is measured.
        ageing: how whoever waits gains urgency.
    """

    database: Database
    ageing: Ageing
    _known: tuple[Measured, int] = (Measured(), 0)
    _fresh_until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, row: QueueRow, duration_s: float | None) -> Estimate:
        """What can be told of a video; raises as ``Database`` does.

        Args:
            row: where it stands.
            duration_s: of the video; None where that is not known.
        """
        if row.status not in {QueueStatus.QUEUED, QueueStatus.RUNNING}:
            return Estimate()
        from madvision_assets.tools.database.queue import utc_now
        from madvision_assets.tools.database.waiting import place_of

        measured, at_work = self._measured()
        place = place_of(self.database, row, utc_now(), self.ageing)
        left = work_left(measured, row.pipeline_step, row.step_progress, duration_s)
        if row.status is QueueStatus.QUEUED:
            wait = wait_left(measured, place, at_work) if place else None
            left = wait + left if wait and left else None
        return Estimate(queue_place=place, remaining_s=left, in_words=_told(place, left))

    def _measured(self) -> tuple[Measured, int]:
        from madvision_assets.tools.database.queue import utc_now
        from madvision_assets.tools.database.waiting import measured

        with self._lock:
            if time.monotonic() > self._fresh_until_s:
                self._known = measured(self.database, utc_now())
                self._fresh_until_s = time.monotonic() + FRESH_S
            return self._known


def _told(place: int | None, left: Span | None) -> str:
    where = {None: "", 1: "It is next in the queue."}.get(place, f"It is number {place} in the queue.")
    when = f"Going by other videos, it is ready in {in_words(left)}." if left else ""
    return " ".join(filter(None, (where, when)))
