"""Ceilings on paid calls, by what the lineage table says was spent.

Spent is what finished stages recorded; calls under way at the same time are not counted, so a ceiling can be passed
by the cost of those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from madvision_assets.domain.content_type import ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.failures import AnalystMisconfiguredError, BudgetExhaustedError, VideoBudgetExhaustedError
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst import Analyst, Progress, Proposal
from madvision_assets.tools.database import Database


@dataclass(frozen=True)
class Budget:
    """The ceilings, US dollars; None is none.

    Args:
        database: holds what was spent.
        per_video_usd: for one video, ever.
        per_day_usd: for all videos, since midnight UTC.
        now: the clock, timezone-aware.
    """

    database: Database
    per_video_usd: float | None
    per_day_usd: float | None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def is_limited(self) -> bool:
        """Whether there is any ceiling."""
        return self.per_video_usd is not None or self.per_day_usd is not None

    @property
    def told(self) -> str:
        """The ceilings, for a person."""
        named = {"a video": self.per_video_usd, "a day": self.per_day_usd}
        ceilings = [f"{usd:.2f} USD {what}" for what, usd in named.items() if usd is not None]
        return f"at most {' and '.join(ceilings)}" if ceilings else "without any ceiling on what it costs"

    def check(self, video_id: str) -> None:
        """Refuse the next call where a ceiling is reached.

        Raises:
            VideoBudgetExhaustedError: that of the video; says how much was spent.
            BudgetExhaustedError: that of the day, likewise.
        """
        if self.per_video_usd is not None:
            spent = self.database.cost_usd(video_id=video_id)
            if spent >= self.per_video_usd:
                raise VideoBudgetExhaustedError(f"{spent:.4f} USD spent on this video of {self.per_video_usd:.4f}")
        if self.per_day_usd is not None:
            midnight = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
            spent = self.database.cost_usd(since=midnight)
            if spent >= self.per_day_usd:
                raise BudgetExhaustedError(f"{spent:.4f} USD spent today of {self.per_day_usd:.4f}")


@dataclass(frozen=True)
class BudgetedAnalyst:
    """An analyst that is asked only while the budget allows; a video without speech costs nothing.

    Args:
        analyst: who is asked.
        budget: the ceilings.
        price_known: whether what a call costs is known; without it no ceiling can be held.
    """

    analyst: Analyst
    budget: Budget
    price_known: bool = True

    def classify(
        self, transcript: Transcript, source: SourceMetadata, progress: Progress | None = None
    ) -> Made[ContentType]:
        """See ``Analyst``."""
        self._check(transcript)
        return self.analyst.classify(transcript, source, progress)

    def propose(
        self,
        transcript: Transcript,
        kind: ContentKind,
        source: SourceMetadata,
        options: Options,
        progress: Progress | None = None,
    ) -> Proposal:
        """See ``Analyst``."""
        self._check(transcript)
        return self.analyst.propose(transcript, kind, source, options, progress)

    def check(self) -> str:
        """See ``Analyst``."""
        known = "" if self.price_known else ", since its price is not known (MADVISION_BUDGET_USD_PER_DAY)"
        return f"{self.analyst.check()}; {self.budget.told}{'' if self.budget.is_limited else known}"

    def _check(self, transcript: Transcript) -> None:
        if transcript.no_speech:
            return
        if self.budget.is_limited and not self.price_known:
            raise AnalystMisconfiguredError("a ceiling is set, but the price of this model is not known")
        self.budget.check(transcript.video_id)
