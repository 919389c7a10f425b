"""Paid calls: what one may cost before it is made, what it came to, and answers that need not be paid for again.

Whoever keeps the books (``work.ledger``) is asked before each call and told after it, whatever happened in between.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

# What an HTTP client's errors of a connection come from where nothing was sent.
NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "LocalProtocolError"})


class CallState(StrEnum):
    """Where a paid call stands in the books."""

    RESERVED = "reserved"
    SETTLED = "settled"
    LOST = "lost"  # whoever made it never came back to say what it came to


@dataclass(frozen=True)
class Planned:
    """A call that is about to be made.

    Attributes:
        video_id: for whom.
        step: the stage that asks, as ``content_type``.
        model: as it is asked for.
        prompt_version: what it is asked.
        worst_usd: what it can cost at most, US dollars.
        lasts_s: when so many seconds have passed without a word, whoever makes the call is dead.
    """

    video_id: str
    step: str
    model: str
    prompt_version: str
    worst_usd: float
    lasts_s: float


@dataclass
class Came:
    """What a call came to.

    Attributes:
        model: that answered.
        cost_usd: what it is known to have cost, US dollars.
        doubtful_usd: what it may have cost besides: it was sent and nobody said what became of it, or nobody told its
            price.
        input_tokens: read, those out of the API's own cache among them.
        cached_tokens: these.
        output_tokens: written.
        estimated: whether the API did not say, or said what cannot be, and the tokens are counted by us.
        cause: code of the failure that it ended in; None where its answer is used.
    """

    model: str = ""
    cost_usd: float = 0.0
    doubtful_usd: float = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    cause: str | None = None

    def refused(self, error: Exception) -> None:
        """The API answered with an error, or its connection broke: neither an error nor what was never sent is paid."""
        if getattr(error, "status_code", None) or type(error.__cause__).__name__ in NEVER_SENT:
            self.doubtful_usd = 0.0


class Books(Protocol):
    """Keeps account of paid calls."""

    @property
    def told(self) -> str:
        """What calls may cost, for a person."""

    def reserve(self, planned: Planned) -> int:
        """Set aside what a call may cost; gives its number.

        Raises:
            VideoBudgetExhaustedError: the video's ceiling does not allow it.
            BudgetExhaustedError: nor that of the day.
            BudgetReservedError: the day's ceiling allows it when calls under way have cost less than they may.
        """

    def settle(self, number: int, came: Came) -> None:
        """What the call came to, in place of what was set aside."""


class AnswerStore(Protocol):
    """Answers that were paid for, by a hash of all that was asked."""

    def recall(self, video_id: str, key: str) -> str | None:
        """The answer to this question; None where nobody has it."""

    def keep(self, video_id: str, key: str, answer: str) -> None:
        """Keep the answer to a question of a video."""


class NoBooks:
    """Nobody counts."""

    told = ""

    def reserve(self, planned: Planned) -> int:
        """Everything is allowed."""
        del planned
        return 0

    def settle(self, number: int, came: Came) -> None:
        """Nothing is written."""


class NoAnswers:
    """Nothing is kept."""

    def recall(self, video_id: str, key: str) -> str | None:
        """Nothing is known."""
        del video_id, key
        return None

    def keep(self, video_id: str, key: str, answer: str) -> None:
        """Nothing is written."""


@dataclass(frozen=True)
class Desk:
    """Where paid calls are accounted for, and their answers kept."""

    books: Books = field(default_factory=NoBooks)
    answers: AnswerStore = field(default_factory=NoAnswers)
