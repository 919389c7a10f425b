"""OpenAI's Whisper, decoded by its own package, half a minute after the other: what our batches are held against.

Parameters follow what is known of it: times by word, no conditioning on earlier text (it spreads loops), the model's
own fall-back temperatures, half precision only on a GPU.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.heard import Asked, HeardSegment, HeardWord
from madvision_assets.domain.provenance import Recipe
from madvision_assets.tools.speech import TRANSCRIBE, TRANSLATE, Abilities, Device, EngineDescriptor, Heard, Tell
from madvision_assets.tools.speech.errors import ENGINE_ERRORS, classify_speech
from madvision_assets.tools.speech.openai_whisper import PACKAGE, load_model, usable_device
from madvision_assets.tools.speech.weights import Form, Weights, at_hand, find_weights
from madvision_assets.tools.speech.weights.named import still_to_come

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from whisper import Whisper

ENGINE = "openai-whisper-sequential"
SEED = 0  # the fall-back temperatures sample

_loading = threading.Lock()


@dataclass(frozen=True)
class SequentialWhisper:
    """The engine ``openai-whisper-sequential``; the model is loaded on first use and once per process.

    Args:
        model: a model's name, or the path of a checkpoint or of a folder of CTranslate2's.
        models_folder: where downloaded and converted weights are kept.
    """

    model: str
    models_folder: Path

    def prepare(self, tell: Tell) -> None:
        """See ``SpeechEngine``."""
        find_weights(self.model, self.models_folder, Form.CHECKPOINT, tell)

    def transcribe(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """See ``SpeechEngine``."""
        model = self._loaded()
        _abilities(model).require(asked, self.recipe().model or "")
        import torch

        torch.manual_seed(SEED)
        try:
            result: dict[str, Any] = model.transcribe(
                samples,
                language=asked.language,
                task=TRANSLATE if asked.translate else TRANSCRIBE,
                initial_prompt=asked.prompt or None,
                carry_initial_prompt=bool(asked.prompt),
                word_timestamps=True,
                condition_on_previous_text=False,
                fp16=model.device.type == "cuda",
                verbose=None,
            )
        except ENGINE_ERRORS as error:
            raise classify_speech(error) from error
        return Heard(str(result["language"]), tuple(map(_segment, result["segments"])))

    def language_of(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        """See ``TellsLanguage``; a model of one language is sure of it."""
        model = self._loaded()
        if not model.is_multilingual:
            return "en", 1.0
        import whisper

        try:
            mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels, device=model.device)
            half = mel.half() if model.device.type == "cuda" else mel
            _, probabilities = model.detect_language(half)
        except ENGINE_ERRORS as error:
            raise classify_speech(error) from error
        language = max(probabilities, key=probabilities.get)
        return str(language), float(probabilities[language])

    def hears(self, language: str) -> bool:
        """See ``KnowsLanguages``."""
        return _abilities(self._loaded()).hear(language)

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``. Weights that are here are loaded; others are not downloaded."""
        found = at_hand(self.model, self.models_folder)
        if found is None:
            return False, still_to_come(self.model)
        loaded = self._loaded()
        parameters = sum(p.numel() for p in loaded.parameters())
        return True, f"{found.identity}, {parameters / 1e6:.1f} million parameters on {loaded.device}, by {ENGINE}"

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``."""
        found = at_hand(self.model, self.models_folder)
        return Recipe(
            engine=ENGINE,
            engine_version=version(PACKAGE),
            model=found.identity if found else self.model,
            parameters={"word_timestamps": True, "condition_on_previous_text": False, "seed": SEED},
        )

    def _loaded(self) -> "Whisper":
        with _loading:
            return _load(find_weights(self.model, self.models_folder, Form.CHECKPOINT))


@lru_cache(maxsize=1)
def _load(weights: Weights) -> "Whisper":
    return load_model(weights, usable_device())


def _abilities(model: "Whisper") -> Abilities:
    languages = int(model.num_languages) if model.is_multilingual else 1
    return Abilities(languages, model.dims.n_audio_layer, model.dims.n_text_layer)


def _segment(raw: Mapping[str, Any]) -> HeardSegment:
    """A segment in our form; Whisper's times are floats of numpy."""
    words = tuple(
        HeardWord(str(word["word"]), float(word["start"]), float(word["end"]), float(word.get("probability", 1.0)))
        for word in raw.get("words") or ()
    )
    return HeardSegment(str(raw["text"]), float(raw["start"]), float(raw["end"]), words)


DESCRIPTOR = EngineDescriptor(
    name=ENGINE,
    make=lambda options: SequentialWhisper(options.model, options.models_folder),
    extra=PACKAGE,
    devices=(Device.CPU, Device.CUDA),
    models="a Whisper model's name, a checkpoint (.pt), or a folder of CTranslate2's",
)
