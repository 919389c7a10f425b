"""Speech to text: what every engine is given and gives, and what is known of one before it is made.

One file per engine, and ``registry`` as the table of them. Here belongs what an engine makes of one window of sound.
What does not: windows, silence and coverage (``work.transcribe``), clean times (``domain.segments``), which are the
same for all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from madvision_assets.domain.failures import LanguageUnavailableError, TranslationUnavailableError
from madvision_assets.domain.heard import Asked, HeardSegment
from madvision_assets.domain.languages import ENGLISH, NAMES
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.provenance import Recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# Whisper's two tasks.
TRANSCRIBE, TRANSLATE = "transcribe", "translate"
# Made smaller by training on transcripts alone: asked to translate, they write down the language that they hear.
ONLY_TRANSCRIBE = ("turbo", "distil")
# Is there where a process may use a GPU; asking torch would load it.
NVIDIA_DEVICE = Path("/dev/nvidiactl")
# Gets a fraction from 0 to 1, and a few words.
Tell = Callable[[float, str], None]


class Device(StrEnum):
    """Where an engine can run."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class Heard:
    """What was heard in one window.

    Attributes:
        language: that is spoken (ISO 639-1); empty where the engine cannot tell.
        segments: in time order, as the engine gives them.
        cost_usd: paid to third parties for it, US dollars.
        usage: what that was paid for, by name.
        took_s: from asking the engine to its answer, seconds; the model's loading is in that of the first.
        load_s: of that, the loading of the model, where the engine tells it.
        gpu_s: that a GPU worked on it, where the engine counts it.
    """

    language: str
    segments: tuple[HeardSegment, ...]
    cost_usd: float = 0.0
    usage: Mapping[str, int] = field(default_factory=dict)
    took_s: float = field(default=0.0, compare=False)
    load_s: float = field(default=0.0, compare=False)
    gpu_s: float = field(default=0.0, compare=False)


class SpeechEngine(Protocol):
    """Turns sound into words with times."""

    def prepare(self, tell: Tell) -> None:
        """Have the model at hand, which may take a download or a conversion.

        Args:
            tell: gets a fraction from 0 to 1, and a few words, while that lasts.

        Raises:
            ModelMissingError: no weights.
            DiskFullError: no room for them.
        """

    def transcribe(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """Transcribe one window.

        Args:
            samples: mono, 16 kHz, -1 to 1; some of it is audible.
            asked: what its submitter wants, and the language of the video where an earlier window told it.

        Raises:
            ModelMissingError: no weights.
            OutOfGpuMemoryError: the GPU is full.
            TranscriptionFailedError: the engine broke.
            TranslationUnavailableError: it is to translate, and its model cannot.
            LanguageUnavailableError: its model does not hear the language.
            Failure: of an engine behind an API, the leaves for that.
        """

    def check(self) -> tuple[bool, str]:
        """Whether the model is at hand, and which one it is in a few words; raises as ``transcribe`` does."""

    def recipe(self) -> Recipe:
        """Engine, version, model and whatever else changes what is heard."""


@runtime_checkable
class PaidEngine(SpeechEngine, Protocol):
    """An engine whose hearing is paid for, request by request."""

    def accounted(self, desk: Desk, video_id: str, step: str) -> SpeechEngine:
        """The same engine, as it hears for a video.

        Args:
            desk: where each request is accounted for, and its answer kept; it raises also what ``Books.reserve`` does.
            video_id: for whom it hears.
            step: the stage that asks.
        """


@runtime_checkable
class TellsLanguage(Protocol):
    """An engine that can tell a language without transcribing, which is cheaper."""

    def language_of(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        """The language of at most 30 s (ISO 639-1), and how sure that is, 0 to 1; raises as ``transcribe`` does."""


@runtime_checkable
class TellsProgress(Protocol):
    """An engine that can tell how far in its window it is."""

    def transcribe_telling(self, samples: "NDArray[np.float32]", asked: Asked, tell: Callable[[float], None]) -> Heard:
        """As ``transcribe``; ``tell`` gets the seconds from the window's start that are done."""


@dataclass(frozen=True)
class EngineOptions:
    """What an operator has set for speech; an engine takes what concerns it.

    Attributes:
        model: the model's name or path.
        models_folder: where weights are kept.
        api_key: for an engine behind an API; empty without one.
        base_url: of that API; None is the engine's own default.
    """

    model: str
    models_folder: Path
    api_key: str = field(default="", repr=False)
    base_url: str | None = None


@dataclass(frozen=True)
class EngineDescriptor:
    """What is known of an engine before it is made.

    Attributes:
        name: as ``MADVISION_WHISPER_ENGINE`` has it.
        make: makes it; loads nothing heavy.
        extra: the extra in ``pyproject.toml`` that lists its packages.
        devices: where it can run.
        models: what ``MADVISION_WHISPER_MODEL`` may be for it, in words.
        default_model: its model where nobody has set one; None is that of the settings.
    """

    name: str
    make: Callable[[EngineOptions], SpeechEngine]
    extra: str
    devices: tuple[Device, ...]
    models: str
    default_model: str | None = None

    @property
    def needs(self) -> str:
        """For a person who chooses."""
        return f"on {' or '.join(self.devices)}; its model is {self.models}"


@runtime_checkable
class KnowsLanguages(Protocol):
    """An engine whose model hears some languages alone."""

    def hears(self, language: str) -> bool:
        """Whether it hears this one (ISO 639-1); loads the model, and raises as ``transcribe`` does."""


@dataclass(frozen=True)
class Abilities:
    """What a Whisper can do, by the shape of its weights; by default all that any can.

    Attributes:
        languages: how many it has tokens for; those that came later are behind the others. Of English alone it is 1.
        encoder_layers: of its encoder; 0 where nobody knows.
        decoder_layers: of its decoder, likewise; fewer where it was made smaller by training on transcripts alone.
    """

    languages: int = len(NAMES)
    encoder_layers: int = 0
    decoder_layers: int = 0

    def hear(self, language: str) -> bool:
        """Whether it has a token for a language (ISO 639-1)."""
        return language == ENGLISH or (self.languages > 1 and language in list(NAMES)[: self.languages])

    def require(self, asked: Asked, model: str) -> None:
        """Return where it can do what is asked of it.

        Args:
            asked: what is.
            model: its name, which tells of some what they were made for.

        Raises:
            TranslationUnavailableError: it hears English alone, or was made smaller without translations.
            LanguageUnavailableError: it has no token for the language.
        """
        is_smaller = self.decoder_layers < self.encoder_layers or any(each in model.lower() for each in ONLY_TRANSCRIBE)
        if asked.translate and (self.languages == 1 or is_smaller):
            raise TranslationUnavailableError(f"the model is {model}")
        if asked.language is not None and not self.hear(asked.language):
            raise LanguageUnavailableError(f"the model is {model}, and the language asked for is {asked.language}")
