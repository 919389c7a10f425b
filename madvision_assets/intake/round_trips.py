"""Whether the service still gets through to its database, told apart from a database that is away.

Two threads ask the database all the time: one as every request does, the other over a connection that is made anew
each time. Where the second one gets answers for a good while and the first one none, the fault is with us: connections
that were lost, or are held for ever. Where neither does, the database is away, and to start again would not help.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from madvision_assets.domain.failures import Failure
from madvision_assets.tools.database import Database

ROUND_TRIP_EVERY_S = 10.0
# A connection whose server fell silent is given up within a minute (``engines.py``).
BEHIND_S = 120.0


class RoundTrips:
    """Asks the database, both ways.

    Args:
        database: the service's own.
        every_s: between two round trips.
        behind_s: so far behind the second way, the first one does not work.
    """

    def __init__(self, database: Database, *, every_s: float = ROUND_TRIP_EVERY_S, behind_s: float = BEHIND_S) -> None:
        self._database = database
        self._every_s = every_s
        self._behind_s = behind_s
        self._stop = threading.Event()
        self._ours_at_s = self._fresh_at_s = time.monotonic()

    def complaint(self) -> str | None:
        """What is the matter; None where round trips succeed, or where nobody's do."""
        behind_s = self._fresh_at_s - self._ours_at_s
        if behind_s <= self._behind_s:
            return None
        return f"The database answers, but not over our connections, for {behind_s:.0f} s; start the intake again."

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make round trips until the end."""
        for name, way in (("ours", self._ours), ("fresh", self._fresh)):
            threading.Thread(target=self._go_on, args=(way,), name=f"round-trips-{name}", daemon=True).start()
        try:
            yield
        finally:
            self._stop.set()

    def _go_on(self, way: Callable[[], None]) -> None:
        while not self._stop.wait(self._every_s):
            try:
                way()
            except Failure:  # it is away; the next one may come through
                continue

    def _ours(self) -> None:
        self._database.answer()
        self._ours_at_s = time.monotonic()

    def _fresh(self) -> None:
        self._database.answer(fresh=True)
        self._fresh_at_s = time.monotonic()
