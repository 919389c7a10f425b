"""Claims about openai-whisper: its weights, and the errors that it raises (what it hears: work/test_transcribe.py)."""

import lzma
from pathlib import Path
from urllib.error import URLError

import pytest

from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    ModelMissingError,
    OutOfGpuMemoryError,
    TranscriptionFailedError,
)
from madvision_assets.tools.speech.openai_whisper import OpenAIWhisper, classify_speech, model_identity
from madvision_assets_tests.sample import DEMO_MODEL


def test_the_recipe_names_the_weights_by_their_bytes(tmp_path: Path) -> None:
    recipe = OpenAIWhisper(str(DEMO_MODEL), tmp_path).recipe()

    assert recipe.engine == "openai-whisper"
    assert recipe.model == model_identity(str(DEMO_MODEL))
    assert "@sha256:" in str(recipe.model)


@pytest.mark.parametrize("model", ["no-such-model", "folder/missing.pt"])
def test_a_model_that_is_not_there_says_what_to_do(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelMissingError, match="MADVISION_WHISPER_MODEL"):
        OpenAIWhisper(model, tmp_path).check()


def test_a_file_that_is_no_checkpoint_is_a_missing_model(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_text("hello")
    with lzma.open(tmp_path / "bad.pt.xz", "wb") as packed:
        packed.write(b"hello")

    for name in ("bad.pt", "bad.pt.xz"):
        with pytest.raises(ModelMissingError):
            OpenAIWhisper(str(tmp_path / name), tmp_path / "models").check()


def test_a_broken_pack_is_a_missing_model_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "cut.pt.xz").write_bytes(DEMO_MODEL.read_bytes()[:1000])

    with pytest.raises(ModelMissingError):
        OpenAIWhisper(str(tmp_path / "cut.pt.xz"), tmp_path / "models").check()
    assert list((tmp_path / "models").glob("*")) == []


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        (OutOfMemoryError("CUDA"), OutOfGpuMemoryError),
        (RuntimeError("CUDA out of memory. Tried to allocate"), OutOfGpuMemoryError),
        (URLError("no network"), ModelMissingError),
        (RuntimeError("Model x not found; available models"), ModelMissingError),
        (OSError(28, "No space left on device"), DiskFullError),
        (RuntimeError("anything else"), TranscriptionFailedError),
    ],
)
def test_each_error_has_its_leaf(error: Exception, leaf: type[Failure]) -> None:
    assert type(classify_speech(error)) is leaf
