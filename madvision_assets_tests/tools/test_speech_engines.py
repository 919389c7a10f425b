"""Claims that every speech engine keeps, with real weights on real voices."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from whisper.tokenizer import LANGUAGES

from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    GpuLostError,
    GpuUnusableError,
    LanguageUnavailableError,
    ModelMissingError,
    OutOfGpuMemoryError,
    TranscriptionFailedError,
    TranslationUnavailableError,
)
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.languages import NAMES
from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets.tools.speech import (
    Abilities,
    EngineOptions,
    Heard,
    KnowsLanguages,
    SpeechEngine,
    TellsLanguage,
    openai_whisper,
)
from madvision_assets.tools.speech.errors import classify_loading, classify_speech
from madvision_assets.tools.speech.faster_whisper import FasterWhisper
from madvision_assets.tools.speech.registry import ENGINES
from madvision_assets.tools.speech.weights import MODEL_FILE, Form, find_weights
from madvision_assets.tools.speech.weights.binary import read_variables, variable_names
from madvision_assets.tools.speech.weights.layout import DECODER, ENCODER, layers
from madvision_assets_tests import real_speech
from madvision_assets_tests.sample import MODEL
from madvision_assets_tests.transcription_server import KEY, WHISPER, FakeTranscriptions, heard_by

pytestmark = pytest.mark.whole

SENTENCES = slice(27, 31)
REMOTE = "api"
LOCAL = sorted(set(ENGINES) - {REMOTE})  # which hold weights


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[FakeTranscriptions]:
    """A transcription API that hears with the same weights."""
    with FakeTranscriptions(heard_by(FasterWhisper(MODEL, models))) as fake:
        yield fake


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, models: Path) -> SpeechEngine:
    if request.param != REMOTE:
        return ENGINES[request.param].make(EngineOptions(MODEL, models))
    fake: FakeTranscriptions = request.getfixturevalue("server")
    return ENGINES[REMOTE].make(EngineOptions(WHISPER, models, KEY, fake.base_url))


def text(heard: Heard) -> str:
    return "".join(segment.text for segment in heard.segments)


@real_speech.HERE
def test_real_voices_are_heard_with_the_time_of_every_word(engine: SpeechEngine) -> None:
    said = real_speech.talk(real_speech.recordings()[SENTENCES])

    heard = engine.transcribe(said.samples, Asked("en"))

    assert real_speech.word_errors(said.text, text(heard)) < 0.1
    words = [word for segment in heard.segments for word in segment.words]
    assert "".join(word.text for word in words).split() == text(heard).split()
    assert all(0 <= word.start_s <= word.end_s <= said.duration_s + 0.1 for word in words)
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)
    assert 0 < sum(word.probability for word in words) / len(words) <= 1


@real_speech.HERE
def test_the_same_sound_is_heard_the_same_way_twice(engine: SpeechEngine) -> None:
    noise = real_speech.talk(real_speech.recordings()[:2], seed=3)

    assert engine.transcribe(noise.samples, Asked()) == engine.transcribe(noise.samples, Asked())


@real_speech.HERE
def test_vocabulary_is_taken_and_breaks_nothing(engine: SpeechEngine) -> None:
    said = real_speech.talk(real_speech.recordings()[SENTENCES])

    heard = engine.transcribe(said.samples, Asked("en", vocabulary=("MadVision", "Dagster")))

    assert real_speech.word_errors(said.text, text(heard)) < 0.15


@pytest.mark.parametrize("name", LOCAL)
def test_a_model_of_one_language_is_sure_of_it_and_translates_nothing(models: Path, name: str) -> None:
    engine = ENGINES[name].make(EngineOptions(MODEL, models))

    assert isinstance(engine, TellsLanguage)
    assert engine.language_of(np.zeros(RATE_HZ, np.float32)) == ("en", 1.0)
    with pytest.raises(TranslationUnavailableError, match=MODEL):
        engine.transcribe(np.zeros(RATE_HZ, np.float32), Asked(translate=True))


@pytest.mark.parametrize(
    ("model", "abilities"),
    [("turbo@sha256:0", Abilities()), ("distil-large-v3", Abilities()), ("whisper.pt@sha256:0", Abilities(100, 32, 4))],
)
def test_models_that_were_made_smaller_translate_nothing(model: str, abilities: Abilities) -> None:
    Abilities(100, 32, 32).require(Asked("de", translate=True), "large-v3")
    Abilities(99, 4, 4).require(Asked("de", translate=True), "tiny")
    with pytest.raises(TranslationUnavailableError):
        abilities.require(Asked("de", translate=True), model)


def test_a_language_that_came_with_later_weights_is_refused_by_those_before() -> None:
    Abilities(100).require(Asked("yue"), "large-v3")
    Abilities(99).require(Asked("su"), "small")
    with pytest.raises(LanguageUnavailableError, match="asked for is yue"):
        Abilities(99).require(Asked("yue"), "small")
    assert not Abilities(99).hear("yue")
    assert list(NAMES) == list(LANGUAGES)  # in the order in which weights have them


@pytest.mark.parametrize("name", LOCAL)
def test_what_weights_can_do_is_read_off_them(models: Path, name: str) -> None:
    engine = ENGINES[name].make(EngineOptions(MODEL, models))

    assert isinstance(engine, KnowsLanguages)
    assert [engine.hears(each) for each in ("en", "de", "yue")] == [True, False, False]
    folder = find_weights(MODEL, models, Form.CTRANSLATE2).path
    names = variable_names(folder / MODEL_FILE)
    assert (layers(names, ENCODER), layers(names, DECODER)) == (4, 4)
    assert set(names) <= set(read_variables(folder / MODEL_FILE)) | {each for each in names if each.endswith("_scale")}


@pytest.mark.parametrize("name", LOCAL)
def test_a_model_of_one_language_is_not_asked_for_another(models: Path, name: str) -> None:
    with pytest.raises(LanguageUnavailableError, match="asked for is de"):
        ENGINES[name].make(EngineOptions(MODEL, models)).transcribe(np.zeros(RATE_HZ, np.float32), Asked("de"))


def test_what_engine_and_what_model_heard_it_is_told(engine: SpeechEngine) -> None:
    ready, told = engine.check()
    recipe = engine.recipe()

    assert ready
    # The same weights, whichever engine runs them; of others' servers the name is all that is known.
    assert recipe.model == (WHISPER if recipe.engine == REMOTE else f"{MODEL}@sha256:1a5afae06a4db91c")
    assert recipe.model in told
    assert str(recipe.engine) in ENGINES
    assert str(recipe.engine) in told
    assert recipe.engine_version


@pytest.mark.parametrize("name", LOCAL)
def test_a_model_that_is_still_to_be_downloaded_is_no_fault_and_is_not_downloaded_to_look(
    tmp_path: Path, name: str
) -> None:
    ready, told = ENGINES[name].make(EngineOptions("large-v3", tmp_path)).check()

    assert not ready
    assert "the first transcript downloads it" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("model", ["no-such-model", "folder/missing.pt"])
def test_a_model_that_there_is_none_of_is_told_when_it_is_looked_for(tmp_path: Path, name: str, model: str) -> None:
    with pytest.raises(ModelMissingError, match="MADVISION_WHISPER_MODEL") as told:
        ENGINES[name].make(EngineOptions(model, tmp_path)).check()

    assert model in str(told.value.details)


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("content", [b"", b"hello", b"\x06\x00\x00\x00" * 100, b"PK\x03\x04" + bytes(1000)])
def test_a_file_that_is_no_model_is_a_missing_model_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, model in ((tmp_path / "bad.pt", tmp_path / "bad.pt"), (folder / "model.bin", folder)):
        path.write_bytes(content)
        with pytest.raises(ModelMissingError):
            ENGINES[name].make(EngineOptions(str(model), tmp_path / "models")).check()
    assert list(tmp_path.glob("models/*")) == []


@pytest.mark.parametrize("build", ["13.0", None])
def test_a_gpu_that_torch_was_made_for_and_cannot_use_is_told_and_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: str | None
) -> None:
    import torch

    device = tmp_path / "nvidiactl"
    device.touch()
    monkeypatch.setattr(openai_whisper, "NVIDIA_DEVICE", device)
    monkeypatch.setattr(torch.version, "cuda", build)

    def too_old() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old (found version 11040).", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)

    if build is None:  # made for a CPU, by choice
        assert openai_whisper.usable_device() == "cpu"
    else:
        with pytest.raises(GpuUnusableError) as told:
            openai_whisper.usable_device()
        assert "found version 11040" in str(told.value.details)


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        (OutOfMemoryError("CUDA"), OutOfGpuMemoryError),
        (RuntimeError("CUDA failed with error out of memory"), OutOfGpuMemoryError),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            OutOfGpuMemoryError,
        ),
        (RuntimeError("CUDA error: unspecified launch failure"), GpuLostError),
        (RuntimeError("CUDA failed with error all CUDA-capable devices are busy or unavailable"), GpuLostError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), GpuLostError),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."), GpuUnusableError),
        (
            RuntimeError("CUDA failed with error CUDA driver version is insufficient for CUDA runtime version"),
            GpuUnusableError,
        ),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), GpuUnusableError),
        (OSError(28, "No space left on device"), DiskFullError),
        (RuntimeError("anything else"), TranscriptionFailedError),
    ],
)
def test_each_error_has_its_leaf(error: Exception, leaf: type[Failure]) -> None:
    assert type(classify_speech(error)) is leaf
    loading = ModelMissingError if leaf is TranscriptionFailedError else leaf
    assert type(classify_loading(error, "turbo")) is loading
