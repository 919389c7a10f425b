"""How fast a download comes: whoever sends a few bytes a second for ever holds a place that others wait for."""

import time
from collections import deque

from madvision_assets.domain.failures import DownloadTimeoutError

KB = 1000
SAMPLES = 100  # in a window


class Pace:
    """Watches over the lowest speed, once the first bytes of the video have come.

    Args:
        min_bytes_per_s: the lowest speed; 0 for none.
        window_s: over so many seconds.
    """

    def __init__(self, min_bytes_per_s: float, window_s: float) -> None:
        self._min_bytes = min_bytes_per_s * window_s
        self._min_bytes_per_s = min_bytes_per_s
        self._window_s = window_s
        self._seen: deque[tuple[float, int]] = deque()
        self._rests = True
        self._has_begun = False

    def begin(self) -> None:
        """Bytes of the video are coming: from now on it counts how many."""
        self._rests, self._has_begun = False, True

    def rest(self) -> None:
        """None have to come for now."""
        self._rests = True
        self._seen.clear()

    def looked(self, received_bytes: int, size_bytes: int) -> int:
        """``look``, once anything is there of the video, whose size it gives: also where nobody tells that it comes."""
        if size_bytes and not self._has_begun:
            self.begin()
        self.look(received_bytes)
        return size_bytes

    def look(self, received_bytes: int) -> None:
        """So many came so far.

        Raises:
            DownloadTimeoutError: too few within the window.
        """
        if self._rests:
            return
        now_s = time.monotonic()
        if not self._seen or now_s - self._seen[-1][0] >= self._window_s / SAMPLES:
            self._seen.append((now_s, received_bytes))
        while len(self._seen) > 1 and self._seen[1][0] <= now_s - self._window_s:
            self._seen.popleft()
        began_s, before_bytes = self._seen[0]
        came_bytes, took_s = received_bytes - before_bytes, now_s - began_s
        if took_s >= self._window_s and came_bytes < self._min_bytes:
            raise DownloadTimeoutError(
                f"the site sends {came_bytes / took_s / KB:.1f} kB a second; at least "
                f"{self._min_bytes_per_s / KB:g} are asked for"
            )
