"""In a long outage of the language model's API, rules stand in for it: provisional clips today rather than none.

How long it has been away is what the books of paid calls say, which all workers share.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from madvision_assets.domain.content_type import ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst import Analyst, Progress, Proposal
from madvision_assets.tools.database import Database
from madvision_assets.work.staleness import AWAY, away

# While it is away it is asked so often, by whoever comes; the others need not wait for what it does not say.
ASKED_EVERY = timedelta(seconds=60)

T = TypeVar("T")


@dataclass(frozen=True)
class FallbackAnalyst:
    """An analyst for whom another one stands in when he has been away for long.

    Args:
        analyst: who is asked.
        stand_in: who needs nobody.
        database: whose books tell since when he is away.
        after_s: so long nobody stands in, and videos wait; seconds.
        now: the clock, timezone-aware.
    """

    analyst: Analyst
    stand_in: Analyst
    database: Database
    after_s: float
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def classify(
        self, transcript: Transcript, source: SourceMetadata, progress: Progress | None = None
    ) -> Made[ContentType]:
        """See ``Analyst``."""
        return self._asked(lambda who: who.classify(transcript, source, progress))

    def propose(
        self,
        transcript: Transcript,
        kind: ContentKind,
        source: SourceMetadata,
        options: Options,
        progress: Progress | None = None,
    ) -> Proposal:
        """See ``Analyst``."""
        return self._asked(lambda who: who.propose(transcript, kind, source, options, progress))

    def check(self) -> tuple[bool, str]:
        """See ``Analyst``."""
        well, told = self.analyst.check()
        return well, f"{told}; in an outage of more than {self.after_s / 60:g} min rules stand in"

    def fingerprint(self, step: str) -> str:
        """See ``Analyst``: what a stand-in makes is stale by that."""
        return self.analyst.fingerprint(step)

    def _asked(self, work: Callable[[Analyst], T]) -> T:
        if self._was_asked_in_vain(ASKED_EVERY):
            return work(self.stand_in)
        try:
            return work(self.analyst)
        except AWAY:
            if not self._was_asked_in_vain(None):
                raise
            return work(self.stand_in)

    def _was_asked_in_vain(self, lately: timedelta | None) -> bool:
        """Whether he has been away for long, and somebody has found that so lately."""
        found = away(self.database)
        if found is None:
            return False
        first, last = found
        is_long = self.now() - first >= timedelta(seconds=self.after_s)
        return is_long and (lately is None or self.now() - last < lately)
