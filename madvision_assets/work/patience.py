"""How long whoever has work to lose waits for a database or a store that is away."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from madvision_assets.domain.failures import Failure

# Longer than a database or a store takes to be restarted, moved to another machine, or looked after by somebody.
PATIENCE_S = 600.0

Answer = TypeVar("Answer")


def patiently(act: Callable[[], Answer], *, away: tuple[type[Failure], ...], patience_s: float) -> Answer:
    """What an act gives; where it ends in one of these failures it is done again and again for a while.

    Args:
        act: may be done again without harm.
        away: what says that somebody is away.
        patience_s: how long that is waited for, seconds.

    Raises:
        Failure: the last one, at the end of the patience; any other at once.
    """
    with suppress(*away):
        return act()
    import stamina  # 60 ms of CPU with what it brings, that most runs need not pay

    return stamina.retry(on=away, attempts=None, timeout=patience_s)(act)()
