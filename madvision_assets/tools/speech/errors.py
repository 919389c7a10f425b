"""What goes wrong with a speech engine, in our taxonomy: errors of torch, CTranslate2, Whisper and the file system."""

import pickle

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    ModelMissingError,
    OutOfGpuMemoryError,
    TranscriptionFailedError,
)

# Every vendor error that can leave a model's loading or running.
ENGINE_ERRORS = (RuntimeError, ValueError, OSError, EOFError, KeyError, TypeError, AssertionError, pickle.PickleError)


def classify_speech(error: BaseException) -> Failure:
    """The leaf of the taxonomy for an error that an engine raised."""
    if isinstance(error, Failure):
        return error
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or "out of memory" in text:
        return OutOfGpuMemoryError(text)
    if isinstance(error, OSError) and disk.is_full(error.errno):
        return DiskFullError(text)
    return TranscriptionFailedError(f"{type(error).__name__}: {text}")


def classify_loading(error: BaseException, model: str) -> Failure:
    """Likewise for one that loading a model raised: what is wrong with nothing else is wrong with the model."""
    failure = classify_speech(error)
    if isinstance(failure, TranscriptionFailedError):
        return ModelMissingError(f"{model}: {failure.details}")
    return failure
