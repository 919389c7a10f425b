"""A wall clock that was set back: whoever waits for a time by it would wait until it has caught up."""

import time
from collections.abc import Callable

# What is less stalls nobody for longer.
SLACK_S = 5.0


class Clock:
    """Notices that the wall clock was set back.

    Args:
        wall: seconds, as people set them.
        steady: seconds that only go forward.
    """

    def __init__(self, wall: Callable[[], float] | None = None, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall or time.time
        self._steady = steady
        self._furthest_s = self._wall() - steady()

    def was_set_back(self) -> bool:
        """Whether it stands further back than it ever did, by more than is harmless."""
        ahead_s = self._wall() - self._steady()
        self._furthest_s = max(self._furthest_s, ahead_s)
        return self._furthest_s - ahead_s > SLACK_S
