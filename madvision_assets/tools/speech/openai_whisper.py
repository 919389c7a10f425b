"""OpenAI's Whisper, run by its own package.

Parameters follow what is known of it: times by word, no conditioning on earlier text (it spreads loops), the model's
own fall-back temperatures, half precision only on a GPU.
"""

import hashlib
import lzma
import pickle
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    ModelMissingError,
    OutOfGpuMemoryError,
    TranscriptionFailedError,
)
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.segments import HeardSegment, HeardWord
from madvision_assets.tools.speech import Device, EngineDescriptor, Heard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from whisper import Whisper

ENGINE = "openai-whisper"
SEED = 0  # the fall-back temperatures sample
# Every vendor error that can leave the model's loading or running.
ENGINE_ERRORS = (RuntimeError, ValueError, OSError, EOFError, KeyError, TypeError, AssertionError, pickle.PickleError)

_loading = threading.Lock()


@dataclass(frozen=True)
class OpenAIWhisper:
    """The engine ``openai-whisper``; the model is loaded on first use and once per process.

    Args:
        model: one of Whisper's model names, or the path of a checkpoint (``.pt``, or packed ``.pt.xz``).
        models_folder: where downloaded and unpacked weights are kept.
    """

    model: str
    models_folder: Path

    def transcribe(self, samples: "NDArray[np.float32]", language: str | None) -> Heard:
        """See ``SpeechEngine``."""
        model = load_model(self.model, self.models_folder)
        import torch

        torch.manual_seed(SEED)
        try:
            result: dict[str, Any] = model.transcribe(
                samples,
                language=language,
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
        model = load_model(self.model, self.models_folder)
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

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``. A checkpoint is loaded; a named model is looked for and not downloaded."""
        if is_path(self.model):
            loaded = load_model(self.model, self.models_folder)
            parameters = sum(p.numel() for p in loaded.parameters())
            return True, f"{self.model}: {parameters / 1e6:.1f} million parameters on {loaded.device}"
        import whisper

        if self.model not in whisper.available_models():
            raise ModelMissingError(f"Whisper has no model named {self.model!r}")
        file = self.models_folder / Path(whisper._MODELS[self.model]).name  # noqa: SLF001 - names differ from files
        if file.is_file():
            return True, f"{self.model}: {file.stat().st_size / 1e6:.0f} MB in {self.models_folder}"
        return False, f"{self.model} is not here yet; the first transcript downloads it, which needs the network"

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``."""
        from importlib.metadata import version

        return Recipe(
            engine=ENGINE,
            engine_version=version("openai-whisper"),
            model=model_identity(self.model),
            parameters={"word_timestamps": True, "condition_on_previous_text": False, "seed": SEED},
        )


def load_model(model: str, models_folder: Path) -> "Whisper":
    """The loaded model; once per process, even when threads ask at the same time.

    Raises:
        ModelMissingError: unknown name, no such file, no network for the first download, or no Whisper checkpoint.
        OutOfGpuMemoryError: the GPU is full.
    """
    with _loading:
        return _load_model(model, models_folder)


@lru_cache(maxsize=1)
def _load_model(model: str, models_folder: Path) -> "Whisper":
    import whisper

    source = model
    try:
        if is_path(model):
            source = str(_unpacked(Path(model).expanduser(), models_folder))
        models_folder.mkdir(parents=True, exist_ok=True)
        return whisper.load_model(source, download_root=str(models_folder))
    except (*ENGINE_ERRORS, lzma.LZMAError) as error:
        failure = classify_speech(error)
        if isinstance(failure, TranscriptionFailedError):
            failure = ModelMissingError(f"{model}: {error}")
        raise failure from error


def model_identity(model: str) -> str:
    """A model's name; for a checkpoint its file name and the hash of its bytes, so that lineage can tell two apart."""
    path = Path(model).expanduser()
    if not is_path(model) or not path.is_file():
        return model
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path.name}@sha256:{digest[:16]}"


def classify_speech(error: BaseException) -> Failure:
    """The leaf of the taxonomy for an error that Whisper, torch or the file system raised."""
    if isinstance(error, Failure):
        return error
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in text:
        return OutOfGpuMemoryError(text)
    if isinstance(error, URLError):
        return ModelMissingError("the weights are not here and could not be downloaded")
    if isinstance(error, FileNotFoundError) or ("Model " in text and "not found" in text):
        return ModelMissingError(text)
    if isinstance(error, OSError) and disk.is_full(error.errno):
        return DiskFullError(text)
    return TranscriptionFailedError(f"{type(error).__name__}: {text}")


def is_path(model: str) -> bool:
    """Whether it is the path of a checkpoint rather than the name of a model."""
    return "/" in model or model.endswith((".pt", ".xz"))


def _unpacked(path: Path, models_folder: Path) -> Path:
    """The checkpoint itself; a packed one is unpacked once, under a name that its contents give it."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    if path.suffix != ".xz":
        return path
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = models_folder / f"{path.stem.removesuffix('.pt')}-{digest[:16]}.pt"
    if not target.exists():
        models_folder.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{threading.get_native_id()}.part")
        try:
            with lzma.open(path) as packed, partial.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def _segment(raw: Mapping[str, Any]) -> HeardSegment:
    """A segment in our form; Whisper's times are floats of numpy."""
    words = tuple(
        HeardWord(str(word["word"]), float(word["start"]), float(word["end"]), float(word.get("probability", 1.0)))
        for word in raw.get("words") or ()
    )
    return HeardSegment(str(raw["text"]), float(raw["start"]), float(raw["end"]), words)


DESCRIPTOR = EngineDescriptor(
    name=ENGINE,
    make=lambda options: OpenAIWhisper(options.model, options.models_folder),
    extra=ENGINE,
    devices=(Device.CPU, Device.CUDA),
    models="one of Whisper's model names, or the path of a checkpoint (.pt or .pt.xz)",
)
