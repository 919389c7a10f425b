"""OpenAI's Whisper, run by its own package.

Parameters follow what is known of it: times by word, no conditioning on earlier text (it spreads loops), the model's
own fall-back temperatures, half precision only on a GPU.
"""

import hashlib
import lzma
import pickle
import shutil
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
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
from madvision_assets.domain.transcript import Segment
from madvision_assets.tools.speech import Progress, Speech
from madvision_assets.tools.speech.segments import clean_segments, number_segments, overlap_s

if TYPE_CHECKING:
    from whisper import Whisper

ENGINE = "openai-whisper"
WINDOW_S = 600.0  # bounds memory and paces progress; split where it is quietest
SEED = 0  # the fall-back temperatures sample
DEFAULT_LANGUAGE = "en"
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

    def transcribe(self, audio: Path | BinaryIO, duration_s: float, progress: Progress) -> Speech:
        """See ``SpeechEngine``. Audio without sound never loads the model."""
        from madvision_assets.tools.media.audio import RATE_HZ, audible_spans, read_windows

        segments: list[Segment] = []
        audible: list[tuple[float, float]] = []
        heard_s, language = 0.0, None
        for window in read_windows(audio, WINDOW_S):
            spans = audible_spans(window.samples, RATE_HZ)
            progress(window.start_s / max(duration_s, window.end_s), f"hearing from {window.start_s / 60:.1f} min on")
            if spans:
                raw = self._run(window.samples, language)
                language = language or str(raw["language"])
                segments += clean_segments(raw["segments"], window.start_s, spans)
            audible += [(window.start_s + a, window.start_s + b) for a, b in spans]
            heard_s = window.end_s
            progress(heard_s / max(duration_s, heard_s), f"{heard_s / 60:.1f} min heard")
        kept = number_segments(segments)
        return Speech(
            language=language or DEFAULT_LANGUAGE,
            duration_s=round(heard_s, 3),
            audible_s=round(sum(end - start for start, end in audible), 3),
            covered_s=_covered_s(kept, audible),
            segments=kept,
            recipe=self._recipe(),
        )

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

    def _run(self, samples: Any, language: str | None) -> dict[str, Any]:
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
        return result

    def _recipe(self) -> Recipe:
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


def _covered_s(segments: Sequence[Segment], audible: Sequence[tuple[float, float]]) -> float:
    """Audible seconds inside segments; spans are in time order, so that each segment looks only at its own."""
    starts, ends = [start for start, _ in audible], [end for _, end in audible]
    own = ((s, audible[bisect_right(ends, s.start_s) : bisect_left(starts, s.end_s)]) for s in segments)
    return round(sum(overlap_s((segment.start_s, segment.end_s), spans) for segment, spans in own), 3)
