"""How a run waits for a slot of a pool: asleep, and open to signals.

Dagster's in-process executor asks again without a pause while a pool is full (what its
``interval_to_next_pending_claim_check`` gives is never above zero), so each waiting run burns a core; and a signal is
only noted there, to be acted upon when the next stage has begun. Both are mended by answering once there is a slot.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from madvision_assets.defs.dagster_inside import Claim, claims_wrapped, interrupts_raised

POLL_S = 1.0


@contextmanager
def pools_awaited(instance: dg.DagsterInstance, interrupted: Callable[[str], None] | None = None) -> Iterator[None]:
    """Let the runs of this process wait so, for as long as it lasts.

    Args:
        instance: where the pools are.
        interrupted: told the step whose wait a signal has ended.
    """

    def patient(claim: Claim) -> Claim:
        def claim_at_last(pool: str, run_id: str, step: str, *priority: Any) -> Any:
            try:
                with interrupts_raised():
                    while not (status := claim(pool, run_id, step, *priority)).is_claimed:
                        time.sleep(POLL_S)
            except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
                if interrupted is not None:
                    interrupted(step)
                raise
            return status

        return claim_at_last

    with claims_wrapped(instance, patient):
        yield
