"""OpenAI's Whisper on its own weights, decoded in batches: the default on a GPU.

What its own package does with half minutes one after the other (``sequential``), ``batched`` does with many pieces at
once, to the same words: on a GPU in half precision, on a CPU plainly.
"""

import threading
import time
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from madvision_assets.domain.failures import GpuUnusableError
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.provenance import Recipe
from madvision_assets.tools.speech import NVIDIA_DEVICE, Device, EngineDescriptor, Heard, Tell
from madvision_assets.tools.speech.batched.decoder import Decoder
from madvision_assets.tools.speech.batched.place import place_of
from madvision_assets.tools.speech.errors import ENGINE_ERRORS, classify_loading, classify_speech
from madvision_assets.tools.speech.weights import Form, Weights, at_hand, find_weights
from madvision_assets.tools.speech.weights.named import still_to_come
from madvision_assets.tools.speech.weights.shapes import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from whisper import Whisper

ENGINE = PACKAGE = "openai-whisper"

_loading = threading.Lock()


@dataclass
class _Loaded:
    """A decoder, and how long it took to have it; that is told once."""

    decoder: Decoder
    identity: str
    load_s: float

    def untold_s(self) -> float:
        """How long it took, seconds, where nobody has been told: whoever hears first is."""
        told, self.load_s = self.load_s, 0.0
        return told


@dataclass(frozen=True)
class OpenAIWhisper:
    """The engine ``openai-whisper``; the model is loaded on first use and once per process.

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
        """See ``SpeechEngine``; raises also GpuLostError and GpuUnusableError."""
        loaded = self._loaded()
        loaded.decoder.abilities.require(asked, loaded.identity)
        try:
            heard = loaded.decoder.hear(samples, asked)
        except ENGINE_ERRORS as error:
            raise classify_speech(error) from error
        return replace(heard, load_s=loaded.untold_s())

    def language_of(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        """See ``TellsLanguage``; a model of one language is sure of it."""
        try:
            return self._loaded().decoder.language_of(samples)
        except ENGINE_ERRORS as error:
            raise classify_speech(error) from error

    def hears(self, language: str) -> bool:
        """See ``KnowsLanguages``."""
        return self._loaded().decoder.abilities.hear(language)

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``. Weights that are here are loaded; others are not downloaded."""
        found = at_hand(self.model, self.models_folder)
        if found is None:
            return False, still_to_come(self.model)
        decoder = self._loaded().decoder
        how = f"{str(decoder.network.dtype).removeprefix('torch.')} on {decoder.network.device}"
        return True, f"{found.identity}, {how}, {decoder.rows} pieces at once, by {ENGINE}"

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``; how many pieces at once changes nothing, and is not part of it."""
        found = at_hand(self.model, self.models_folder)
        precision = str(place_of(usable_device()).dtype).removeprefix("torch.")
        return Recipe(
            engine=ENGINE,
            engine_version=version(PACKAGE),
            model=found.identity if found else self.model,
            parameters={"word_timestamps": True, "decoder": "batched", "compute_type": precision},
        )

    def _loaded(self) -> _Loaded:
        with _loading:
            return _load(find_weights(self.model, self.models_folder, Form.CHECKPOINT))


def usable_device() -> str:
    """A GPU where there is one, as torch names it, else the CPU.

    Raises:
        GpuUnusableError: there is one that torch was made for and cannot use.
    """
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return Device.CUDA.value
    if torch.version.cuda and NVIDIA_DEVICE.exists():
        raise GpuUnusableError("; ".join(str(each.message) for each in told) or "torch finds no GPU that it can use")
    return Device.CPU.value


def load_model(weights: Weights, device: str) -> "Whisper":
    """The model, with the heads that tell the times of words.

    Raises:
        ModelMissingError: it is no Whisper checkpoint.
        OutOfGpuMemoryError: the GPU is full.
    """
    import torch
    import whisper

    try:
        model = whisper.load_model(str(weights.path), device=device)
        mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
        for layer, head in Shape(**vars(model.dims)).alignment_heads():
            mask[layer, head] = True
        # By path, the package does not know which they are.
        model.register_buffer("alignment_heads", mask.to_sparse().to(model.device), persistent=False)
    except ENGINE_ERRORS as error:
        raise classify_loading(error, weights.name) from error
    return model


@lru_cache(maxsize=1)
def _load(weights: Weights) -> _Loaded:
    """The decoder; the package's own model is on the CPU for as long as its weights are taken."""
    started_s = time.monotonic()
    place = place_of(usable_device())
    model = load_model(weights, Device.CPU.value)
    try:
        decoder = Decoder(model, place)
    except ENGINE_ERRORS as error:
        raise classify_speech(error) from error
    return _Loaded(decoder, weights.identity, round(time.monotonic() - started_s, 3))


DESCRIPTOR = EngineDescriptor(
    name=ENGINE,
    make=lambda options: OpenAIWhisper(options.model, options.models_folder),
    extra=PACKAGE,
    devices=(Device.CPU, Device.CUDA),
    models="a Whisper model's name, a checkpoint (.pt), or a folder of CTranslate2's",
)
