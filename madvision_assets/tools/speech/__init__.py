"""Speech to text: what a speech engine gives, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Segment

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Speech:
    """What was heard in one audio file.

    Attributes:
        language: ISO 639-1 code.
        duration_s: of the audio, seconds.
        audible_s: seconds louder than near silence.
        covered_s: of those, the seconds that lie in a segment.
        segments: in time order, not overlapping; empty where nobody speaks.
        recipe: engine, version, model and parameters.
    """

    language: str
    duration_s: float
    audible_s: float
    covered_s: float
    segments: tuple[Segment, ...]
    recipe: Recipe


class SpeechEngine(Protocol):
    """Turns audio into words with times."""

    def transcribe(self, audio: Path | BinaryIO, duration_s: float, progress: Progress) -> Speech:
        """Transcribe a FLAC file that is expected to last ``duration_s``; ``progress`` gets 0 to 1 and a text.

        Raises:
            ModelMissingError: no weights.
            OutOfGpuMemoryError: the GPU is full.
            TranscriptionFailedError: the engine broke.
        """

    def check(self) -> tuple[bool, str]:
        """Whether the model is at hand, and which one it is in a few words; raises as ``transcribe`` does."""
