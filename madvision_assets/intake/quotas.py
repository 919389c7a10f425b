"""A client whose share of the day is used up is told so at the door, and when it goes on."""

import math
import time
from contextlib import suppress
from functools import lru_cache

from madvision_assets.domain.failures import Failure, QuotaSpentError
from madvision_assets.intake.problems import ProblemError
from madvision_assets.work.quotas import Quotas

# For so long what a client has left is not asked again.
REMEMBERED_S = 5.0
CLIENTS = 4096


class QuotaDoor:
    """Lets in who has something left of the day.

    Args:
        quotas: the shares.
    """

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._spent = lru_cache(CLIENTS)(self._ask)

    def check(self, submitter: str) -> None:
        """Return where this client may submit.

        Raises:
            ProblemError: ``quota_spent``.
            Failure: the database is away.
        """
        if not self._quotas.rules.is_limited:
            return
        spent = self._spent(submitter, int(time.monotonic() / REMEMBERED_S))
        if spent is not None:
            raise ProblemError("quota_spent", spent[0], headers={"Retry-After": str(spent[1])})

    def note(self, submitter: str, place: str, size_bytes: int) -> None:
        """A client sent bytes of a file; where the database is away, they are not counted."""
        with suppress(Failure):
            self._quotas.note_sent(submitter, place, size_bytes)

    def _ask(self, submitter: str, _tick: int) -> tuple[str, int] | None:
        """What to tell, and for how many seconds it holds; None where there is something left."""
        try:
            self._quotas.check(submitter)
        except QuotaSpentError as error:
            wait_s = math.ceil(error.retry_after_s or 0.0)
            hours, minutes = divmod(math.ceil(wait_s / 60), 60)
            detail = (
                f"Your share of today is used up: {error.details}. Go on at 00:00 UTC, in {hours} h {minutes} min. "
                "What you submitted before goes on then by itself."
            )
            return detail, wait_s
        return None
