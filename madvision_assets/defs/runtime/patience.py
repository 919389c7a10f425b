"""How a run waits for a database that is away: hours of work are not dropped because of a minute without it.

Dagster writes an event whenever anything happens, and whatever it cannot write ends the run: also that a stage has
made its result, before that could be published.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.work.patience import PATIENCE_S

Answer = TypeVar("Answer")
POLL_S = 1.0


@dataclass
class Patience:
    """Asks a database again while it is away, in all threads together for so long and no longer.

    Args:
        limit_s: how long one outage is waited for, seconds.
    """

    limit_s: float = PATIENCE_S
    _away_since_s: float | None = field(default=None, init=False)
    _is_over: bool = field(default=False, init=False)

    def end(self) -> None:
        """Wait for nothing any more: the process was told to stop, and has a few seconds for its last words."""
        self._is_over = True

    def ask(self, act: Callable[[], Answer]) -> Answer:
        """What the act gives, once the database is there; else what it raises at the end of the patience."""
        from madvision_assets.tools.database.errors import is_away

        began_s: float | None = None
        while True:
            try:
                answer = act()
            except Exception as error:
                now_s = time.monotonic()
                if self._is_over or not is_away(error):
                    raise
                # Of this act, too: a database that takes connections and no statement would never be away for long.
                began_s = began_s or now_s
                self._away_since_s = self._away_since_s or now_s
                if now_s - min(began_s, self._away_since_s) > self.limit_s:
                    raise
            else:
                self._away_since_s = None
                return answer
            try:
                with dagster_inside.interrupts_raised():
                    time.sleep(POLL_S)
            except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
                self.end()
                raise


def wait_for_dagster(instance: dg.DagsterInstance, patience: Patience | None = None) -> None:
    """Let this process wait for Dagster's database from now on, whatever it wants of it."""
    dagster_inside.asked_with_patience(instance, (patience or Patience()).ask)
