"""Who reads the transcript: what kind of video it is, and which moments are worth a clip.

Here belongs whatever forms an opinion of a text: a language model behind an API, or rules. What does not: times, limits
and overlaps, which ``domain.selection`` settles for every analyst alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import Confidence, ContentKind
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata

# Told a fraction from 0 to 1 and a text for a person.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Classification:
    """What kind of video it is.

    Attributes:
        kind: out of a closed set.
        confidence: how sure, likewise.
        reason: a sentence for a person.
        topics: a few words each, most important first.
        provisional: True where rules stood in for a language model.
        recipe: what did the work, and what it cost.
    """

    kind: ContentKind
    confidence: Confidence
    reason: str
    topics: tuple[str, ...]
    provisional: bool
    recipe: Recipe


@dataclass(frozen=True)
class Proposal:
    """Moments worth a clip, in no particular order and not yet vetted; otherwise as ``Classification``."""

    moments: tuple[Moment, ...]
    provisional: bool
    recipe: Recipe


class Analyst(Protocol):
    """Reads a transcript. A transcript without speech is answered (``other``, no moments) without being read."""

    def classify(
        self, transcript: Transcript, source: SourceMetadata, progress: Progress | None = None
    ) -> Classification:
        """What kind of video it is.

        Raises:
            Failure: one of the leaves for analysts; offline analysts raise none.
        """

    def propose(
        self,
        transcript: Transcript,
        kind: ContentKind,
        source: SourceMetadata,
        options: Options,
        progress: Progress | None = None,
    ) -> Proposal:
        """Which moments are worth a clip; raises as ``classify`` does."""

    def check(self) -> str:
        """Say in a few words who would read, after making sure that it can; raises as ``classify`` does."""


def silent(_fraction: float, _message: str) -> None:
    """Progress for callers who do not listen."""
