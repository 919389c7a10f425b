"""What goes wrong with a speech engine, in our taxonomy: errors of torch, CTranslate2, Whisper and the file system."""

import pickle

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    GpuLostError,
    GpuUnusableError,
    ModelMissingError,
    OutOfGpuMemoryError,
    TranscriptionFailedError,
)

# Every vendor error that can leave a model's loading or running.
ENGINE_ERRORS = (RuntimeError, ValueError, OSError, EOFError, KeyError, TypeError, AssertionError, pickle.PickleError)

# What torch and CTranslate2 say of a GPU, the first that is found; the last of each is what they begin with.
FULL = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
UNUSABLE = ("driver on your system is too old", "driver version is insufficient", "no kernel image is available")
LOST = ("CUDA error", "CUDA failed with error", "CUBLAS_STATUS_", "CUDNN_STATUS_", "cuDNN error")


def classify_speech(error: BaseException) -> Failure:
    """The leaf of the taxonomy for an error that an engine raised."""
    if isinstance(error, Failure):
        return error
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return OutOfGpuMemoryError(text)
    for said, leaf in ((FULL, OutOfGpuMemoryError), (UNUSABLE, GpuUnusableError), (LOST, GpuLostError)):
        if any(each in text for each in said):
            return leaf(text)
    if isinstance(error, OSError) and disk.is_full(error.errno):
        return DiskFullError(text)
    return TranscriptionFailedError(f"{type(error).__name__}: {text}")


def classify_loading(error: BaseException, model: str) -> Failure:
    """Likewise for one that loading a model raised: what is wrong with nothing else is wrong with the model."""
    failure = classify_speech(error)
    if isinstance(failure, TranscriptionFailedError):
        return ModelMissingError(f"{model}: {failure.details}")
    return failure
