"""Whose turn it is among videos that are due: the more urgent first, and of the same urgency the one due for longer.

A video that is due gains a step of priority in every so many seconds, so that a steady stream of more urgent ones
starves nobody. All gain alike: a step of priority is a head start of that time, and of two that are due the same one
always comes first.

Clients of the public routes take turns: each of a client's videos that wait counts as due so much later than the one
before. So one who submits a thousand is at the turn of whoever submits one with his first, and nobody waits for the
others; alone, he is served as fast as there are workers.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from madvision_assets.domain.queue import MAX_PRIORITY

# As long as a client's video takes at most to be served, whoever submits one does not meet a backlog of his.
CLIENT_TURN_S = 3600.0


@dataclass(frozen=True)
class Ageing:
    """How priorities age.

    Attributes:
        step_s: due for so many seconds, a video gains a step of priority; 0 lets priority alone decide.
    """

    step_s: float = 3600.0

    def turn(self, priority: int, due_at: datetime, now: datetime) -> tuple[int, datetime]:
        """A key that sorts by whose turn it is; what is due "in the future" was written before a clock went back."""
        since = min(due_at, now)
        if not self.step_s:
            return -priority, since
        return 0, since - timedelta(seconds=priority * self.step_s)

    def urgency(self, priority: int, due_at: datetime, now: datetime) -> int:
        """The priority with the steps that it has gained; never more than the highest one."""
        if not self.step_s:
            return priority
        waited_s = max(0.0, (now - due_at).total_seconds())
        return int(min(MAX_PRIORITY, priority + math.floor(waited_s / self.step_s)))
