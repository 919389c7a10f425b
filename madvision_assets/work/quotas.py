"""Each client's share of a day: who pays for a video, and who has to wait for tomorrow.

What is under way when a share is used up is finished, so that a share can be passed by that.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from madvision_assets.domain.failures import QuotaSpentError
from madvision_assets.domain.quotas import DAY, QuotaRules, Taken, day_of, seconds_left
from madvision_assets.domain.submitters import is_client
from madvision_assets.tools.database import Database

if TYPE_CHECKING:
    from madvision_assets.tools.database.intakes import Intakes


@dataclass(frozen=True)
class Quotas:
    """The shares of all clients; the operator's own videos, and those of whom nobody knows, are nobody's share.

    Every method raises as ``Database`` does.

    Args:
        database: knows who submitted what, and what was taken in.
        rules: what each client has of a day.
        now: the clock, timezone-aware.
    """

    database: Database
    rules: QuotaRules = field(default_factory=QuotaRules)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def check(self, submitter: str) -> None:
        """Return while somebody has something left of today.

        Raises:
            QuotaSpentError: with what was taken in, and after how many seconds it goes on.
        """
        if not self.rules.is_limited or not is_client(submitter):
            return
        now = self.now()
        complaint = self.rules.complaint(self._intakes.taken(submitter, day_of(now)))
        if complaint is not None:
            raise QuotaSpentError(complaint, retry_after_s=seconds_left(now))

    def check_video(self, video_id: str, _undecided: Collection[str] = ()) -> None:
        """Return while anybody who submitted a video has something left of today.

        Raises:
            QuotaSpentError: as ``check``.
        """
        if self.rules.is_limited:
            self._payer(video_id)

    def note(self, video_id: str, taken: Taken) -> None:
        """Something of a video was taken in: of its submitters the last one pays who has something left of today.

        Else whoever asks again for what failed for another would have it on the other's share.
        """
        if not self.rules.is_limited or taken == Taken():
            return
        try:
            payer = self._payer(video_id)
        except QuotaSpentError:
            payer = self._intakes.submitters_of(video_id)[0]
        if payer is not None:
            self._intakes.add(payer, video_id, taken, self.now())

    def note_sent(self, submitter: str, place: str, size_bytes: int) -> None:
        """Somebody sent us bytes of a file, whatever becomes of it; ``place`` is where it is kept."""
        if self.rules.is_limited and is_client(submitter):
            self._intakes.add(submitter, place, Taken(size_bytes=size_bytes), self.now())

    def sweep(self) -> None:
        """Forget what was taken in before yesterday."""
        self._intakes.forget_before(day_of(self.now()) - DAY)

    def _payer(self, video_id: str) -> str | None:
        """Who pays for a video; None where nobody has to.

        Raises:
            QuotaSpentError: nobody can.
        """
        submitters = self._intakes.submitters_of(video_id)
        clients = [each for each in submitters if each is not None and is_client(each)]
        if len(clients) < len(submitters) or not clients:
            return None
        spent = None
        for client in clients:
            try:
                self.check(client)
            except QuotaSpentError as error:
                spent = spent or error
            else:
                return client
        assert spent is not None  # noqa: S101 - there is a client
        raise spent

    @property
    def _intakes(self) -> "Intakes":
        from madvision_assets.tools.database.intakes import Intakes

        return Intakes(self.database)
