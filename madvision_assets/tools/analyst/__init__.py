"""Who reads the transcript: what kind of video it is, and which moments are worth a clip.

One file per analyst, and ``registry`` as the table of them. Here belongs whatever forms an opinion of a text: a
language model behind an API, or rules. What does not: times, limits and overlaps, which ``domain.selection`` settles
for every analyst alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from madvision_assets.domain.clips import FailedWindow, Moment, RejectedMoment
from madvision_assets.domain.content_type import ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata

# Told a fraction from 0 to 1 and a text for a person.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Proposal:
    """Moments worth a clip, in no particular order and not yet vetted.

    Attributes:
        moments: as proposed.
        provisional: True where rules stood in for a language model.
        recipe: what did the work, and what it cost.
        rejected: moments that could not be understood, or are no talk, each with the rule.
        failed: stretches that could not be read, each with the cause.
        notes: on what was asked for and cannot be had, a sentence each.
    """

    moments: tuple[Moment, ...]
    provisional: bool
    recipe: Recipe
    rejected: tuple[RejectedMoment, ...] = ()
    failed: tuple[FailedWindow, ...] = ()
    notes: tuple[str, ...] = ()


class Analyst(Protocol):
    """Reads a transcript. A transcript without speech is answered (``other``, no moments) without being read."""

    def classify(
        self, transcript: Transcript, source: SourceMetadata, progress: Progress | None = None
    ) -> Made[ContentType]:
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
        """Which moments are worth a clip; raises as ``classify`` does.

        Args:
            transcript: that part of it which was asked for.
            kind: of the video.
            source: what its site says of it.
            options: how many, how long, about what, and in which language they are named.
            progress: gets a fraction from 0 to 1 and a few words.
        """

    def check(self) -> tuple[bool, str]:
        """Whether all is well with whoever would read, and who that is in a few words; raises as ``classify`` does."""

    def fingerprint(self, step: str) -> str:
        """A hash of what decides, besides the transcript, what a stage comes to: prompts and model, or rules."""


@dataclass(frozen=True)
class AnalystOptions:
    """What an operator has set for analysts; an analyst takes what concerns it.

    Attributes:
        api_key: for an analyst behind an API; empty without one.
        base_url: of that API; None is the analyst's own default.
        model: the language model's name.
        deadline_s: of one question, with all its tries, seconds.
        models_file: adds to what is known of language models; None for none.
    """

    api_key: str = field(repr=False)
    base_url: str | None
    model: str
    deadline_s: float = 180.0
    models_file: Path | None = None


@dataclass(frozen=True)
class AnalystDescriptor:
    """What is known of an analyst before it is made.

    Attributes:
        name: as ``MADVISION_ANALYST`` has it.
        make: makes it; loads nothing heavy, and asks nobody.
        needs_key: whether it can do nothing without ``OPENAI_API_KEY``.
        price_known: whether what a call costs is known; None where calls cost nothing.
    """

    name: str
    make: Callable[[AnalystOptions, Desk], Analyst]
    needs_key: bool = False
    price_known: Callable[[AnalystOptions], bool] | None = None

    @property
    def needs(self) -> str:
        """For a person who chooses."""
        return "needs OPENAI_API_KEY" if self.needs_key else "needs nothing"


def silent(_fraction: float, _message: str) -> None:
    """Progress for callers who do not listen."""
