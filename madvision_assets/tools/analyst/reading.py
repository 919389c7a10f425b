"""Reading a transcript window by window: what is found in each, and which could not be read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from madvision_assets.domain.clips import FailedWindow, Moment, RejectedMoment
from madvision_assets.domain.content_type import ContentKind
from madvision_assets.domain.failures import (
    AnalystBadAnswerError,
    AnalystRejectedError,
    AnalystUnusableError,
    Failure,
    PolicyRefusalError,
    TranscriptTooLargeError,
)
from madvision_assets.domain.transcript import Segment
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst.answers import MomentsAnswer, moments_of
from madvision_assets.tools.analyst.completion import CutOffError
from madvision_assets.tools.analyst.openai_session import Question, Session
from madvision_assets.tools.analyst.prompts import PROPOSE, propose_messages, transcript_block
from madvision_assets.tools.analyst.windows import halves

TOKENS_PER_MOMENT, TOKENS_OF_AN_ANSWER = 220, 300
# Of a window, however small a part of the whole it is.
MIN_PROPOSED = 3
# A window that is still too large then is one of few segments, and not the fault of its size.
MAX_HALVINGS = 8
# What speaks against one window, and not against those that are still to be read.
OF_ONE_WINDOW = (
    AnalystBadAnswerError,
    AnalystUnusableError,
    PolicyRefusalError,
    AnalystRejectedError,
    TranscriptTooLargeError,
)


def room_of(moments: int) -> int:
    """Tokens that an answer of so many moments may have."""
    return TOKENS_OF_AN_ANSWER + TOKENS_PER_MOMENT * moments


def most_moments(room: int) -> int:
    """How many moments an answer of so many tokens has room for; one, at least."""
    return max(1, (room - TOKENS_OF_AN_ANSWER) // TOKENS_PER_MOMENT)


@dataclass
class Reader:
    """Asks for the moments of one window after the other.

    Args:
        session: who is asked.
        source: of the video.
        kind: likewise.
        count: moments that are asked for in each window.
        per_clip: fewest and most segments of a moment.
        options: what is asked of the moments.
    """

    session: Session
    source: SourceMetadata
    kind: ContentKind
    count: int
    per_clip: tuple[int, int]
    options: Options
    moments: list[Moment] = field(default_factory=list)
    rejected: list[RejectedMoment] = field(default_factory=list)
    failed: list[FailedWindow] = field(default_factory=list)
    _first_failure: Failure | None = None

    def read(self, window: Sequence[Segment]) -> None:
        """Find the moments of a window; of one that is too large, those of its halves."""
        self._read(window, self.count, room_of(self.count), 0)

    def _read(self, window: Sequence[Segment], count: int, room: int, halvings: int) -> None:
        # An answer that is cut off was paid for: once is enough.
        in_parts = halvings == 0 and len(window) >= 2  # noqa: PLR2004 - two halves
        try:
            good, bad = self._asked(window, count, room, in_parts=in_parts)
        except (CutOffError, TranscriptTooLargeError) as failure:
            is_too_large = isinstance(failure, TranscriptTooLargeError)
            if len(window) < 2 or halvings >= (MAX_HALVINGS if is_too_large else 1):  # noqa: PLR2004 - likewise
                self._note(window, failure)
                return
            fewer = min(count, max(MIN_PROPOSED, ceil(count / 2)))
            for half in halves(window):
                # Where the room was too little, fewer moments get all of it.
                self._read(half, fewer, room_of(fewer) if is_too_large else room, halvings + 1)
        except OF_ONE_WINDOW as failure:
            self._note(window, failure)
        else:
            self.moments += good
            self.rejected += bad

    def moments_or_failure(self) -> Sequence[Moment]:
        """What was found; raises what was wrong with the first window where none could be read."""
        if self._first_failure is not None and not (self.moments or self.rejected or self._was_read):
            raise self._first_failure
        return self.moments

    _was_read: bool = False

    def _asked(
        self, window: Sequence[Segment], count: int, room: int, *, in_parts: bool
    ) -> tuple[list[Moment], list[RejectedMoment]]:
        data = transcript_block(self.source, window, self.options.topic)
        messages = propose_messages(data, self.kind, count, self.per_clip, self.options)
        found = self.session.ask(Question(PROPOSE, messages, MomentsAnswer, room, in_parts), moments_of)
        self._was_read = True
        return found

    def _note(self, window: Sequence[Segment], failure: Failure) -> None:
        self._first_failure = self._first_failure or failure
        self.failed.append(
            FailedWindow(
                first_segment=window[0].id, last_segment=window[-1].id, cause=failure.code, details=failure.details
            )
        )
