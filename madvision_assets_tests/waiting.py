"""Bounded waits on conditions."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
POLL_S = 0.05


def wait_for(condition: Callable[[], Found], limit_s: float, what: str = "what was waited for") -> Found:
    """Ask until the answer is true, and give it.

    Raises:
        TimeoutError: it took too long.
    """
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        time.sleep(POLL_S)
    raise TimeoutError(f"{what}: not within {limit_s:g} s")
