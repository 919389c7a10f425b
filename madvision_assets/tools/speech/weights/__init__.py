"""Whisper's weights: found on this machine, fetched where they are not, and in the form that an engine reads.

``find_weights`` is the way in. A model is named (``turbo``), or given by its path: a checkpoint of OpenAI's (``.pt``),
or a folder of CTranslate2's. Names are looked for in packages (``packaged``), in the models folder, and then
downloaded (``named``). What comes in the other form than the engine reads is converted once (``conversion``) and kept
by the hash of what it was made from, which is also how lineage names it: the same weights are the same model, whichever
engine runs them.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from madvision_assets.domain.failures import ModelMissingError
from madvision_assets.tools.speech import Tell

MODEL_FILE = "model.bin"  # of a folder of CTranslate2's
CHECKPOINT_SUFFIX = ".pt"


def silently(_fraction: float, _text: str) -> None:
    """Tells nobody."""


class Form(StrEnum):
    """How weights lie on a disk."""

    CHECKPOINT = "checkpoint"  # OpenAI's own: one file, read by torch
    CTRANSLATE2 = "ctranslate2"  # a folder with ``model.bin``, configuration and vocabulary


@dataclass(frozen=True)
class Weights:
    """Weights on this machine.

    Attributes:
        name: for people: that of the model, or of its file or folder.
        form: how they lie there.
        path: the file or the folder.
        sha256: of the bytes that they came in, before any conversion.
    """

    name: str
    form: Form
    path: Path
    sha256: str

    @property
    def identity(self) -> str:
        """For lineage: tells any two apart, and none from itself in another form."""
        return f"{self.name}@sha256:{self.sha256[:16]}"


def find_weights(model: str, models_folder: Path, form: Form, tell: Tell = silently) -> Weights:
    """The weights of a model in this form, fetched and converted where they have to be.

    Args:
        model: name or path, as ``MADVISION_WHISPER_MODEL`` has it.
        models_folder: where fetched and converted weights are kept.
        form: what the engine reads.
        tell: of a download or a conversion.

    Raises:
        ModelMissingError: unknown name, no such file, other bytes than they should be, no network for a download.
        DiskFullError: there is no room for them.
    """
    from madvision_assets.tools.speech.weights.conversion import converted

    found = at_hand(model, models_folder) or _fetched(model, models_folder, tell)
    return found if found.form is form else converted(found, form, models_folder, tell)


def at_hand(model: str, models_folder: Path) -> Weights | None:
    """The weights of a model as they lie on this machine; None where they are to be downloaded.

    Raises:
        ModelMissingError: a path that leads to no weights, or bytes that are not what they should be.
    """
    from madvision_assets.tools.speech.weights.packaged import in_package

    if is_path(model):
        return _at_path(Path(model).expanduser())
    return in_package(model, models_folder) or _in_folder(model, models_folder)


def is_path(model: str) -> bool:
    """Whether it is the path of weights rather than the name of a model."""
    return "/" in model or model.endswith(CHECKPOINT_SUFFIX)


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of one that has not changed it is computed once per process."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=16)
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _at_path(path: Path) -> Weights:
    if (path / MODEL_FILE).is_file():
        return Weights(path.name, Form.CTRANSLATE2, path, digest_of(path / MODEL_FILE))
    if path.is_dir():
        raise ModelMissingError(f"the folder {path} has no {MODEL_FILE}, so it holds no weights of CTranslate2's")
    if not path.is_file():
        raise ModelMissingError(f"there is nothing at {path}")
    sha256, note = digest_of(path), note_of(path)
    if note.is_file() and note.read_text().strip() != sha256:
        raise ModelMissingError(f"{path} is not what was downloaded; remove it, and it is fetched again")
    return Weights(path.name, Form.CHECKPOINT, path, sha256)


def note_of(path: Path) -> Path:
    """The file beside a downloaded one that says which bytes those were."""
    return path.with_name(f"{path.name}.sha256")


def _in_folder(name: str, models_folder: Path) -> Weights | None:
    """What was downloaded, or what an operator laid there under the model's name."""
    from madvision_assets.tools.speech.weights.named import path_of

    for path in (models_folder / name, models_folder / f"{name}{CHECKPOINT_SUFFIX}", path_of(name, models_folder)):
        if path.is_file() or (path / MODEL_FILE).is_file():
            return replace(_at_path(path), name=name)
    return None


def _fetched(name: str, models_folder: Path, tell: Tell) -> Weights:
    from madvision_assets.tools.speech.weights.named import download

    return download(name, models_folder, tell)
