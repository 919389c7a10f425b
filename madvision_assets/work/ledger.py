"""The ledger of paid calls: ceilings that hold for any number of workers, and answers that are paid for once.

What a call may cost at most is set aside before it is made, in one transaction with the look at the ceilings; what it
came to is written afterwards, whatever happened. Whoever is killed in between leaves what he set aside, which counts as
paid, since it may be, when nobody has settled it in time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from madvision_assets.domain.failures import (
    BudgetExhaustedError,
    BudgetReservedError,
    DatabaseUnavailableError,
    Failure,
    VideoBudgetExhaustedError,
)
from madvision_assets.domain.paying import Came, Planned
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.patience import PATIENCE_S, patiently

ANSWERS = "answers"
# When calls under way will have been settled, most likely.
LOOK_AGAIN_S = 30.0


@dataclass(frozen=True)
class Ceilings:
    """What paid calls may cost, US dollars; None is no ceiling.

    Attributes:
        per_video_usd: for one video, ever.
        per_day_usd: for all videos, since midnight UTC.
    """

    per_video_usd: float | None = None
    per_day_usd: float | None = None

    @property
    def told(self) -> str:
        """For a person."""
        named = {"a video": self.per_video_usd, "a day": self.per_day_usd}
        ceilings = [f"{usd:.2f} USD {what}" for what, usd in named.items() if usd is not None]
        return f"at most {' and '.join(ceilings)}" if ceilings else "without any ceiling on what it costs"


@dataclass(frozen=True)
class Ledger:
    """See ``domain.paying.Books``.

    Args:
        database: where the rows are.
        ceilings: what calls may cost.
        now: the clock, timezone-aware.
        patience_s: how long a database that is away is waited for, seconds.
    """

    database: Database
    ceilings: Ceilings = Ceilings()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    patience_s: float = PATIENCE_S

    @property
    def told(self) -> str:
        """See ``Books``."""
        return self.ceilings.told

    def reserve(self, planned: Planned) -> int:
        """See ``Books``; waits for a database that is away: what was paid before for the video is not to be lost."""
        from madvision_assets.tools.database.paid_calls import PaidCalls, Spent

        def allow(of_video: Spent, of_day: Spent) -> None:
            may_cost = f"the next call may cost {planned.worst_usd:.4f}"
            ceiling = self.ceilings.per_video_usd
            spent = of_video.settled_usd + of_video.reserved_usd
            if ceiling is not None and spent + planned.worst_usd > ceiling:
                raise VideoBudgetExhaustedError(f"{spent:.4f} USD spent on this video of {ceiling:.4f}; {may_cost}")
            ceiling = self.ceilings.per_day_usd
            if ceiling is None or of_day.settled_usd + of_day.reserved_usd + planned.worst_usd <= ceiling:
                return
            told = f"{of_day.settled_usd:.4f} USD spent today of {ceiling:.4f}; {may_cost}"
            if of_day.settled_usd + planned.worst_usd > ceiling:
                raise BudgetExhaustedError(told)
            raise BudgetReservedError(
                f"{told}, and those under way {of_day.reserved_usd:.4f}", retry_after_s=LOOK_AGAIN_S
            )

        def reserve() -> int:
            now = self.now()
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            return PaidCalls(self.database).reserve(planned, now, midnight, allow)

        return patiently(reserve, away=(DatabaseUnavailableError,), patience_s=self.patience_s)

    def settle(self, number: int, came: Came) -> None:
        """See ``Books``; waits for a database that is away."""
        from madvision_assets.tools.database.paid_calls import PaidCalls

        def settle() -> None:
            PaidCalls(self.database).settle(number, came, self.now())

        patiently(settle, away=(DatabaseUnavailableError,), patience_s=self.patience_s)


@dataclass(frozen=True)
class KeptAnswers:
    """See ``domain.paying.AnswerStore``; a help and not a condition: where the store cannot be asked, there is none.

    Args:
        store: keeps each video's answers in a folder of its own, which goes when the video is forgotten.
        folder: in which those folders are.
    """

    store: ObjectStore
    folder: str = ANSWERS

    def recall(self, video_id: str, key: str) -> str | None:
        """See ``AnswerStore``."""
        with suppress(Failure, UnicodeDecodeError):
            return self.store.get_bytes(self._key(video_id, key)).decode()
        return None

    def keep(self, video_id: str, key: str, answer: str) -> None:
        """See ``AnswerStore``."""
        with suppress(Failure):
            self.store.put_bytes(
                self._key(video_id, key), answer.encode(errors="replace"), media_type="application/json"
            )

    def _key(self, video_id: str, key: str) -> str:
        return f"{self.folder}/{video_id}/{key}.json"
