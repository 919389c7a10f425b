"""Claims about openai-whisper with the bundled checkpoint: the real code, real words."""

import json
import lzma
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import jiwer
import pytest

from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    ModelMissingError,
    OutOfGpuMemoryError,
    TranscriptionFailedError,
)
from madvision_assets.tools.media.audio import extract_flac
from madvision_assets.tools.speech import Speech
from madvision_assets.tools.speech.openai_whisper import OpenAIWhisper, classify_speech, model_identity
from madvision_assets_tests.sample import DEMO_MODEL, SAMPLE, spoken_sentences

WORD_ERROR_LIMIT = 0.05


def quiet(_fraction: float, _text: str) -> None:
    """Take progress and say nothing."""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Speech:
    folder = tmp_path_factory.mktemp("heard")
    extract_flac(SAMPLE, folder / "audio.flac")
    return OpenAIWhisper(str(DEMO_MODEL), folder / "models").transcribe(folder / "audio.flac", 1.0, quiet)


def plain(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c == " ").split())


def test_the_sample_talk_is_heard_with_under_five_percent_word_errors(heard: Speech) -> None:
    said = plain(" ".join(s["text"] for s in spoken_sentences()))

    assert jiwer.wer(said, plain(" ".join(s.text for s in heard.segments))) < WORD_ERROR_LIMIT


def test_words_come_when_they_are_said(heard: Speech) -> None:
    starts = {plain(s.text): s.start_s for s in heard.segments}
    errors = sorted(
        abs(starts[plain(s["text"])] - s["start_s"]) for s in spoken_sentences() if plain(s["text"]) in starts
    )

    assert len(errors) > len(spoken_sentences()) / 2
    assert errors[len(errors) // 2] < 0.15


def test_the_speech_of_the_sample_is_covered(heard: Speech) -> None:
    assert heard.covered_s > 0.8 * heard.audible_s > 0


def test_the_recipe_names_the_weights_by_their_bytes(heard: Speech) -> None:
    assert heard.recipe.engine == "openai-whisper"
    assert heard.recipe.model == model_identity(str(DEMO_MODEL))
    assert "@sha256:" in str(heard.recipe.model)


def test_silence_is_no_speech_and_never_loads_a_model(tmp_path: Path) -> None:
    from madvision_assets_tests.footage import silence

    extract_flac(silence(tmp_path / "silent.mp4"), tmp_path / "audio.flac")
    found = OpenAIWhisper("no-such-model", tmp_path).transcribe(tmp_path / "audio.flac", 1.0, quiet)

    assert found.segments == ()
    assert found.audible_s == 0


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


def test_audio_may_come_as_an_open_file(tmp_path: Path) -> None:
    from madvision_assets_tests.footage import silence

    extract_flac(silence(tmp_path / "silent.mp4"), tmp_path / "audio.flac")
    found = OpenAIWhisper("unused", tmp_path).transcribe(BytesIO((tmp_path / "audio.flac").read_bytes()), 1.0, quiet)

    assert found.duration_s > 0
    assert json.dumps(found.recipe.parameters)
